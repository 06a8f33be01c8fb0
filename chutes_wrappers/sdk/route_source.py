"""Lookup of the manifest that belongs to a deploy module."""

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
    """Return whether a module is loaded only to read its variables (``CHUTES_SKIP_ROUTE_REGISTRATION``)."""
    return os.environ.get(SKIP_VARIABLE, "").lower() not in ("", "0", "false", "no")


def find_manifest_file(module_globals: Mapping[str, Any]) -> Path | None:
    """Return a module's manifest file: ``CHUTES_ROUTE_MANIFEST``, else the one beside it, else the one in the image."""
    if configured_path := os.environ.get(PATH_VARIABLE):
        return Path(configured_path)
    module_file = module_globals.get("__file__")
    candidates = [build_manifest_path(module_file)] if module_file else []
    return next((path for path in [*candidates, Path(BAKED_MANIFEST)] if path.exists()), None)


def find_manifest(module_globals: Mapping[str, Any]) -> Manifest | None:
    """Return the manifest of a module from the first source that exists; None without one.

    Raises ConfigurationError for an invalid manifest, and for a missing file that a variable names.
    """
    if inline := os.environ.get(INLINE_VARIABLE):
        return parse_manifest(inline, where=INLINE_VARIABLE)
    path = find_manifest_file(module_globals)
    return load_manifest(path) if path else None


def load_route_manifest(static_routes: Iterable[Mapping[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Return the routes of the calling module, as dictionaries with the keys of a manifest's ``routes``.

    They come from the first source that exists: ``CHUTES_ROUTE_MANIFEST_JSON``, the file that ``CHUTES_ROUTE_MANIFEST``
    names, or ``<module>.routes.json`` beside the module (in a wrapped image, baked into it). Those of ``static_routes``
    with another path or method are appended. The list is empty while ``CHUTES_SKIP_ROUTE_REGISTRATION`` is set.
    """
    if is_registration_skipped():
        return []
    static = list(static_routes or ())
    module = find_caller_globals()
    manifest = find_manifest(module) or Manifest()
    for source, ignored in (("route manifest", manifest.ignored_keys), ("static routes", find_unknown_keys(static))):
        if ignored:
            logger.warning(f"{source}: ignoring unknown keys: {', '.join(ignored)}")
    merged, warnings = merge_static_routes(
        manifest, parse_routes(static, where=f"{module.get('__file__', 'module')}, static routes")
    )
    for warning in warnings:
        logger.warning(warning)
    return [route.to_entry() for route in merged.routes]
