"""Read a parsed specification (Swagger 2.0, OpenAPI 3.x) into routes and skipped operations with their reasons. Pure.

An operation that cannot be called is skipped. If only a part of its description is invalid, only that part is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from chutes_wrappers.core.cord_plan import assign_public_paths
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.path_templates import find_template_problem
from chutes_wrappers.core.routes import (
    METHODS,
    STREAM_SWITCH,
    Parameter,
    RequestFormat,
    ResponseHint,
    Route,
    SkippedRoute,
)
from chutes_wrappers.host.discovery import declared_media, operation_parameters, request_bodies, servers
from chutes_wrappers.host.discovery.notes import describe_other_responses
from chutes_wrappers.host.discovery.operation_parameters import DeclaredParameter
from chutes_wrappers.host.discovery.references import ReadingTime, resolve_node
from chutes_wrappers.host.discovery.request_bodies import Body
from chutes_wrappers.host.discovery.schemas import MAX_SCHEMA_BYTES, make_self_contained, measure_size
from chutes_wrappers.host.discovery.security import SecurityReader, merge_credentials
from chutes_wrappers.host.discovery.server_notes import find_server_notes, find_variable_notes
from chutes_wrappers.host.discovery.shapes import Shapes

MAX_OPERATIONS = 50_000
MAX_PATH_LENGTH = 500
MAX_SUMMARY_LENGTH = 120
MAX_NOTES = 5_000
# For all schemas of one document. A schema that is too large uses its full limit, so malicious graphs stay cheap.
MAX_TOTAL_SCHEMA_BYTES = 16 * 1024**2
ANY_METHOD = "*"

_T = TypeVar("_T")
_OTHER_KEYS = frozenset({"summary", "description", "servers", "parameters", "$ref"})
_ADDITIONAL = "additionalOperations"
# Segments that are a variable in some frameworks, and text in documents that do not declare it.
_BARE_VARIABLE = re.compile(r"(?<=/)([:*])(\w+)")
_ESCAPES = {":": "%3A", "*": "%2A"}
_BODILESS = ("GET", "DELETE", "OPTIONS", "TRACE")


@dataclass(frozen=True, kw_only=True)
class Operations:
    """The operations of a specification: routes, skipped operations, and notes.

    A note says what of an operation is not sent as declared: ``METHOD target_path: …``, or ``document: …``.
    """

    routes: tuple[Route, ...] = ()
    skipped: tuple[SkippedRoute, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Operation:
    """One entry of a path item, and the resolved path item; ``problem`` says why it cannot be read.

    ``is_additional``: OpenAPI 3.2's ``additionalOperations`` has it, and its method keeps its capitalisation.
    """

    path: str
    method: str
    item: Mapping[str, Any]
    node: Mapping[str, Any]
    problem: str | None = None
    is_additional: bool = False


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """An operation with its route before the parameters are read, and its parameter objects with their problems."""

    operation: _Operation
    route: Route
    nodes: list[Mapping[str, Any]]
    notes: list[str]


def check_dialect(document: Mapping[str, Any]) -> None:
    """Raise WrapperError unless ``document`` is a Swagger 2.0 or OpenAPI 3.x specification with paths.

    A document without a version is accepted if it has paths.
    """
    version = document.get("openapi", document.get("swagger", document.get("swaggerVersion")))
    paths = document.get("paths", {})
    if version is None:
        if isinstance(paths, Mapping) and any(path.startswith("/") for path in paths):
            return
        raise WrapperError("is not a specification: it has no `openapi` or `swagger` version, and no `paths`")
    number = str(version)[:20] if isinstance(version, (str, int, float)) else "?"
    if not (number.startswith("3") if "openapi" in document else number in ("2", "2.0")):
        raise WrapperError(
            f"is a specification of version {number!r}; supported versions are Swagger 2.0 and OpenAPI 3.x"
        )
    if not isinstance(paths, Mapping):
        raise WrapperError("is a specification whose `paths` is not an object")


def read_operations(
    document: Mapping[str, Any],
    *,
    port: int,
    prefix: str,
    location: str = "/",
    expose: Iterable[str] = (),
    reading_time: ReadingTime | None = None,
) -> Operations:
    """Return every operation of ``document`` as a route of the service on ``port``, or as skipped with its reason.

    ``prefix`` is the document's server path; ``servers`` of path items and operations override it. ``location`` is the
    path of the document. ``expose`` contains categories that are not published by default (``core/exposure.py``).
    Raises WrapperError for another dialect, for more than ``MAX_OPERATIONS`` operations, and when ``reading_time`` is used
    up.
    """
    check_dialect(document)
    reading_time = reading_time or ReadingTime()
    candidates: dict[tuple[str, str], _Candidate] = {}
    skipped: list[SkippedRoute] = []
    for index, operation in enumerate(_iterate_operations(document)):
        if index >= MAX_OPERATIONS:
            raise WrapperError(f"describes more than {MAX_OPERATIONS:,} operations")
        reading_time.check()
        own_prefixes = servers.read_prefixes(operation.node, location) or servers.read_prefixes(
            operation.item, location
        )
        path = (own_prefixes[0] if own_prefixes else prefix) + operation.path
        problem = operation.problem or _find_length_problem(operation.path, path)
        candidate = None if problem else _build_candidate(document, operation, path, port)
        key = _build_key(candidate.route) if candidate else ("", "")
        problem = problem or find_template_problem(key[0])
        if problem is None and key in candidates:
            problem = "another operation has the same path and method"
        if candidate and problem is None:
            candidates[key] = candidate
        else:
            shortened_path = path if len(path) <= MAX_PATH_LENGTH else path[:MAX_PATH_LENGTH] + "…"
            skipped.append(SkippedRoute(path=shortened_path, method=operation.method, port=port, reason=str(problem)))
    routes = _separate_paths(candidate.route for candidate in candidates.values())
    published_routes, hidden = assign_public_paths(routes, expose)
    nodes = (candidate.operation.node for candidate in candidates.values())
    reader = _OperationReader(document, SecurityReader(document, nodes), reading_time)
    routes = [reader.describe(route, candidates[_build_key(route)]) for route in published_routes]
    return Operations(
        routes=tuple(routes), skipped=(*skipped, *hidden), notes=(*reader.notes, *reader.describe_document())
    )


def _build_key(route: Route) -> tuple[str, str]:
    return route.target_path, route.upstream_method


def _build_candidate(document: Mapping[str, Any], operation: _Operation, path: str, port: int) -> _Candidate:
    nodes, notes = operation_parameters.collect_nodes(document, operation.node, operation.item)
    names = [node["name"] for node in nodes if node.get("in") == "path" and isinstance(node.get("name"), str)]
    path = _BARE_VARIABLE.sub(lambda match: match[0] if match[2] in names else f"{_ESCAPES[match[1]]}{match[2]}", path)
    is_other = operation.is_additional and operation.method.upper() not in METHODS
    route = Route(
        path=f"{path.partition('?')[0].rstrip('/')}/{operation.method.lower()}" if is_other else path,
        method="POST" if is_other else operation.method,
        port=port,
        parameters=tuple(Parameter.model_validate({"name": name, "in": "path"}) for name in names if name),
        target_path=path,
        target_method=operation.method if is_other else "",
    )
    return _Candidate(operation=operation, route=route, nodes=nodes, notes=notes)


def _separate_paths(routes: Iterable[Route]) -> list[Route]:
    """Give routes of other methods than HTTP's usual ones a public path that no other operation has."""
    routes = list(routes)
    taken = {route.key for route in routes if not route.target_method}
    separated = {_build_key(route): route for route in routes}
    for key in sorted(key for key, route in separated.items() if route.target_method):
        route = separated[key]
        while route.key in taken:
            route = route.model_copy(update={"path": f"{route.path}/{route.target_method.lower()}"})
        taken.add(route.key)
        separated[key] = route
    return list(separated.values())


def select_plain_get_paths(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return at most 3 paths, without the server's prefix, of GET operations without path variables."""
    paths = (
        operation.path
        for _, operation in zip(range(MAX_OPERATIONS), _iterate_operations(document), strict=False)
        if operation.method == "GET" and not operation.problem and not set(operation.path) & set("{}?#")
    )
    return tuple(path for _, path in zip(range(3), paths, strict=False) if len(path) <= MAX_PATH_LENGTH)


def _iterate_operations(document: Mapping[str, Any]) -> Iterator[_Operation]:
    paths = document.get("paths", {})
    for path, node in paths.items() if isinstance(paths, Mapping) else ():
        if path.startswith("x-"):
            continue
        try:
            item = resolve_node(document, node, "the path item")
        except WrapperError as error:
            yield _Operation(path=path, method=ANY_METHOD, item={}, node={}, problem=error.what)
            continue
        for key, value in item.items():
            if key == _ADDITIONAL:
                yield from _iterate_additional(path, item, value)
            elif key not in _OTHER_KEYS and not key.startswith("x-"):
                yield _read_operation(path, key, item, value)


def _iterate_additional(path: str, item: Mapping[str, Any], operations: Any) -> Iterator[_Operation]:
    if not isinstance(operations, Mapping):
        yield _Operation(path=path, method=ANY_METHOD, item={}, node={}, problem=f"`{_ADDITIONAL}` is not an object")
        return
    for method, node in operations.items():
        yield _read_operation(path, method, item, node, is_additional=True)


def _read_operation(
    path: str, key: str, item: Mapping[str, Any], node: Any, *, is_additional: bool = False
) -> _Operation:
    method, problem = (key if is_additional and key.upper() not in METHODS else key.upper())[:50], None
    if method == "HEAD":
        problem = "a response to HEAD has no body: name the route in CHUTE_STATIC_ROUTES if callers need it"
    elif is_additional and not _is_method(method):
        problem = f"{method!r} is not a method of HTTP that a client can send"
    elif not is_additional and method not in METHODS:
        problem = f"{key[:50]!r} is not a method of a path item: OpenAPI 3.2 has other methods in `{_ADDITIONAL}`"
    elif not isinstance(node, Mapping):
        problem = "the operation is not an object"
    valid_node = node if isinstance(node, Mapping) else {}
    return _Operation(
        path=path, method=method, item=item, node=valid_node, problem=problem, is_additional=is_additional
    )


def _is_method(text: str) -> bool:
    try:
        return bool(text) and bool(Route(path="/", target_method=text))
    except ValidationError:
        return False


class _OperationReader:
    """Reads the requests and responses of operations of one document; ``notes`` lists what could not be read."""

    def __init__(self, document: Mapping[str, Any], security: SecurityReader, reading_time: ReadingTime) -> None:
        self.notes: list[str] = []
        self._note_count = 0
        self._document = document
        self._reading_time = reading_time
        self._shapes = Shapes(document, reading_time)
        self._security = security
        self._dialect_30 = str(document.get("openapi", "2"))[:3] in ("2", "3", "3.0")
        self._schema_bytes_left = MAX_TOTAL_SCHEMA_BYTES

    def describe(self, route: Route, candidate: _Candidate) -> Route:
        """Return ``route`` with the parameters, request, response and schemas of its operation."""
        self._reading_time.check()
        operation, nodes = candidate.operation, candidate.nodes
        label = " ".join(reversed(_build_key(route)))
        body = self._read_or_note(
            f"{label}: body", lambda: request_bodies.read_body(self._shapes, self._document, operation.node, nodes)
        )
        parameters = self._read_parameters(label, route, candidate, body)
        response = (
            self._read_or_note(
                f"{label}: response", lambda: declared_media.read_response(self._document, operation.node)
            )
            or declared_media.DeclaredResponse()
        )
        own_servers = operation.node if operation.node.get("servers") else operation.item
        server_notes = find_server_notes(self._document, own_servers)
        response_notes = describe_other_responses(response, parameters)
        self._add_notes(label, (*(body.notes if body else ()), *server_notes, *response_notes))
        content_type = response.content_type if response.content_type != declared_media.JSON else None
        public_schema = request_bodies.build_public_schema(self._shapes, body, parameters)
        return route.model_copy(
            update={
                "stream": self._find_stream_mode(response, parameters, body),
                "parameters": self._complete_parameters(parameters, body),
                "request": self._select_request_format(route, body, is_declared="requestBody" in operation.node),
                "response": ResponseHint(content_type=content_type) if content_type else None,
                "summary": _build_summary(operation.node),
                "input_schema": self._copy_schema_if_valid(f"{label}: input schema", public_schema),
                "output_schema": self._copy_schema_if_valid(f"{label}: output schema", response.schema),
            }
        )

    def describe_document(self) -> list[str]:
        """Return the notes on the document itself, after all operations were described."""
        more = self._note_count - MAX_NOTES
        notes = (
            *self._security.describe_unused(),
            *find_variable_notes(self._document),
            *([f"{more:,} more notes on its operations"] if more > 0 else []),
        )
        return [f"document: {note}" for note in notes]

    def _read_parameters(
        self, label: str, route: Route, candidate: _Candidate, body: Body | None
    ) -> list[DeclaredParameter]:
        """Return the parameters of an operation, its credentials among them, and note what is not carried."""
        parameters, problems = operation_parameters.read_parameters(
            self._document, candidate.nodes, route.target_path, body_type=body.sent_type if body else None
        )
        names = {declared.parameter.name for declared in parameters if declared.parameter.place == "query"}
        parameters += [  # of a path that ends with RFC 6570's {?a,b}
            DeclaredParameter(parameter=parameter, schema={"type": "string"})
            for parameter in route.parameters
            if parameter.place == "query" and parameter.name not in names
        ]
        credentials, security_problems = self._security.read_credentials(candidate.operation.node)
        self._add_notes(label, (*candidate.notes, *problems, *security_problems))
        merged = operation_parameters.sort_parameters(merge_credentials(parameters, credentials))
        self._add_notes(label, operation_parameters.find_same_names(merged))
        return merged

    def _complete_parameters(self, parameters: Iterable[DeclaredParameter], body: Body | None) -> tuple[Parameter, ...]:
        """Return ``parameters`` with what their schemas and the body's fields say of them."""
        fields = self._shapes.find_properties(body.schema) if body else {}
        return tuple(
            declared.parameter.model_copy(
                update={
                    "type": self._shapes.find_collection_type(declared.schema),
                    "shared": declared.parameter.name in fields,
                }
            )
            for declared in parameters
        )

    def _add_notes(self, label: str, notes: Iterable[str], separator: str = ": ") -> None:
        for note in notes:
            self._note_count += 1
            if self._note_count <= MAX_NOTES:
                self.notes.append(f"{label}{separator}{note}")

    def _find_stream_mode(
        self, response: declared_media.DeclaredResponse, parameters: Iterable[DeclaredParameter], body: Body | None
    ) -> Any:
        """Return the route's ``stream``: STREAM_SWITCH for a route with a field ``stream``.

        The platform itself reads ``stream`` in each call (PLATFORM.md, section 3), so such a route must support both.
        """
        if response.stream:
            return True
        has_parameter = any(parameter.parameter.name == "stream" for parameter in parameters)
        return STREAM_SWITCH if has_parameter or (body and self._has_stream_field(body.schema)) else False

    def _has_stream_field(self, schema: Any) -> bool:
        """Return whether callers may request a stream, or must send a field ``stream`` with another meaning."""
        fields = self._shapes.find_properties(schema)
        return "stream" in fields and (
            self._shapes.is_boolean(fields["stream"]) or "stream" in self._shapes.find_required(schema)
        )

    def _select_request_format(self, route: Route, body: Body | None, *, is_declared: bool) -> RequestFormat | None:
        """Return the format of the body where it differs from the default format of the route."""
        has_default_body = route.upstream_method not in _BODILESS
        if body is None:
            return RequestFormat(encoding="none") if not is_declared and has_default_body else None
        is_default = body.request == route.request_format and has_default_body
        if is_default and not request_bodies.looks_like_file(self._shapes, body.schema):
            return None
        return body.request

    def _copy_schema_if_valid(self, label: str, schema: Any) -> dict[str, Any] | None:
        if schema is None or isinstance(schema, bool):
            return None
        return self._read_or_note(label, lambda: self._copy_schema(schema))

    def _copy_schema(self, schema: Any) -> dict[str, Any]:
        if self._schema_bytes_left <= 0:
            raise WrapperError("the document's schemas are too many or too large")
        self._schema_bytes_left -= MAX_SCHEMA_BYTES
        copy = make_self_contained(self._document, schema, dialect_30=self._dialect_30)
        self._schema_bytes_left += MAX_SCHEMA_BYTES - measure_size(copy)
        return copy

    def _read_or_note(self, label: str, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except WrapperError as error:
            self._add_notes(label, (f"left out: {error.what}",), separator=" ")
            return None


def _build_summary(node: Mapping[str, Any]) -> str:
    """Return the first line of the operation's summary or description."""
    texts = (node.get(key) for key in ("summary", "description"))
    lines = (line for text in texts if isinstance(text, str) for line in text.splitlines())
    line = next((" ".join(line.split()) for line in lines if line.strip()), "")
    return line if len(line) <= MAX_SUMMARY_LENGTH else line[: MAX_SUMMARY_LENGTH - 1].rstrip() + "…"


def _find_length_problem(declared_path: str, path: str) -> str | None:
    if not declared_path.startswith("/"):
        return "the path does not start with '/'"
    if len(path) > MAX_PATH_LENGTH:
        return f"the path is longer than {MAX_PATH_LENGTH} characters"
    return None
