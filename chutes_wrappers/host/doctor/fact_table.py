"""The facts about the platform, as texts for people and as plain data."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.platform_rules import FACTS, Fact

_MAX_SHORT = 26
_UNITS = ((1024**3, "GiB"), (1024**2, "MiB"))


def format_short_facts() -> Iterator[tuple[str, list[str]]]:
    """Yield a date with its sureness, and the names of its facts, with those values that are short; "*" marks rules."""
    groups = dict.fromkeys((fact.date, fact.sureness) for fact in FACTS)
    for date, sureness in groups:
        facts = [fact for fact in FACTS if (fact.date, fact.sureness) == (date, sureness)]
        yield f"{date}, {sureness}", list(map(_format_short_fact, facts))


def format_long_fact(fact: Fact) -> Sequence[str]:
    """Return the lines that describe a fact: its text, values, date, sureness, source, and how the platform refuses."""
    refusal = f"refused: {fact.refusal}" if fact.refusal else "a fact, which --allow does not take"
    values = [f"{name.lower().replace('_', ' ')}: {format_value(name)}" for name in fact.values]
    return fact.text, *values, f"as of {fact.date}, {fact.sureness}; {refusal}; source: {fact.source}"


def describe_facts() -> list[dict[str, Any]]:
    """Return every fact as data for JSON; ``is_rule`` says whether ``--allow`` takes its name."""
    return [
        {
            "name": fact.name,
            "text": fact.text,
            "values": {name: format_value(name) for name in fact.values},
            "is_rule": bool(fact.refusal),
            "refusal": fact.refusal,
            "source": fact.source,
            "date": fact.date,
            "sureness": fact.sureness,
        }
        for fact in FACTS
    ]


def format_value(name: str) -> str:
    """Format the constant ``name`` of ``platform_rules``, with the unit that its name contains."""
    value = getattr(platform_rules, name)
    if name.endswith("_BYTES"):
        size, unit = next((size, unit) for size, unit in _UNITS if value >= size)
        return f"{value / size:g} {unit}"
    if name in ("MIN_GLIBC", "MIN_CUDA", "MIN_PYTHON", "MAX_PYTHON", "MIN_SDK_VERSION"):
        return ".".join(map(str, value))
    unit = next((unit for end, unit in (("_S", " s"), ("_GB", " GB"), ("_TAO", " TAO")) if name.endswith(end)), "")
    return _format_plain(value) + unit


def _format_short_fact(fact: Fact) -> str:
    """Return the name and as many of the values as are short."""
    texts = [format_value(name) for name in fact.values if not isinstance(getattr(platform_rules, name), re.Pattern)]
    lengths = itertools.accumulate(len(text) + 2 for text in texts)
    values = ", ".join(text for text, length in zip(texts, lengths, strict=True) if length <= _MAX_SHORT)
    return f"{fact.name}{'*' if fact.refusal else ''}{f' ({values})' if values else ''}"


def _format_plain(value: Any) -> str:
    if isinstance(value, re.Pattern):
        return str(value.pattern)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_format_plain(each)}" for key, each in value.items())
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(each, int | float) for each in value):
        return f"{_format_plain(value[0])} to {_format_plain(value[1])}"
    if isinstance(value, frozenset | tuple):
        items = sorted(value, key=str) if isinstance(value, frozenset) else value
        return ", ".join(_format_plain(item).rstrip(",") for item in items)
    return f"{value:g}" if isinstance(value, float) else str(value)
