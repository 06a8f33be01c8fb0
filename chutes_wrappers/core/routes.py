"""Routes: one upstream operation each, with the format of its requests and its public name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.gradio_endpoints import GradioEndpoint
from chutes_wrappers.core.path_templates import normalise_template

ParameterLocation = Literal["path", "query", "querystring", "header", "cookie"]
# The styles of OpenAPI, and the tabs of Swagger 2.0's ``collectionFormat``.
Style = Literal[
    "simple", "label", "matrix", "form", "spaceDelimited", "pipeDelimited", "tabDelimited", "deepObject", "cookie"
]
Collection = Literal["array", "object"]
Encoding = Literal["json", "lines", "multipart", "form", "binary", "text", "none"]
STREAM_SWITCH: Literal["switch"] = "switch"

METHODS = (*platform_rules.UPSTREAM_METHODS, "OPTIONS", "TRACE", "QUERY")
# RFC 9110, section 5.6.2. CONNECT is for proxies.
_METHOD = re.compile(r"(?!CONNECT\Z)[A-Za-z0-9!#$%&'*+.^_`|~-]{1,40}", re.IGNORECASE)
# Methods whose requests usually have no body. RFC 9110, section 9.3.8: a TRACE never has one.
_BODILESS = ("GET", "HEAD", "OPTIONS", "TRACE")
# Methods with which an empty object is a body of its own.
_WITH_BODY = ("POST", "PUT", "PATCH", "QUERY")
_STRICT = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class SkippedRoute(BaseModel):
    """An operation that did not become a route, and the reason. JSON shape: an entry of ``skipped`` in a manifest."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    method: str
    port: int | None = None
    reason: str


class PartFormat(BaseModel):
    """The format of one field of a form or multipart body, as OpenAPI's Encoding Object has it. JSON shape: see ``parts``.

    ``headers`` are sent with a part of a multipart body.
    """

    model_config = _STRICT

    style: Style | None = None
    explode: StrictBool | None = None
    allow_reserved: StrictBool = False
    content_type: str = ""
    headers: dict[str, str] = Field(default_factory=dict)


class Parameter(BaseModel):
    """One parameter of an operation. JSON shape: ``{"name", "in", "type", "style", "explode", …}``.

    ``type`` is how text in the caller's query string is parsed: a list (``a,b``, or JSON) or an object (JSON); None: plain
    text. ``style``, ``explode`` and ``allow_reserved`` are the format that the service expects, as in OpenAPI and with its
    defaults. With ``content_type`` the value is sent in that media type, such as JSON. A ``querystring`` is the whole query
    string (OpenAPI 3.2); ``parts`` are the formats of its fields if it is an urlencoded object. ``shared``: the body has a
    field of the same name. ``credential``: a security scheme declares it.
    """

    model_config = _STRICT

    name: str = Field(min_length=1)
    place: ParameterLocation = Field(default="query", alias="in")
    type: Collection | None = None
    style: Style | None = None
    explode: StrictBool | None = None
    allow_reserved: StrictBool = False
    content_type: str = ""
    parts: dict[str, PartFormat] = Field(default_factory=dict)
    required: StrictBool = False
    shared: StrictBool = False
    credential: StrictBool = False

    def __hash__(self) -> int:
        return hash((self.place, self.name))  # ``parts`` cannot be hashed

    @model_serializer(mode="wrap")
    def _serialize_location(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"name": self.name, "in": self.place, **default(self)}  # "in" also if it is the default


class RequestFormat(BaseModel):
    """The format of the request body for the service. JSON shape: ``request`` of a route.

    ``content_type`` is sent with binary, text and JSON bodies if the caller sets none. ``files`` are the file fields of a
    multipart body (None: unknown, every value that looks like a file is one). ``parts`` are the formats of the fields of a
    form or multipart body where they are not the default. ``wrapped``: the JSON body is not an object, and callers send it
    as ``{"body": …}``. A body of ``lines`` is a list, sent as one JSON text a line.
    """

    model_config = _STRICT

    encoding: Encoding = "json"
    content_type: str = ""
    files: tuple[str, ...] | None = None
    parts: dict[str, PartFormat] = Field(default_factory=dict)
    wrapped: StrictBool | None = None

    @model_serializer(mode="wrap")
    def _serialize_encoding(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"encoding": self.encoding, **default(self)}  # also if it is the default: {} would be unclear


class ResponseHint(BaseModel):
    """The response format in the specification; the service's actual Content-Type decides."""

    model_config = _STRICT

    content_type: str = ""


class Route(BaseModel):
    """One operation of a wrapped service. JSON shape: an entry of ``routes`` in a manifest.

    ``path`` is the public path, ``method`` the service's method, ``port`` the service's port (None: the module's first).
    ``target_path`` is the path on the service (default: ``path``; ``{name}`` is a path parameter, also in the forms of other
    frameworks, which ``core/path_templates.py`` reads). ``target_method`` is the method on the service if it differs from
    ``method``; it may be any, as in OpenAPI 3.2's ``additionalOperations``. ``stream``: whether the response is an event
    stream, or ``"switch"`` if the caller's ``stream`` field decides. ``request`` None: JSON if the method has a body.
    ``native`` leaves the call to the SDK's passthrough. ``exposed`` publishes a path that the filters would leave out.
    ``gradio``: the endpoint of a Gradio app to call instead of ``target_path``. The schemas are self-contained JSON Schema
    of what a caller of the public API sends and receives.
    """

    model_config = _STRICT

    path: str
    method: str = "POST"
    port: StrictInt | None = Field(default=None, ge=1, le=65535)
    target_path: str = ""
    target_method: str = ""
    stream: StrictBool | Literal["switch"] = False
    parameters: tuple[Parameter, ...] = ()
    request: RequestFormat | None = None
    response: ResponseHint | None = None
    native: StrictBool = False
    exposed: StrictBool = False
    gradio: GradioEndpoint | None = None
    summary: str = ""
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _normalise_paths(cls, data: Any) -> Any:
        """Default ``target_path``, and write the variables of both paths in the forms of ``core/path_templates.py``."""
        if not isinstance(data, dict) or "path" not in data:
            return data
        target_path = data.get("target_path") or data["path"]
        if not isinstance(data["path"], str) or not isinstance(target_path, str):
            return {**data, "target_path": target_path}
        parameters = data.get("parameters", ())
        declared = _collect_names(parameters, "path")
        target = normalise_template(target_path, declared)
        added = [name for name in target.query_names if name not in _collect_names(parameters, "query")]
        added = added if isinstance(parameters, (list, tuple)) else []
        return {
            **data,
            "path": normalise_template(data["path"], declared).text,
            "target_path": target.text,
            **({"parameters": [*parameters, *({"name": name} for name in added)]} if added else {}),
        }

    @field_validator("path", "target_path")
    @classmethod
    def _check_absolute(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError("must start with '/'")
        return value

    @field_validator("method", "target_method")
    @classmethod
    def _check_method(cls, value: str, field: ValidationInfo) -> str:
        if value.upper() in METHODS:
            return value.upper()
        if field.field_name == "method":
            raise ValueError(f"is not one of {', '.join(METHODS)}: set another one as target_method")
        if value and not _METHOD.fullmatch(value):
            raise ValueError("is not a valid HTTP method, such as GET")
        return value

    @field_validator("stream", mode="before")
    @classmethod
    def _check_stream(cls, value: Any) -> Any:
        if not isinstance(value, bool) and value != STREAM_SWITCH:
            raise ValueError(f'must be true, false or "{STREAM_SWITCH}"')
        return value

    @property
    def key(self) -> tuple[str, str]:
        """The identity of a route: two routes with the same path and method are duplicates."""
        return self.path, self.method

    @property
    def upstream_method(self) -> str:
        """The method on the service."""
        return self.target_method or self.method

    @property
    def request_format(self) -> RequestFormat:
        """``request``, or its default: JSON, and no body for GET, HEAD, OPTIONS and TRACE."""
        return self.request or RequestFormat(encoding="none" if self.upstream_method in _BODILESS else "json")

    @property
    def has_declared_body(self) -> bool:
        """Whether ``request`` declares a body. A GET or DELETE with one is published as POST, so that the body arrives."""
        return self.request is not None and self.request.encoding != "none"

    @property
    def may_omit_body(self) -> bool:
        """Whether an empty object of a caller means a request without a body."""
        return self.upstream_method not in _WITH_BODY or (self.request is not None and self.request.encoding == "none")

    def describe(self) -> str:
        """Return ``METHOD path``, the name of a route in messages."""
        return f"{self.method} {self.path}"

    def to_entry(self) -> dict[str, Any]:
        """Return this route as an entry of a manifest, without default values."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    def to_skipped(self, reason: str, default_port: int | None = None) -> SkippedRoute:
        """Return this route as an entry of ``skipped``."""
        return SkippedRoute(path=self.path, method=self.method, port=self.port or default_port, reason=reason)


def _collect_names(parameters: Any, place: str) -> set[str]:
    """Collect the names of the ``parameters``, raw or not, in one place of a request."""
    names = set()
    for parameter in parameters if isinstance(parameters, (list, tuple)) else ():
        if isinstance(parameter, Parameter):
            names |= {parameter.name} if parameter.place == place else set()
        elif isinstance(parameter, Mapping) and parameter.get("in", parameter.get("place", "query")) == place:
            names |= {name} if isinstance(name := parameter.get("name"), str) else set()
    return names


# The keys of each field; the first that exists is used. They are its own key, and those of similar toolkits.
_SOURCES = {
    "path": ("public_api_path", "path"),
    "target_path": ("target_path", "passthrough_path", "path", "public_api_path"),
    "port": ("port", "passthrough_port"),
}


def normalise_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Translate one raw route entry into the fields of Route; ``find_unknown_keys`` returns the keys that are not translated.

    ``public_api_path`` overrides ``path``, which is then the service's path unless ``passthrough_path`` or ``target_path``
    is set. ``passthrough_port`` is the port.
    """
    fields = {key: value for key, value in entry.items() if key in Route.model_fields}
    keys = {field: find_source_key(field, entry) for field in _SOURCES}
    return {**fields, **{field: entry[key] for field, key in keys.items() if key in entry}}


def find_source_key(field: str, entry: Mapping[str, Any]) -> str:
    """Return the key of a raw ``entry`` from which ``field`` is read."""
    return next((key for key in _SOURCES.get(field, ()) if key in entry), field)


def find_unknown_keys(entries: Iterable[Any]) -> tuple[str, ...]:
    """Return the unknown keys in ``entries``, sorted, each with a similar known key as a hint."""
    known = {*Route.model_fields, *chain.from_iterable(_SOURCES.values())}
    unknown = {key for entry in entries if isinstance(entry, Mapping) for key in entry if key not in known}
    return tuple(sorted(_format_with_hint(str(key)) for key in unknown))


def _format_with_hint(key: str) -> str:
    matches = difflib.get_close_matches(key, Route.model_fields, n=1, cutoff=0.75)
    return f"{key} (did you mean {matches[0]}?)" if matches else key
