"""A parsed specification → routes, and what did not become one, and why. Pure.

Swagger 2.0 and OpenAPI 3.x. One bad operation is skipped with its reason; what is wrong inside an operation that can be
called all the same costs its description only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from chutes_wrappers.core.cord_plan import publish
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.path_templates import nameless_variable
from chutes_wrappers.core.platform_rules import UPSTREAM_METHODS
from chutes_wrappers.core.routes import STREAM_SWITCH, RequestFormat, ResponseHint, Route, SkippedRoute
from chutes_wrappers.host.discovery import declared_media, operation_parameters, request_bodies, servers
from chutes_wrappers.host.discovery.operation_parameters import Declared
from chutes_wrappers.host.discovery.references import resolve
from chutes_wrappers.host.discovery.request_bodies import Body
from chutes_wrappers.host.discovery.schemas import LARGEST_SCHEMA_BYTES, self_contained, size
from chutes_wrappers.host.discovery.shapes import Shapes

MOST_OPERATIONS = 50_000
LONGEST_PATH = 500
LONGEST_SUMMARY = 120
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
    """Raise WrapperError unless ``document`` is a Swagger 2.0 or OpenAPI 3.x specification with paths.

    One that forgot to say which of them it is will do, as long as it has paths.
    """
    version = document.get("openapi", document.get("swagger", document.get("swaggerVersion")))
    paths = document.get("paths", {})
    if version is None:
        if isinstance(paths, Mapping) and any(path.startswith("/") for path in paths):
            return
        raise WrapperError("is not a specification: it names no `openapi` or `swagger` version, and has no `paths`")
    number = str(version)[:20] if isinstance(version, (str, int, float)) else "?"
    if not (number.startswith("3") if "openapi" in document else number in ("2", "2.0")):
        raise WrapperError(f"is a specification of version {number!r}; Swagger 2.0 and OpenAPI 3.x can be read")
    if not isinstance(paths, Mapping):
        raise WrapperError("is a specification whose `paths` is not an object")


def read_operations(
    document: Mapping[str, Any], *, port: int, prefix: str, location: str = "/", expose: Iterable[str] = ()
) -> Operations:
    """Every operation of ``document`` as a route of the service on ``port``, or as skipped with its reason.

    ``prefix`` is the document's server path; the ``servers`` of path items and operations replace it. ``location`` is
    the document's own path. ``expose`` names what is published although it is left out by default (``core/exposure.py``).
    """
    check_dialect(document)
    named: dict[tuple[str, str], tuple[Route, _Operation]] = {}
    skipped: list[SkippedRoute] = []
    for index, operation in enumerate(_operations(document)):
        if index >= MOST_OPERATIONS:
            raise WrapperError(f"describes more than {MOST_OPERATIONS:,} operations")
        own = servers.prefixes(operation.node, location) or servers.prefixes(operation.item, location)
        path = (own[0] if own else prefix) + operation.path
        problem = operation.problem or _path_problem(operation.path, path)
        if problem is None and (path, operation.method) in named:
            problem = "another operation has the same path and method"
        if problem is None:
            named[path, operation.method] = Route(path=path, method=operation.method, port=port), operation
        else:
            shown = path if len(path) <= LONGEST_PATH else path[:LONGEST_PATH] + "…"
            skipped.append(SkippedRoute(path=shown, method=operation.method, port=port, reason=problem))
    public, hidden = publish((route for route, _ in named.values()), expose)
    reader = _Reader(document)
    routes = tuple(reader.described(route, named[route.target_path, route.method][1]) for route in public)
    return Operations(routes=routes, skipped=(*skipped, *hidden), notes=tuple(reader.notes))


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
    """Reads how the operations of one document are called; ``notes`` says what could not be read."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.notes: list[str] = []
        self._document = document
        self._shapes = Shapes(document)
        self._dialect_30 = str(document.get("openapi", "2"))[:3] in ("2", "3", "3.0")
        self._schema_bytes_left = MOST_SCHEMAS_BYTES

    def described(self, route: Route, operation: _Operation) -> Route:
        """``route`` with everything that the operation says of its calls."""
        what = f"{route.method} {route.target_path}"
        nodes, problems = operation_parameters.nodes(self._document, operation.node, operation.item)
        self.notes += [f"{what}: a parameter left out: {problem}" for problem in problems]
        given = operation_parameters.declared(nodes, route.target_path)
        body = self._try(
            f"{what}: body", lambda: request_bodies.body_of(self._shapes, self._document, operation.node, nodes)
        )
        answer = (
            self._try(f"{what}: answer", lambda: declared_media.answer(self._document, operation.node))
            or declared_media.Answer()
        )
        fields = self._shapes.properties(body.schema) if body else {}
        hint = answer.content_type if answer.content_type != declared_media.JSON else None
        public = request_bodies.public_schema(self._shapes, body, given)
        return route.model_copy(
            update={
                "stream": self._stream(answer, given, body),
                "parameters": tuple(
                    each.parameter.model_copy(
                        update={"type": self._shapes.collection(each.schema), "shared": each.parameter.name in fields}
                    )
                    for each in given
                ),
                "request": self._request(route, body, is_declared="requestBody" in operation.node),
                "response": ResponseHint(content_type=hint) if hint else None,
                "summary": _summary(operation.node),
                "input_schema": self._schema(f"{what}: input schema", public),
                "output_schema": self._schema(f"{what}: output schema", answer.schema),
            }
        )

    def _stream(self, answer: declared_media.Answer, given: Iterable[Declared], body: Body | None) -> Any:
        """The platform itself looks for ``stream`` in a call (PLATFORM.md, section 3): whoever takes one must be able to."""
        if answer.stream:
            return True
        has_parameter = any(each.parameter.name == "stream" for each in given)
        return STREAM_SWITCH if has_parameter or (body and self._has_stream_field(body.schema)) else False

    def _has_stream_field(self, schema: Any) -> bool:
        """Whether callers may ask for a stream, or must give a ``stream`` that means something else."""
        fields = self._shapes.properties(schema)
        return "stream" in fields and (
            self._shapes.is_switch(fields["stream"]) or "stream" in self._shapes.required(schema)
        )

    def _request(self, route: Route, body: Body | None, *, is_declared: bool) -> RequestFormat | None:
        """How the body travels, where that differs from what is done when nobody says."""
        if body is None:
            is_bodiless = not is_declared and route.method not in ("GET", "DELETE")
            return RequestFormat(encoding="none") if is_bodiless else None
        if body.request == route.request_format and not request_bodies.is_mistakable(self._shapes, body.schema):
            return None
        return body.request

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


def _summary(node: Mapping[str, Any]) -> str:
    """The first line of what an operation says of itself."""
    texts = (node.get(key) for key in ("summary", "description"))
    lines = (line for text in texts if isinstance(text, str) for line in text.splitlines())
    line = next((" ".join(line.split()) for line in lines if line.strip()), "")
    return line if len(line) <= LONGEST_SUMMARY else line[: LONGEST_SUMMARY - 1].rstrip() + "…"


def _path_problem(own_path: str, path: str) -> str | None:
    if not own_path.startswith("/"):
        return "the path does not start with '/'"
    if len(path) > LONGEST_PATH:
        return f"the path is longer than {LONGEST_PATH} characters"
    if nameless := nameless_variable(path):
        return f"{nameless} in the path has no name that a caller could give it by"
    return None
