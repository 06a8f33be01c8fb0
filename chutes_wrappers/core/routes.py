"""Routes: one upstream operation each, and what may become of it in public."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from chutes_wrappers.core import platform_rules

# The seed's list of what a wrapped service keeps to itself; a prefix covers the path and everything below it.
INTERNAL_PREFIXES = ("/static", "/assets", "/svelte", "/login", "/logout", "/gradio_api", "/theme")
INTERNAL_MARK = "/__"
_FILE = re.compile(r"\.[A-Za-z0-9]+$")


class SkippedRoute(BaseModel):
    """An operation that did not become a route, and why. JSON shape: an entry of ``skipped`` in a manifest."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    method: str
    port: int | None = None
    reason: str


class Route(BaseModel):
    """One operation of a wrapped service. JSON shape: an entry of ``routes`` in a manifest.

    ``path`` is the public path, ``method`` the service's method, ``port`` the service's port (None: the module's first),
    ``target_path`` the path on the service (default: ``path``), ``target_method`` the method on the service when
    it differs from ``method``, ``stream`` whether the answer is an event stream. The schemas are self-contained JSON Schema.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    method: str = "POST"
    port: int | None = Field(default=None, ge=1, le=65535)
    target_path: str = ""
    target_method: str = ""
    stream: bool = False
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    output_content_type: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _target_path_defaults_to_path(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("target_path") and "path" in data:
            return {**data, "target_path": data["path"]}
        return data

    @field_validator("path", "target_path")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError("must start with '/'")
        return value

    @field_validator("method", "target_method")
    @classmethod
    def _known_method(cls, value: str) -> str:
        method = value.upper()
        if method and method not in platform_rules.UPSTREAM_METHODS:
            raise ValueError(f"is not one of {', '.join(platform_rules.UPSTREAM_METHODS)}")
        return method

    @property
    def key(self) -> tuple[str, str]:
        """What makes two routes duplicates: path and method."""
        return self.path, self.method

    @property
    def upstream_method(self) -> str:
        """The method on the service."""
        return self.target_method or self.method

    def describe(self) -> str:
        """``METHOD path``, as people name a route."""
        return f"{self.method} {self.path}"

    def skipped(self, reason: str, default_port: int | None = None) -> SkippedRoute:
        """This route as an entry of ``skipped``."""
        return SkippedRoute(path=self.path, method=self.method, port=self.port or default_port, reason=reason)


class PlannedCord(BaseModel):
    """Everything a cord is made from, as plain values: equal on both sides of a deployment."""

    model_config = ConfigDict(frozen=True)

    function_name: str
    internal_path: str
    public_path: str
    public_method: str
    route: Route
    port: int


class CordPlan(BaseModel):
    """The cords of a chute, what was left out, and what a person should know about the rest."""

    model_config = ConfigDict(frozen=True)

    cords: tuple[PlannedCord, ...] = ()
    skipped: tuple[SkippedRoute, ...] = ()
    warnings: tuple[str, ...] = ()


def filter_reason(path: str) -> str | None:
    """Why ``path`` is not published by default (the seed's filters), or None."""
    if path.strip("/") == "":
        return "the root path cannot be a cord; give it a name with a static route"
    if "{" in path or "}" in path:
        return "a cord cannot carry path parameters; a static route can name one concrete path"
    if path.startswith(INTERNAL_MARK):
        return f"internal route ({INTERNAL_MARK}*)"
    for prefix in INTERNAL_PREFIXES:
        if path == prefix or path.startswith((prefix + "/", prefix + ".")):
            return f"internal route ({prefix})"
    if _FILE.search(path.rstrip("/").rsplit("/", 1)[-1]):
        return "a path with a file extension cannot be a cord"
    return None


def native_passthrough_problem(route: Route) -> str | None:
    """Why the SDK's own passthrough cannot carry ``route``, or None (PLATFORM.md, section 2)."""
    if not platform_rules.API_PUBLIC_PATH.match(route.path):
        return (
            f"public path {route.path!r} must be lower case, and each segment a letter followed by letters, digits, "
            "'_' or '-'; publish it under another `path` and keep this one as `target_path`"
        )
    if not platform_rules.SDK_PATH.match(route.target_path):
        return (
            f"the SDK's passthrough cannot call {route.target_path!r}: only lower case letters, digits, '_' and '-', "
            "without a trailing slash"
        )
    return None


def _internal_path(public_path: str, public_method: str) -> str:
    # "-" is legal in a public path only, and "_d_" cannot be mistaken: a plain "_" is doubled. So the mapping is one to one,
    # and independent of the other routes.
    escaped = public_path.replace("_", "__").replace("-", "_d_")
    return f"/cw_{public_method.lower()}{escaped}"


def _public_names(routes: Iterable[Route], public_methods: Iterable[str]) -> dict[tuple[str, str], tuple[str, str]]:
    """For each route key its public (path, method): a method that is not public becomes a POST.

    On the route's own path when no POST is there, else on ``<path>/<method>``. Of several such methods on one path without a
    POST, the first of PUT, PATCH, DELETE keeps the path, in whatever order the routes come.
    """
    public = frozenset(public_methods)
    keys = sorted({route.key for route in routes}, key=lambda key: platform_rules.UPSTREAM_METHODS.index(key[1]))
    names = {key: key for key in keys if key[1] in public}
    taken = set(names.values())
    for path, method in keys:
        if (path, method) in names:
            continue
        public_path = path
        while (public_path, "POST") in taken:
            public_path = f"{public_path.rstrip('/')}/{method.lower()}"
        names[path, method] = (public_path, "POST")
        taken.add(names[path, method])
    return names


def plan_cords(
    routes: Iterable[Route],
    default_port: int,
    public_methods: Iterable[str] = platform_rules.API_PUBLIC_METHODS,
) -> CordPlan:
    """Decide which cords publish ``routes``. Pure: the same routes give the same plan on both sides of a deployment."""
    publishable: list[Route] = []
    skipped: list[SkippedRoute] = []
    for route in routes:
        reason = filter_reason(route.path) or native_passthrough_problem(route)
        if reason:
            skipped.append(route.skipped(reason, default_port))
        else:
            publishable.append(route)
    names = _public_names(publishable, public_methods)
    cords: dict[tuple[str, str], PlannedCord] = {}
    warnings: list[str] = []
    for route in publishable:
        public_path, public_method = names[route.key]
        port = route.port or default_port
        if (public_path, public_method) in cords:
            skipped.append(route.skipped("another route has the same path and method", default_port))
            continue
        if platform_rules.is_shadowed(public_path):
            warnings.append(
                f"{public_method} {public_path}: the platform answers this path itself, calls will not reach the service; "
                "publish it under another `path` with this one as `target_path`"
            )
        internal = _internal_path(public_path, public_method)
        cords[public_path, public_method] = PlannedCord(
            function_name=internal.strip("/").replace("/", "_"),
            internal_path=internal,
            public_path=public_path,
            public_method=public_method,
            route=route,
            port=port,
        )
    return CordPlan(cords=tuple(cords.values()), skipped=tuple(skipped), warnings=tuple(warnings))


def separate_ports(routes: Iterable[Route], ports: Iterable[int]) -> tuple[Route, ...]:
    """Give operations that several services share a path each: the first of ``ports`` keeps it, the others get ``/p<port>/…``."""
    order = {port: index for index, port in enumerate(ports)}
    separated: dict[tuple[str, str], Route] = {}
    for route in sorted(routes, key=lambda route: order.get(route.port or 0, len(order))):
        if route.key in separated and separated[route.key].port != route.port:
            moved = {"path": f"/p{route.port}{route.path}", "target_path": route.target_path}
            route = route.model_copy(update=moved)
        separated.setdefault(route.key, route)
    return tuple(separated.values())


# Keys that other toolkits of this shape wrote, and what they mean here.
_SYNONYMS = {"public_api_path": "path", "passthrough_path": "target_path", "passthrough_port": "port"}
_MEANINGLESS = frozenset({"cord", "function_name", "name", "description", "summary"})


def normalise_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Translate one raw route entry into the fields of Route.

    ``public_api_path`` beats ``path``, which then names the service's path unless ``passthrough_path`` or ``target_path``
    does; ``passthrough_port`` is the port.
    """
    fields = {key: value for key, value in entry.items() if key not in _MEANINGLESS and key not in _SYNONYMS}
    for old, new in _SYNONYMS.items():
        if old in entry:
            fields.setdefault(new, entry[old])
    if "public_api_path" in entry and fields["path"] != entry["public_api_path"]:
        fields.setdefault("target_path", fields["path"])
        fields["path"] = entry["public_api_path"]
    return fields


def meaningless_keys(entries: Iterable[Any]) -> tuple[str, ...]:
    """Keys of other toolkits that ``entries`` carry and that have no meaning here, sorted."""
    return tuple(sorted({key for entry in entries if isinstance(entry, Mapping) for key in set(entry) & _MEANINGLESS}))
