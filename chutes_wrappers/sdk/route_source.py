"""Which manifest belongs to a deploy module."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loguru import logger

from chutes_wrappers.core.calling_module import find_caller_globals
from chutes_wrappers.core.layout import BAKED_MANIFEST
from chutes_wrappers.core.manifest import (
    Manifest,
    build_manifest_path,
    load_manifest,
    merge_static_routes,
    parse_manifest,
    parse_routes,
)
from chutes_wrappers.core.routes import find_unknown_keys

INLINE_VARIABLE = "CHUTES_ROUTE_MANIFEST_JSON"
PATH_VARIABLE = "CHUTES_ROUTE_MANIFEST"
SKIP_VARIABLE = "CHUTES_SKIP_ROUTE_REGISTRATION"


def is_registration_skipped() -> bool:
    """Whether a module is loaded only to read what it says (``CHUTES_SKIP_ROUTE_REGISTRATION``)."""
    return os.environ.get(SKIP_VARIABLE, "").lower() not in ("", "0", "false", "no")


def find_manifest_file(module_globals: Mapping[str, Any]) -> Path | None:
    """The manifest file of a module: ``CHUTES_ROUTE_MANIFEST``, else the one beside it, else the one baked into the image."""
    if configured_path := os.environ.get(PATH_VARIABLE):
        return Path(configured_path)
    module_file = module_globals.get("__file__")
    candidates = [build_manifest_path(module_file)] if module_file else []
    return next((path for path in [*candidates, Path(BAKED_MANIFEST)] if path.exists()), None)


def find_manifest(module_globals: Mapping[str, Any]) -> Manifest | None:
    """The manifest of a module from the first source that is there; None when there is none.

    Raises ConfigurationError for one that is there and wrong, or that a variable names and is not there.
    """
    if inline := os.environ.get(INLINE_VARIABLE):
        return parse_manifest(inline, where=INLINE_VARIABLE)
    path = find_manifest_file(module_globals)
    return load_manifest(path) if path else None


def load_route_manifest(static_routes: Iterable[Mapping[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Routes of the calling module, as dictionaries with the keys of a manifest's ``routes``.

    From the first that is there of ``CHUTES_ROUTE_MANIFEST_JSON``, the file that ``CHUTES_ROUTE_MANIFEST`` names, and
    ``<module>.routes.json`` beside the module (baked into a wrapped image); then ``static_routes`` that are not among them
    by path and method. Empty while ``CHUTES_SKIP_ROUTE_REGISTRATION`` is set.
    """
    if is_registration_skipped():
        return []
    static = list(static_routes or ())
    module = find_caller_globals()
    manifest = find_manifest(module) or Manifest()
    for source, ignored in (("route manifest", manifest.ignored_keys), ("static routes", find_unknown_keys(static))):
        if ignored:
            logger.warning(f"{source}: keys without a meaning here are ignored: {', '.join(ignored)}")
    merged, warnings = merge_static_routes(
        manifest, parse_routes(static, where=f"{module.get('__file__', 'module')}, static routes")
    )
    for warning in warnings:
        logger.warning(warning)
    return [route.to_entry() for route in merged.routes]
