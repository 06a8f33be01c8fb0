"""What a client of a service knows of one operation, in one form for Swagger 2.0, OpenAPI 3.x and routes without a specification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from chutes_wrappers.host.document_client.document_nodes import Nodes

Place = Literal["path", "query", "querystring", "header", "cookie"]
BodyKind = Literal["json", "lines", "form", "multipart", "text", "binary"]


@dataclass(frozen=True, kw_only=True)
class ValueFormat:
    """How a value becomes text: a style, or the media type in which it is written. ``headers`` are those of a part."""

    style: str = ""
    explode: bool | None = None
    allow_reserved: bool = False
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OperationParameter:
    """A parameter. ``examples`` are those that stand beside its schema. A credential is never made up.

    ``is_expected``: declared as required, but by a declaration that OpenAPI 3 ignores: examples have it, callers need not.
    ``formats`` are those of the fields of a whole query string.
    """

    name: str
    place: Place
    format: ValueFormat = field(default_factory=ValueFormat)
    formats: Mapping[str, ValueFormat] = field(default_factory=dict)
    schema: Any = None
    is_required: bool = False
    is_expected: bool = False
    is_credential: bool = False
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OperationBody:
    """A request body in one media type. ``files`` are fields with files, None if they are unknown.

    ``content_type`` is empty for a ``media_range``, of which the caller chooses one. ``is_assumed``: nothing says that it is
    JSON, so a call with a file makes it multipart. ``is_wrapped``: callers send the value as ``{"body": …}``; None: unknown.
    """

    kind: BodyKind
    content_type: str = ""
    media_range: str = ""
    schema: Any = None
    is_wrapped: bool | None = None
    is_required: bool = False
    is_assumed: bool = False
    files: frozenset[str] | None = None
    formats: Mapping[str, ValueFormat] = field(default_factory=dict)
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An operation of a service: ``path`` is a template with the server's prefix, and may end with a query string.

    ``nodes`` resolves the references of the schemas.
    """

    method: str
    path: str
    nodes: Nodes
    parameters: tuple[OperationParameter, ...] = ()
    body: OperationBody | None = None
    is_from_document: bool = False
