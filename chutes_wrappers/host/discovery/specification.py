"""A parsed specification → routes, and what did not become one, and why. Pure.

Swagger 2.0 and OpenAPI 3.x. One bad operation is skipped with its reason; what is wrong inside an operation that can be
called all the same costs its schema only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.exposure import filter_reason
from chutes_wrappers.core.platform_rules import UPSTREAM_METHODS
from chutes_wrappers.core.routes import ResponseHint, Route, SkippedRoute
from chutes_wrappers.host.discovery import media, servers
from chutes_wrappers.host.discovery.references import resolve
from chutes_wrappers.host.discovery.schemas import LARGEST_SCHEMA_BYTES, self_contained, size

MOST_OPERATIONS = 20_000
LONGEST_PATH = 500
# For all schemas of one document; one that turns out too large costs its limit. So hostile graphs stay cheap.
MOST_SCHEMAS_BYTES = 16 * 1024**2
ANY_METHOD = "*"

_T = TypeVar("_T")
_OTHER_KEYS = frozenset({"summary", "description", "servers", "parameters", "$ref"})


@dataclass(frozen=True, kw_only=True)
class Operations:
    """What a specification describes: routes, what was skipped, and notes on routes that lost a schema."""

    routes: tuple[Route, ...] = ()
    skipped: tuple[SkippedRoute, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Operation:
    """One entry of a path item, with its path item resolved; ``problem`` says why it cannot be read."""

    path: str
    method: str
    item: Mapping[str, Any]
    node: Mapping[str, Any]
    problem: str | None = None


def check_dialect(document: Mapping[str, Any]) -> None:
    """Raise WrapperError unless ``document`` is a Swagger 2.0 or OpenAPI 3.x specification with paths."""
    version = document.get("openapi", document.get("swagger", document.get("swaggerVersion")))
    if version is None:
        raise WrapperError("is not a specification: it names no `openapi` or `swagger` version")
    number = str(version)[:20] if isinstance(version, (str, int, float)) else "?"
    if not (number.startswith("3") if "openapi" in document else number in ("2", "2.0")):
        raise WrapperError(f"is a specification of version {number!r}; Swagger 2.0 and OpenAPI 3.x can be read")
    if not isinstance(document.get("paths", {}), Mapping):
        raise WrapperError("is a specification whose `paths` is not an object")


def read_operations(document: Mapping[str, Any], *, port: int, prefix: str, location: str = "/") -> Operations:
    """Every operation of ``document`` as a route of the service on ``port``, or as skipped with its reason.

    ``prefix`` is the document's server path; the ``servers`` of path items and operations replace it. ``location`` is
    the document's own path.
    """
    check_dialect(document)
    reader = _Reader(document, port, prefix, location)
    for index, operation in enumerate(_operations(document)):
        if index >= MOST_OPERATIONS:
            raise WrapperError(f"describes more than {MOST_OPERATIONS:,} operations")
        reader.read(operation)
    return Operations(routes=tuple(reader.routes.values()), skipped=tuple(reader.skipped), notes=tuple(reader.notes))


def plain_get_paths(document: Mapping[str, Any]) -> tuple[str, ...]:
    """A few paths, without the server's prefix, that a GET without parameters is described for."""
    found = (
        operation.path
        for _, operation in zip(range(MOST_OPERATIONS), _operations(document), strict=False)
        if operation.method == "GET" and not operation.problem and not set(operation.path) & set("{}?#")
    )
    return tuple(path for _, path in zip(range(3), found, strict=False) if len(path) <= LONGEST_PATH)


def _operations(document: Mapping[str, Any]) -> Iterator[_Operation]:
    paths = document.get("paths", {})
    for path, node in paths.items() if isinstance(paths, Mapping) else ():
        if path.startswith("x-"):
            continue
        try:
            item = resolve(document, node, "the path item")
        except WrapperError as error:
            yield _Operation(path=path, method=ANY_METHOD, item={}, node={}, problem=error.what)
            continue
        for key, value in item.items():
            if key not in _OTHER_KEYS and not key.startswith("x-"):
                yield _operation(path, key, item, value)


def _operation(path: str, key: str, item: Mapping[str, Any], node: Any) -> _Operation:
    method, problem = key.upper()[:50], None
    if method not in UPSTREAM_METHODS:
        problem = f"a cord cannot call {method}: only {', '.join(UPSTREAM_METHODS)}"
    elif not isinstance(node, Mapping):
        problem = "the operation is not an object"
    readable = node if isinstance(node, Mapping) else {}
    return _Operation(path=path, method=method, item=item, node=readable, problem=problem)


class _Reader:
    """Collects what one document describes."""

    def __init__(self, document: Mapping[str, Any], port: int, prefix: str, location: str) -> None:
        self.routes: dict[tuple[str, str], Route] = {}
        self.skipped: list[SkippedRoute] = []
        self.notes: list[str] = []
        self._document = document
        self._port = port
        self._prefix = prefix
        self._location = location
        self._dialect_30 = str(document.get("openapi", "2"))[:3] in ("2", "3", "3.0")
        self._schema_bytes_left = MOST_SCHEMAS_BYTES

    def read(self, operation: _Operation) -> None:
        """Add ``operation`` to the routes or to what is skipped."""
        path = self._path(operation)
        reason = operation.problem or _path_problem(operation.path, path)
        if reason is None:
            route = Route(path=path, method=operation.method, port=self._port)
            reason = filter_reason(path)
            if route.key in self.routes:
                reason = "another operation has the same path and method"
        if reason is None:
            self.routes[route.key] = self._described(route, operation)
        else:
            shown = path if len(path) <= LONGEST_PATH else path[:LONGEST_PATH] + "…"
            self.skipped.append(SkippedRoute(path=shown, method=operation.method, port=self._port, reason=reason))

    def _path(self, operation: _Operation) -> str:
        own = servers.prefixes(operation.node, self._location) or servers.prefixes(operation.item, self._location)
        return (own[0] if own else self._prefix) + operation.path

    def _described(self, route: Route, operation: _Operation) -> Route:
        what = route.describe()
        parameters = self._try(f"{what}: parameters", lambda: self._parameters(operation)) or []
        answer = self._try(f"{what}: answer", lambda: media.answer(self._document, operation.node)) or media.Answer()
        body = self._try(f"{what}: body", lambda: media.body_schema(self._document, operation.node, parameters))
        return route.model_copy(
            update={
                "stream": answer.stream,
                "input_schema": self._schema(f"{what}: input schema", body),
                "output_schema": self._schema(f"{what}: output schema", answer.schema),
                "response": ResponseHint(content_type=answer.content_type) if answer.content_type else None,
            }
        )

    def _parameters(self, operation: _Operation) -> list[dict[str, Any]]:
        nodes: list[Any] = []
        for owner in (operation.node, operation.item):
            own = owner.get("parameters", [])
            if not isinstance(own, list):
                raise WrapperError("`parameters` is not a list")
            nodes += own[:200]
        return [resolve(self._document, node, "a parameter") for node in nodes]

    def _schema(self, what: str, schema: Any) -> dict[str, Any] | None:
        if schema is None or isinstance(schema, bool):
            return None
        return self._try(what, lambda: self._copied(schema))

    def _copied(self, schema: Any) -> dict[str, Any]:
        if self._schema_bytes_left <= 0:
            raise WrapperError("the document's schemas are too many or too large")
        self._schema_bytes_left -= LARGEST_SCHEMA_BYTES
        copy = self_contained(self._document, schema, dialect_30=self._dialect_30)
        self._schema_bytes_left += LARGEST_SCHEMA_BYTES - size(copy)
        return copy

    def _try(self, what: str, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except WrapperError as error:
            self.notes.append(f"{what} left out: {error.what}")
            return None


def _path_problem(own_path: str, path: str) -> str | None:
    if not own_path.startswith("/"):
        return "the path does not start with '/'"
    if len(path) > LONGEST_PATH:
        return f"the path is longer than {LONGEST_PATH} characters"
    return None
