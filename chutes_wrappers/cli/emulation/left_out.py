"""What discovery and the filters left out of a chute, by reason, and what publishes it. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from chutes_wrappers.core.exposure import CATEGORIES, Category
from chutes_wrappers.core.routes import SkippedRoute
from chutes_wrappers.core.text import clean_text

_CATEGORY_NAMES: dict[Category, str] = {
    "parameters": "with parameters in the path",
    "files": "with a file extension",
    "root": "at the root path",
    "internal": "at an internal path",
    "reserved": "at a path of the platform",
}
# Of core/exposure.py, find_filter_reason.
_EXPOSE = re.compile(r"--expose ([a-z,]+) publishes")
_MAX_REASONS = 4
_LONGEST_REASON = 80


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """``count`` operations of ``reason``; ``categories`` in CHUTE_EXPOSE publish them, if there are any."""

    reason: str
    count: int
    categories: tuple[Category, ...] = ()


def group_skipped(skipped: Iterable[SkippedRoute]) -> list[LeftOut]:
    """Return the reasons of ``skipped`` operations, the most frequent first."""
    counts: Counter[tuple[str, tuple[Category, ...]]] = Counter()
    keys = set()
    for route in skipped:
        key = route.port, route.method, route.path
        if key not in keys:
            keys.add(key)
            counts[_find_reason(route)] += 1
    return [
        LeftOut(reason=reason, count=count, categories=categories)
        for (reason, categories), count in counts.most_common()
    ]


def _find_reason(route: SkippedRoute) -> tuple[str, tuple[Category, ...]]:
    match = _EXPOSE.search(route.reason)
    names = match[1].split(",") if match else []
    categories = tuple(category for category in CATEGORIES if category in names)
    if categories:
        return " and ".join(_CATEGORY_NAMES[category] for category in categories), categories
    return clean_text(route.reason)[:_LONGEST_REASON], ()


def format_left_out(groups: Sequence[LeftOut], published: int, exposed: Collection[Category] = ()) -> str:
    """Return how many operations were left out, by reason, with what publishes them; empty for none.

    ``exposed`` are the categories that the module publishes already.
    """
    count = sum(group.count for group in groups)
    if not count:
        return ""
    reasons = [_format_group(group, exposed) for group in groups[:_MAX_REASONS]]
    rest = sum(group.count for group in groups[_MAX_REASONS:])
    more = [f"{rest} for other reasons"] if rest else []
    noun = "operation" if count + published == 1 else "operations"
    return f"{count} of {count + published} {noun} left out: {', '.join([*reasons, *more])}"


def format_expose(categories: Sequence[Category], exposed: Collection[Category] = ()) -> str:
    """Return the line of a module that publishes ``categories`` too, beside ``exposed``; empty for none."""
    names = [category for category in CATEGORIES if category in {*categories, *exposed}]
    return f"CHUTE_EXPOSE = {json.dumps(names)}" if categories else ""


def _format_group(group: LeftOut, exposed: Collection[Category]) -> str:
    if not group.categories:
        return f"{group.count} ({group.reason})"
    return f"{group.count} {group.reason} ({format_expose(group.categories, exposed)})"
