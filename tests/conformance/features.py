"""A feature of OpenAPI: a small document, a caller's call, and the request that the specification says must arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

V2 = ("2.0",)
V3 = ("3.0.4", "3.1.1", "3.2.0")
V30 = ("3.0.4",)
V31 = ("3.1.1", "3.2.0")
V32 = ("3.2.0",)
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
BOUNDARY = "limit"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a multipart body, as RFC 7578 has it."""

    name: str
    data: bytes
    content_type: str = ""
    filename: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request without the headers of the connection, whose names are in lower case.

    The media type of a multipart body has no boundary here.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | tuple[Part, ...] = b""

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", {name.lower(): value for name, value in self.headers.items()})


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A row of the table.

    ``operation`` is the operation at ``path``, ``item`` and ``document`` are further keys of its path item and its document.
    ``call`` is the JSON of a call, and ``request`` what arrives. ``listed`` is text that discovery shows about what is not
    sent. ``limit`` says why that is so. Without a ``request`` there is no route, or the call is refused.
    """

    group: str
    name: str
    versions: tuple[str, ...]
    request: Request | None
    operation: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    method: str = "get"
    path: str = "/x"
    item: Mapping[str, Any] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    listed: str = ""
    limit: str = ""

    @property
    def id(self) -> str:
        """The name of the feature's test."""
        return f"{self.group}: {self.name}"

    def build_document(self, version: str) -> dict[str, Any]:
        """Return the document in a version of the specification."""
        key = "swagger" if version == "2.0" else "openapi"
        operation = {"responses": {"200": {"description": "ok"}}, **self.operation}
        item = {self.method: operation, **self.item} if self.method else {**self.item}
        return {
            key: version,
            "info": {"title": "t", "version": "1"},
            "paths": {self.path: item} if item else {},
            **self.document,
        }


def get(target: str, **headers: str) -> Request:
    """A GET without a body. The names of ``headers`` have an underscore for each dash."""
    return Request(method="GET", target=target, headers=rename(headers))


def post(content_type: str, body: bytes | tuple[Part, ...], target: str = "/x") -> Request:
    """A POST with a body."""
    return Request(method="POST", target=target, headers={"Content-Type": content_type}, body=body)


def rename(headers: Mapping[str, str]) -> dict[str, str]:
    """Return ``headers`` with the dashes of their names."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def declare(name: str, place: str, schema: Any = None, **rest: Any) -> dict[str, Any]:
    """A Parameter Object of OpenAPI 3."""
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, **required, **({} if schema is None else {"schema": schema}), **rest}


def takes(*parameters: Mapping[str, Any]) -> dict[str, Any]:
    """An operation with ``parameters``."""
    return {"parameters": [*parameters]}


def sends(content_type: str, schema: Any = None, **media: Any) -> dict[str, Any]:
    """An operation with a request body in one media type; ``media`` are further keys of the Media Type Object."""
    described = {**({} if schema is None else {"schema": schema}), **media}
    return {"requestBody": {"content": {content_type: described}, "required": True}}


def has_fields(**properties: Any) -> dict[str, Any]:
    """The schema of an object."""
    return {"type": "object", "properties": properties}
