"""Route manifests (``deploy_x.routes.json``): load, merge, validate, write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.files import read_regular_file, write_atomically
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.route_checks import find_call_problem
from chutes_wrappers.core.routes import Route, SkippedRoute, find_source_key, find_unknown_keys, normalise_entry

VERSION = 1
SUFFIX = ".routes.json"
_MAX_FILE_BYTES = 64 * 1024**2


class Manifest(BaseModel):
    """The facts about a wrapped service. JSON shape: the route manifest file.

    ``routes`` become cords. ``image`` is how the base image starts its service (None: not inspected). ``source`` is where
    the routes come from, for instance ``{"8020": "http://127.0.0.1:8020/openapi.json"}``. ``skipped`` lists every operation
    that was left out, with the reason. ``notes`` says by port what of the routes' operations is not sent as the
    specification declares it. ``ignored_keys`` are unknown keys of a file's routes; they are not written again.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = VERSION
    source: dict[str, str] = Field(default_factory=dict)
    image: LaunchSpec | None = None
    routes: tuple[Route, ...] = ()
    skipped: tuple[SkippedRoute, ...] = ()
    notes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    ignored_keys: tuple[str, ...] = Field(default=(), exclude=True)

    def to_json(self) -> str:
        """Return the manifest as a file: sorted and indented, byte-identical for equal manifests, without default values."""
        ordered = self.model_copy(
            update={
                "routes": tuple(sorted(self.routes, key=lambda r: (r.port or 0, r.path, r.method))),
                "skipped": tuple(sorted(self.skipped, key=lambda s: (s.port or 0, s.path, s.method, s.reason))),
                "notes": {port: tuple(sorted(notes)) for port, notes in sorted(self.notes.items())},
            }
        )
        data = ordered.model_dump(mode="json", exclude_defaults=True)
        data["routes"] = [_route_to_json(route) for route in ordered.routes]
        return json.dumps({"version": VERSION, **data}, indent=2) + "\n"


def _route_to_json(route: Route) -> dict[str, Any]:
    """Return a route with the seed's keys always, and other keys only if they differ from the default."""
    keys = ("path", "method", "port", "target_path", "stream")
    return {
        **{key: getattr(route, key) for key in keys},
        **{key: value for key, value in route.to_entry().items() if key not in keys},
    }


def build_manifest_path(module_file: str | Path) -> Path:
    """Return ``deploy_x.routes.json`` in the folder of ``deploy_x.py``."""
    return Path(module_file).with_suffix(SUFFIX)


def load_manifest(path: Path) -> Manifest:
    """Read and validate a manifest file. Raises ConfigurationError with the file, the field and the fix."""
    try:
        text = read_regular_file(path, max_bytes=_MAX_FILE_BYTES).decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError("the route manifest is not UTF-8 text", where=str(path)) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(
            f"cannot read the route manifest ({reason})",
            where=str(path),
            next_step=f"create one with {NAMES.deploy} --discover MODULE, or correct the path",
        ) from error
    return parse_manifest(text, where=str(path))


def parse_manifest(text: str, *, where: str) -> Manifest:
    """Parse and validate manifest JSON: an object with ``routes``, or a plain list of routes. Raises ConfigurationError."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:  # Python also limits the digits of an integer
        raise ConfigurationError(
            f"not valid JSON: {error}", where=where, next_step="correct it, or discover again"
        ) from error
    if isinstance(data, list):
        data = {"routes": data}
    if not isinstance(data, dict) or not isinstance(data.get("routes"), list):
        raise ConfigurationError(
            'a manifest must be {"routes": [...]} or a list of routes',
            where=where,
            next_step="see Discovery in the README",
        )
    version = data.get("version", VERSION)
    if type(version) is not int or version != VERSION:  # True and 1.0 equal 1
        raise ConfigurationError(
            f"unsupported version {version!r}: this toolkit reads version {VERSION}",
            where=where,
            next_step="update the toolkit, or discover again",
        )
    routes = parse_routes(data["routes"], where=where)
    try:
        rest = Manifest.model_validate({**data, "routes": (), "ignored_keys": ()})
    except ValidationError as error:
        raise ConfigurationError(
            _format_first_problem(error), where=where, next_step="correct it, or discover again"
        ) from error
    return rest.model_copy(update={"routes": routes, "ignored_keys": find_unknown_keys(data["routes"])})


def parse_routes(entries: Iterable[Any], *, where: str) -> tuple[Route, ...]:
    """Validate route entries (a manifest's or ``CHUTE_STATIC_ROUTES``).

    Raises ConfigurationError for the first invalid entry, with its index, its field, the value and the fix. Known keys of
    other toolkits are translated. Unknown keys are ignored (``find_unknown_keys`` returns them).
    """
    routes: dict[tuple[str, str], tuple[int, Route]] = {}
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise _make_route_error(where, index, f"a route must be an object, not {type(entry).__name__}")
        try:
            route = Route.model_validate(normalise_entry(entry))
        except ValidationError as error:
            raise _make_route_error(where, index, _format_first_problem(error, entry)) from error
        if problem := find_call_problem(route):
            raise _make_route_error(where, index, f"`{find_source_key(problem[0], entry)}`: {problem[1]}")
        if route.key in routes:
            other = routes[route.key][0]
            raise _make_route_error(
                where,
                index,
                f"{route.describe()} is a duplicate of route {other}; give one of them another `path` and keep `target_path`",
            )
        routes[route.key] = (index, route)
    return tuple(route for _, route in routes.values())


def merge_static_routes(manifest: Manifest, static: Iterable[Route]) -> tuple[Manifest, tuple[str, ...]]:
    """Add static routes that are not in the manifest; a duplicate of path and method is skipped.

    Only its ``stream`` is kept if it has the same target: specifications often do not say that a response is an event stream.
    Returns the merged manifest, and a warning for each skipped route with another target.
    """
    routes = {route.key: route for route in manifest.routes}
    warnings = []
    for route in static:
        known = routes.setdefault(route.key, route)
        if (known.target_path, known.upstream_method) != (route.target_path, route.upstream_method) or (
            known.port and route.port and known.port != route.port
        ):
            warnings.append(
                f"static route {route.describe()} to {route.port or 'the first port'}{route.target_path} is skipped: the "
                f"manifest already routes it to {known.port or 'the first port'}{known.target_path}; "
                "give it another `path` to publish both"
            )
        elif route.stream and not known.stream:
            routes[route.key] = known.model_copy(update={"stream": route.stream})
    return manifest.model_copy(update={"routes": tuple(routes.values())}), tuple(warnings)


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write ``manifest`` atomically: the old file is unchanged until the new one is complete on disk. Raises WrapperError."""
    write_atomically(path, manifest.to_json())


def _make_route_error(where: str, index: int, problem: str) -> ConfigurationError:
    return ConfigurationError(
        problem, where=f"{where}, route {index}", next_step="correct this route, then run the command again"
    )


def _format_first_problem(error: ValidationError, entry: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Return the first problem, with the key that ``entry`` uses for the field."""
    problem = error.errors(include_url=False)[0]
    first, *rest = problem["loc"]
    field = find_source_key(str(first), entry) + "".join(f"[{x}]" if isinstance(x, int) else f".{x}" for x in rest)
    if problem["type"] == "missing":
        return f"`{field}` is missing"
    if problem["type"] == "extra_forbidden":
        return f"`{field}` is an unknown key"
    if problem["type"] == "model_type":
        return f"`{field}` = {problem['input']!r}: must be an object"
    message = problem["msg"].removeprefix("Value error, ")
    return f"`{field}` = {problem['input']!r}: {message[:1].lower()}{message[1:]}"
