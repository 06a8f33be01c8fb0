"""Read a parsed specification (Swagger 2.0, OpenAPI 3.x) into routes and skipped operations with their reasons. Pure.

An operation that cannot be called is skipped. If only a part of its description is invalid, only that part is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from chutes_wrappers.core.cord_plan import assign_public_paths
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.path_templates import find_template_problem
from chutes_wrappers.core.routes import METHODS, Parameter, Route, SkippedRoute
from chutes_wrappers.host.discovery import operation_parameters, servers
from chutes_wrappers.host.discovery.operation_reader import Candidate, OperationReader
from chutes_wrappers.host.discovery.path_items import DeclaredOperation, iterate_operations
from chutes_wrappers.host.discovery.references import ReadingTime
from chutes_wrappers.host.discovery.security import SecurityReader

MAX_OPERATIONS = 50_000
MAX_PATH_LENGTH = 500
# Segments that are a variable in some frameworks, and text in documents that do not declare it.
_BARE_VARIABLE = re.compile(r"(?<=/)([:*])(\w+)")
_ESCAPES = {":": "%3A", "*": "%2A"}


@dataclass(frozen=True, kw_only=True)
class Operations:
    """The operations of a specification: routes, skipped operations, and notes.

    A note says what of an operation is not sent as declared: ``METHOD target_path: …``, or ``document: …``.
    """

    routes: tuple[Route, ...] = ()
    skipped: tuple[SkippedRoute, ...] = ()
    notes: tuple[str, ...] = ()


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
    candidates, skipped = _collect_candidates(document, port, prefix, location, reading_time)
    routes = _separate_paths(candidate.route for candidate in candidates.values())
    published_routes, hidden = assign_public_paths(routes, expose)
    nodes = (candidate.operation.node for candidate in candidates.values())
    reader = OperationReader(document, SecurityReader(document, nodes), reading_time)
    routes = [reader.describe(route, candidates[_build_key(route)]) for route in published_routes]
    return Operations(
        routes=tuple(routes), skipped=(*skipped, *hidden), notes=(*reader.notes, *reader.describe_document())
    )


def _collect_candidates(
    document: Mapping[str, Any], port: int, prefix: str, location: str, reading_time: ReadingTime
) -> tuple[dict[tuple[str, str], Candidate], list[SkippedRoute]]:
    """Return the operations that can be called, by path and method on the service, and the others with their reasons."""
    candidates: dict[tuple[str, str], Candidate] = {}
    skipped: list[SkippedRoute] = []
    operations = list(islice(iterate_operations(document), MAX_OPERATIONS + 1))
    if len(operations) > MAX_OPERATIONS:
        raise WrapperError(f"describes more than {MAX_OPERATIONS:,} operations")
    for operation in operations:
        reading_time.check()
        own_prefixes = servers.read_prefixes(operation.node, location) or servers.read_prefixes(
            operation.item, location
        )
        path = (own_prefixes[0] if own_prefixes else prefix) + operation.path
        problem = operation.problem or _find_length_problem(operation.path, path)
        candidate = None if problem else _build_candidate(document, operation, path, port)
        key = candidate.key if candidate else ("", "")
        names = [parameter.name for parameter in candidate.route.parameters] if candidate else ()
        problem = problem or find_template_problem(key[0], names)
        if problem is None and key in candidates:
            problem = "another operation has the same path and method"
        if candidate and problem is None:
            candidates[key] = candidate
        else:
            shortened_path = path if len(path) <= MAX_PATH_LENGTH else path[:MAX_PATH_LENGTH] + "…"
            skipped.append(SkippedRoute(path=shortened_path, method=operation.method, port=port, reason=str(problem)))
    return candidates, skipped


def _build_key(route: Route) -> tuple[str, str]:
    return route.target_path, route.upstream_method


def _build_candidate(document: Mapping[str, Any], operation: DeclaredOperation, path: str, port: int) -> Candidate:
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
    return Candidate(operation=operation, route=route, nodes=nodes, notes=notes)


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
        for _, operation in zip(range(MAX_OPERATIONS), iterate_operations(document), strict=False)
        if operation.method == "GET" and not operation.problem and not set(operation.path) & set("{}<[:*?#")
    )
    return tuple(path for _, path in zip(range(3), paths, strict=False) if len(path) <= MAX_PATH_LENGTH)


def _find_length_problem(declared_path: str, path: str) -> str | None:
    if not declared_path.startswith("/"):
        return "the path does not start with '/'"
    if len(path) > MAX_PATH_LENGTH:
        return f"the path is longer than {MAX_PATH_LENGTH} characters"
    return None
