"""Merge what several documents of one service describe: each operation once, by the first document that has it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chutes_wrappers.core.routes import Route, SkippedRoute
from chutes_wrappers.host.discovery.specification import Operations


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Operations of a service, and the paths of the documents that describe them."""

    locations: tuple[str, ...]
    operations: Operations


def merge_documents(results: Iterable[SearchResult]) -> SearchResult | None:
    """Return the operations of all ``results``; None without any. A document that adds nothing is not named.

    An operation whose public path another document's operation has is skipped.
    """
    merged: SearchResult | None = None
    for result in results:
        merged = result if merged is None else _add(merged, result)
    return merged


def _add(merged: SearchResult, result: SearchResult) -> SearchResult:
    known = merged.operations
    if not known.routes and not known.skipped:
        return result
    targets = {_get_target(route) for route in known.routes} | {(entry.method, entry.path) for entry in known.skipped}
    names = {route.key for route in known.routes}
    new = [route for route in result.operations.routes if _get_target(route) not in targets]
    hidden = [entry for entry in result.operations.skipped if (entry.method, entry.path) not in targets]
    if not new and not hidden:
        return merged
    reason = f"another document's route has its public path ({', '.join(merged.locations)[:200]})"
    collisions = [
        SkippedRoute(path=route.target_path, method=route.method, port=route.port, reason=reason)
        for route in new
        if route.key in names
    ]
    operations = Operations(
        routes=(*known.routes, *(route for route in new if route.key not in names)),
        skipped=(*known.skipped, *hidden, *collisions),
        notes=(*known.notes, *result.operations.notes),
    )
    return SearchResult(locations=(*merged.locations, *result.locations), operations=operations)


def _get_target(route: Route) -> tuple[str, str]:
    return route.upstream_method, route.target_path
