"""Routes: one upstream operation each, how a call to it travels, and what its public name is."""

from __future__ import annotations

import difflib
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
    field_validator,
    model_serializer,
    model_validator,
)

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.gradio_endpoints import GradioEndpoint

ParameterLocation = Literal["path", "query", "header"]
Style = Literal["simple", "label", "matrix", "form", "spaceDelimited", "pipeDelimited", "deepObject"]
Collection = Literal["array", "object"]
Encoding = Literal["json", "multipart", "form", "binary", "text", "none"]
STREAM_SWITCH: Literal["switch"] = "switch"

_STRICT = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class SkippedRoute(BaseModel):
    """An operation that did not become a route, and why. JSON shape: an entry of ``skipped`` in a manifest."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    method: str
    port: int | None = None
    reason: str


class Parameter(BaseModel):
    """One parameter of an operation. JSON shape: ``{"name", "in", "type", "style", "explode", "required", "shared"}``.

    ``type`` is what a text in the caller's query string stands for: a list (``a,b``, or JSON) or an object (JSON); None: the
    text itself. ``style`` and ``explode`` say how the service wants it, as in OpenAPI and with its defaults. ``shared``: the
    body has a field of the same name.
    """

    model_config = _STRICT

    name: str = Field(min_length=1)
    place: ParameterLocation = Field(default="query", alias="in")
    type: Collection | None = None
    style: Style | None = None
    explode: StrictBool | None = None
    required: StrictBool = False
    shared: StrictBool = False

    @model_serializer(mode="wrap")
    def _serialize_location(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"name": self.name, "in": self.place, **default(self)}  # the place also where it is the default


class RequestFormat(BaseModel):
    """How the body travels to the service. JSON shape: ``request`` of a route.

    ``content_type`` is sent with binary, text and JSON bodies when the caller names none; ``files`` are the file fields
    of a multipart body (None: not known, what looks like a file is one). ``wrapped``: the JSON body is no object, and callers send it as ``{"body": …}``.
    """

    model_config = _STRICT

    encoding: Encoding = "json"
    content_type: str = ""
    files: tuple[str, ...] | None = None
    wrapped: StrictBool | None = None

    @model_serializer(mode="wrap")
    def _serialize_encoding(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {
            "encoding": self.encoding,
            **default(self),
        }  # also where it is the default: {} would tell nobody anything


class ResponseHint(BaseModel):
    """What the specification says of the answer; the service's own Content-Type decides."""

    model_config = _STRICT

    content_type: str = ""


class Route(BaseModel):
    """One operation of a wrapped service. JSON shape: an entry of ``routes`` in a manifest.

    ``path`` is the public path, ``method`` the service's method, ``port`` the service's port (None: the module's first),
    ``target_path`` the path on the service (default: ``path``; ``{name}`` is a path parameter), ``target_method`` the
    method on the service when it differs from ``method``. ``stream``: whether the answer is an event stream, or
    ``"switch"`` when the caller's own ``stream`` field decides. ``request`` None: JSON where the method has a body.
    ``native`` leaves the call to the SDK's own passthrough, ``exposed`` publishes a path that the filters would leave out.
    ``gradio``: the endpoint of a Gradio app that is called, instead of ``target_path``.
    The schemas are self-contained JSON Schema of what a caller of the public API sends and gets.
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
    def _default_target_path(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("target_path") and "path" in data:
            return {**data, "target_path": data["path"]}
        return data

    @field_validator("path", "target_path")
    @classmethod
    def _check_absolute(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError("must start with '/'")
        return value

    @field_validator("method", "target_method")
    @classmethod
    def _check_method(cls, value: str) -> str:
        method = value.upper()
        if method and method not in platform_rules.UPSTREAM_METHODS:
            raise ValueError(f"is not one of {', '.join(platform_rules.UPSTREAM_METHODS)}")
        return method

    @field_validator("stream", mode="before")
    @classmethod
    def _check_stream(cls, value: Any) -> Any:
        if not isinstance(value, bool) and value != STREAM_SWITCH:
            raise ValueError(f'must be true, false or "{STREAM_SWITCH}"')
        return value

    @property
    def key(self) -> tuple[str, str]:
        """What makes two routes duplicates: path and method."""
        return self.path, self.method

    @property
    def upstream_method(self) -> str:
        """The method on the service."""
        return self.target_method or self.method

    @property
    def request_format(self) -> RequestFormat:
        """``request``, or what it is when nobody said: JSON, and nothing for a GET."""
        return self.request or RequestFormat(encoding="none" if self.upstream_method == "GET" else "json")

    def describe(self) -> str:
        """``METHOD path``, as people name a route."""
        return f"{self.method} {self.path}"

    def to_entry(self) -> dict[str, Any]:
        """This route as an entry of a manifest, without default values."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    def to_skipped(self, reason: str, default_port: int | None = None) -> SkippedRoute:
        """This route as an entry of ``skipped``."""
        return SkippedRoute(path=self.path, method=self.method, port=self.port or default_port, reason=reason)


# Where a field comes from, the first that is there: its own key, and those that other toolkits of this shape wrote.
_SOURCES = {
    "path": ("public_api_path", "path"),
    "target_path": ("target_path", "passthrough_path", "path", "public_api_path"),
    "port": ("port", "passthrough_port"),
}


def normalise_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Translate one raw route entry into the fields of Route; ``find_unknown_keys`` names what has no place among them.

    ``public_api_path`` beats ``path``, which then names the service's path unless ``passthrough_path`` or ``target_path``
    does; ``passthrough_port`` is the port.
    """
    fields = {key: value for key, value in entry.items() if key in Route.model_fields}
    keys = {field: find_source_key(field, entry) for field in _SOURCES}
    return {**fields, **{field: entry[key] for field, key in keys.items() if key in entry}}


def find_source_key(field: str, entry: Mapping[str, Any]) -> str:
    """The key of a raw ``entry`` that ``field`` is taken from."""
    return next((key for key in _SOURCES.get(field, ()) if key in entry), field)


def find_unknown_keys(entries: Iterable[Any]) -> tuple[str, ...]:
    """Keys that ``entries`` carry and that have no meaning here, sorted, each with the key that it may be a slip of."""
    known = {*Route.model_fields, *chain.from_iterable(_SOURCES.values())}
    unknown = {key for entry in entries if isinstance(entry, Mapping) for key in entry if key not in known}
    return tuple(sorted(_format_with_hint(str(key)) for key in unknown))


def _format_with_hint(key: str) -> str:
    matches = difflib.get_close_matches(key, Route.model_fields, n=1, cutoff=0.75)
    return f"{key} (did you mean {matches[0]}?)" if matches else key
