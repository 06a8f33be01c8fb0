"""Conversion of routes to the cords that publish them. Pure: the user's machine and the instance compute the same plan."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.aliases import build_aliases
from chutes_wrappers.core.exposure import find_filter_reason, find_hidden_categories
from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.routes import METHODS, STREAM_SWITCH, Route, SkippedRoute

# Which of a path's methods becomes its POST.
_POST_ORDER = (
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    *(method for method in METHODS if method not in ("POST", "PUT", "PATCH", "DELETE")),
)


class PlannedCord(BaseModel):
    """All properties of one cord, as plain values that are equal on the user's machine and on the instance."""

    model_config = ConfigDict(frozen=True)

    function_name: str
    internal_path: str
    public_path: str
    public_method: str
    route: Route
    port: int
    stream: bool = False

    @property
    def name(self) -> str:
        """Public method and path, as ``CHUTE_EXAMPLES`` names a route."""
        return f"{self.public_method} {self.public_path}"


class CordPlan(BaseModel):
    """The cords of a chute, the skipped routes, and warnings about the published routes."""

    model_config = ConfigDict(frozen=True)

    cords: tuple[PlannedCord, ...] = ()
    skipped: tuple[SkippedRoute, ...] = ()
    warnings: tuple[str, ...] = ()


def assign_public_paths(
    routes: Iterable[Route], expose: Iterable[str] = (), default_port: int | None = None
) -> tuple[tuple[Route, ...], tuple[SkippedRoute, ...]]:
    """Return ``routes`` with their public paths, and the routes that the filters leave out, with the reason.

    ``expose`` names the categories (``core/exposure.py``) that are published although they are left out by default.
    """
    exposed = frozenset(expose)
    reasons = [(route, None if route.exposed else find_filter_reason(route.path, exposed)) for route in routes]
    selected = [route for route, reason in reasons if reason is None]
    aliases = build_aliases((route.path for route in selected), move_reserved="reserved" in exposed)
    published = tuple(
        route.model_copy(
            # A manifest that is read again must not filter the alias.
            update={"path": aliases[route.path], "exposed": bool(find_hidden_categories(aliases[route.path]))}
        )
        for route in selected
    )
    return published, tuple(route.to_skipped(reason, default_port) for route, reason in reasons if reason)


def plan_cords(
    routes: Iterable[Route],
    default_port: int,
    public_methods: Iterable[str] = platform_rules.API_PUBLIC_METHODS,
    expose: Iterable[str] = (),
) -> CordPlan:
    """Return the cords that publish ``routes``: one for each, and two for a route whose caller decides about streaming."""
    published_routes, filtered = assign_public_paths(routes, expose, default_port)
    problems = [(route, _find_native_problem(route)) for route in published_routes]
    publishable = [route for route, problem in problems if problem is None]
    skipped = [*filtered, *(route.to_skipped(problem, default_port) for route, problem in problems if problem)]
    names = _assign_public_names(publishable, public_methods)
    cords: dict[tuple[str, str], tuple[PlannedCord, ...]] = {}
    warnings: list[str] = []
    for route in publishable:
        name = names[route.key]
        if name in cords:
            skipped.append(route.to_skipped("another route has the same path and method", default_port))
            continue
        if platform_checks.is_shadowed(name[0]):
            warnings.append(_format_shadowed_warning(*name))
        cords[name] = _build_cords(route, *name, route.port or default_port)
    return CordPlan(
        cords=tuple(cord for pair in cords.values() for cord in pair), skipped=tuple(skipped), warnings=tuple(warnings)
    )


def find_published_methods(internal_paths: Iterable[str]) -> tuple[str, ...]:
    """Return the public methods of planned cords with these internal paths, as ``plan_cords`` needs them to plan the same.

    They are the default methods when no path is that of a planned cord.
    """
    kinds = {
        path.removeprefix("/cw_").removeprefix("stream_").partition("/")[0]
        for path in internal_paths
        if path.startswith("/cw_")
    }
    methods = (*platform_rules.API_PUBLIC_METHODS, *platform_rules.NEWEST_PUBLIC_METHODS)
    return tuple(method for method in methods if method.lower() in kinds) or platform_rules.API_PUBLIC_METHODS


def separate_ports(routes: Iterable[Route], ports: Iterable[int]) -> tuple[Route, ...]:
    """Resolve path conflicts between services: the first of ``ports`` keeps the path, the others get ``/p<port>/…``."""
    order = {port: index for index, port in enumerate(ports)}
    separated: dict[tuple[str, str], Route] = {}
    for route in sorted(routes, key=lambda route: order.get(route.port or 0, len(order))):
        while route.key in separated and separated[route.key].port != route.port:
            moved = {"path": f"/p{route.port}{route.path}", "target_path": route.target_path}
            route = route.model_copy(update=moved)
        separated.setdefault(route.key, route)
    return tuple(separated.values())


def _build_cords(route: Route, public_path: str, public_method: str, port: int) -> tuple[PlannedCord, ...]:
    # The platform uses the first of two cords on one public path: the one that can stream.
    kinds = (True, False) if route.stream == STREAM_SWITCH else (bool(route.stream),)
    return tuple(_build_cord(route, public_path, public_method, port, stream) for stream in kinds)


def _build_cord(route: Route, public_path: str, public_method: str, port: int, stream: bool) -> PlannedCord:
    kind = public_method.lower() if not stream else f"stream_{public_method.lower()}"
    # "-" is legal in a public path only. "__", "_0" and "_" before a letter (the function's "/") are unambiguous. So both
    # names are one to one with the public path, and independent of the other routes.
    internal = f"/cw_{kind}{public_path.replace('_', '__').replace('-', '_0')}"
    return PlannedCord(
        function_name=internal.strip("/").replace("/", "_"),
        internal_path=internal,
        public_path=public_path,
        public_method=public_method,
        route=route,
        port=port,
        stream=stream,
    )


def _assign_public_names(
    routes: Iterable[Route], public_methods: Iterable[str]
) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the public (path, method) of each route key: a method that is not public becomes a POST.

    So does a GET, HEAD or DELETE with a declared body, since the platform sends none with these. Of the methods that are
    not public, the first of PUT, PATCH, DELETE, GET and the others keeps a path that has no POST. Any other method gets
    ``<path>/<method>``. The order of the routes does not matter.
    """
    public = frozenset(public_methods) | {"POST"}  # whatever is not public becomes a POST
    routes = list(routes)
    with_body = {route.key for route in routes if route.has_declared_body and route.method in BODILESS_METHODS}
    keys = sorted({route.key for route in routes}, key=lambda key: (_POST_ORDER.index(key[1]), key))
    names = {key: key for key in keys if key[1] in public and key not in with_body}
    posts = {path for path, method in names if method == "POST"}
    for path, method in keys:
        if (path, method) not in names and path not in posts:
            names[path, method] = path, "POST"
            posts.add(path)
    for path, method in keys:
        if (path, method) not in names:
            moved = f"{path}/{method.lower()}"
            while moved in posts:
                moved = f"{moved}/{method.lower()}"
            names[path, method] = moved, "POST"
            posts.add(moved)
    return names


def _find_native_problem(route: Route) -> str | None:
    """Return why the SDK's passthrough cannot call the native ``route``, or None (PLATFORM.md, section 2)."""
    if not route.native or platform_rules.SDK_PATH.match(route.target_path):
        return None
    return (
        f"the SDK's passthrough cannot call {route.target_path!r}: it accepts only lower case letters, digits, '_' and '-', "
        'without a trailing slash; remove "native"'
    )


def _format_shadowed_warning(public_path: str, public_method: str) -> str:
    return (
        f"{public_method} {public_path}: the platform serves this path itself, so calls do not reach the service. "
        "Publish it under another `path` with this one as `target_path`, or expose `reserved`"
    )
