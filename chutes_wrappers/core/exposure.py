"""The filters for routes that are left out by default (those of the seed), and the categories that expose them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, get_args

from chutes_wrappers.core.errors import ConfigurationError

Category = Literal["parameters", "files", "root", "internal", "reserved"]
CATEGORIES: tuple[Category, ...] = get_args(Category)
EVERYTHING = "all"
EXPOSABLE = ",".join((*CATEGORIES, EVERYTHING))
LEFT_OUT = "left out by default"

# A prefix covers the path and everything below it.
INTERNAL_PREFIXES = ("/static", "/assets", "/svelte", "/login", "/logout", "/gradio_api", "/theme")
INTERNAL_MARK = "/__"
# At least one letter: the last segment of /api/v1.2 is a version.
_EXTENSION = re.compile(r"[0-9]*[A-Za-z][A-Za-z0-9]*")


def parse_expose(value: str | Iterable[str], *, where: str) -> frozenset[Category]:
    """Parse the categories in ``value``: ``"parameters,files"``, a list of them, or ``"all"``.

    Raises ConfigurationError with ``where`` for an unknown category.
    """
    parts = value.split(",") if isinstance(value, str) else value
    names = {str(part).strip() for part in parts} - {""} if isinstance(parts, Iterable) else {str(value)}
    if unknown := sorted(names - {*CATEGORIES, EVERYTHING}):
        raise ConfigurationError(
            f"{unknown[0]!r} is not a category that can be exposed",
            where=where,
            next_step=f"use some of {', '.join(CATEGORIES)}, separated by commas, or {EVERYTHING}",
        )
    return frozenset(name for name in CATEGORIES if EVERYTHING in names or name in names)


def find_hidden_categories(path: str) -> dict[Category, str]:
    """Return the categories that hide ``path`` by default, each with its reason; {} if it is published."""
    hidden: dict[Category, str] = {}
    if path.strip("/") == "":
        hidden["root"] = "the root path"
    if "{" in path or "}" in path:
        hidden["parameters"] = "path parameters"
    if internal := _find_internal_prefix(path):
        hidden["internal"] = f"internal route ({internal})"
    _, dot, extension = path.rstrip("/").rpartition("/")[2].rpartition(".")
    if dot and _EXTENSION.fullmatch(extension):
        hidden["files"] = "a file extension"
    return hidden


def find_filter_reason(path: str, exposed: Iterable[str] = ()) -> str | None:
    """Return why ``path`` is not published when the categories ``exposed`` are published, or None."""
    remaining = {
        category: reason
        for category, reason in find_hidden_categories(path).items()
        if category not in frozenset(exposed)
    }
    if not remaining:
        return None
    return f"{' and '.join(remaining.values())}, {LEFT_OUT}; --expose {','.join(remaining)} publishes it"


def _find_internal_prefix(path: str) -> str | None:
    if path.startswith(INTERNAL_MARK):
        return f"{INTERNAL_MARK}*"
    return next(
        (prefix for prefix in INTERNAL_PREFIXES if path == prefix or path.startswith((prefix + "/", prefix + "."))),
        None,
    )
