"""Numbers and texts for schemas, within their bounds, and whether a declared example is within them. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from chutes_wrappers.host.parity.pattern_examples import build_matching_text, has_match

_MAX_TEXT_LENGTH = 50_000
_HALF = Fraction(1, 2)
# In the forms of JSON Schema's and OpenAPI's registries of formats.
_FORMAT_EXAMPLES = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT1H",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "http://127.0.0.1/",
    "url": "http://127.0.0.1/",
    "uri-reference": "/a",
    "uri-template": "/a/{b}",
    "iri": "http://127.0.0.1/",
    "iri-reference": "/a",
    "email": "someone@example.org",
    "idn-email": "someone@example.org",
    "hostname": "example.org",
    "idn-hostname": "example.org",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "byte": "YQ==",
    "json-pointer": "/a",
    "relative-json-pointer": "0",
    "regex": "^a",
    "decimal": "1.5",
}
# RFC 3339 and RFC 9562, as services check them: many also take a time without an offset.
_FORMAT_PATTERNS = {
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "date-time": re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d(:?\d\d)?)?"),
    "uuid": re.compile(r"(urn:uuid:)?[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}"),
    "email": re.compile(r"[^@\s]+@[^@\s]+"),
    "ipv4": re.compile(r"\d{1,3}(\.\d{1,3}){3}"),
    "uri": re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+"),
}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (Mapping,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int, float),
    "number": (int, float),
}


def build_number(node: Mapping[str, Any], *, is_whole: bool) -> float:
    """Return a number within the bounds of ``node``; 1 if they exclude each other or are not numbers."""
    low, is_above = _read_limit(node, "minimum", "exclusiveMinimum", max)
    high, is_below = _read_limit(node, "maximum", "exclusiveMaximum", min)
    step = _to_fraction(node.get("multipleOf")) or (Fraction(1) if is_whole else None)
    if is_whole and step is not None and step.denominator != 1:
        step = Fraction(step.numerator)
    if low is not None:
        start = low
    elif high is None or high > 1 or (high == 1 and not is_below):
        start = Fraction(1)
    else:
        start = high - (step or 1) if is_below else high - (high % step if step else 0)
    if step is None:
        has_room = high is not None and high > start
        number = start + (
            (min(high - start, Fraction(1)) * _HALF if high is not None and has_room else _HALF) if is_above else 0
        )
    else:
        number = -(-start // step) * step
        number += step if is_above and low is not None and number <= low else 0
    try:
        value = _to_float(number)
        return int(number) if number.denominator == 1 and is_whole else value
    except (ValueError, OverflowError):
        return 1


def _to_float(number: Fraction) -> float:
    value = float(number)
    return value if math.isfinite(value) else 1


def _read_limit(node: Mapping[str, Any], keyword: str, exclusive: str, choose: Any) -> tuple[Fraction | None, bool]:
    """Return a limit, and whether it is exclusive: a number, or with OpenAPI 3.0 a flag beside the other."""
    inclusive, flag = _to_fraction(node.get(keyword)), node.get(exclusive)
    if isinstance(flag, bool):
        return inclusive, flag and inclusive is not None
    strict = _to_fraction(flag)
    if strict is None or (inclusive is not None and choose(inclusive, strict) != strict):
        return inclusive, False
    return strict, True


def _to_fraction(value: Any) -> Fraction | None:
    if isinstance(value, float):
        return Fraction(str(value)) if math.isfinite(value) else None
    return Fraction(value) if isinstance(value, int) and not isinstance(value, bool) else None


def build_text(node: Mapping[str, Any]) -> str:
    """Return a text with the pattern, or the format, and the length of ``node``."""
    min_length, max_length = _read_length(node, "minLength") or 0, _read_length(node, "maxLength")
    pattern = node.get("pattern")
    if isinstance(pattern, str) and (text := build_matching_text(pattern, min_length, max_length)) is not None:
        usual = _FORMAT_EXAMPLES.get(str(node.get("format")), "hello")
        return usual if is_allowed(usual, node) and str(node.get("format")) in _FORMAT_EXAMPLES else text
    text = _FORMAT_EXAMPLES.get(str(node.get("format")), "hello")
    if node.get("contentEncoding") == "base64":
        text = "YQ=="
    if len(text) < min_length:
        text = (text * (min_length // len(text) + 1))[:min_length]
    return text[:max_length] if max_length is not None else text


def _read_length(node: Mapping[str, Any], keyword: str) -> int | None:
    value = node.get(keyword)
    return (
        min(int(value), _MAX_TEXT_LENGTH)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9
        else None
    )


def is_allowed(value: Any, node: Mapping[str, Any]) -> bool:
    """Return whether a scalar is within the type, values, bounds, length, pattern and usual format of ``node``.

    Of other values only type and values are compared.
    """
    if value is None:
        return node.get("nullable") is True or "null" in _list_types(node) or not _list_types(node)
    if not any(_has_type(value, name) for name in _list_types(node)) and _list_types(node):
        return False
    if isinstance(node.get("enum"), list) and value not in node["enum"]:
        return False
    if "const" in node and value != node["const"]:
        return False
    if isinstance(value, str):
        low, high = _read_length(node, "minLength"), _read_length(node, "maxLength")
        pattern = node.get("pattern")
        has_length = len(value) >= (low or 0) and (high is None or len(value) <= high)
        return has_length and _has_format(value, node) and (not isinstance(pattern, str) or has_match(pattern, value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _is_within(value, node)
    return True


def convert_scalar(value: Any, kind: str, text_format: Any) -> list[Any]:
    """Return what a scalar of another type or format may mean, such as a number as a text, or a time as a date."""
    if isinstance(value, bool):
        return []
    if kind == "string" and isinstance(value, (int, float)):
        return [str(value)]
    if kind == "string" and isinstance(value, str):
        return [value[:10]] if text_format == "date" else []
    is_number = kind in ("integer", "number") and isinstance(value, str)
    return [int(value)] if is_number and value.isascii() and value.isdigit() and len(value) < 16 else []


def _has_format(text: str, node: Mapping[str, Any]) -> bool:
    known = _FORMAT_PATTERNS.get(str(node.get("format")))
    return known is None or known.fullmatch(text) is not None


def _list_types(node: Mapping[str, Any]) -> list[str]:
    kinds = node.get("type")
    return [
        kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str) and kind in _TYPES
    ]


def _has_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _is_within(value: float, node: Mapping[str, Any]) -> bool:
    number = _to_fraction(value)
    if number is None:
        return False
    low, is_above = _read_limit(node, "minimum", "exclusiveMinimum", max)
    high, is_below = _read_limit(node, "maximum", "exclusiveMaximum", min)
    if low is not None and (number < low or (is_above and number == low)):
        return False
    if high is not None and (number > high or (is_below and number == high)):
        return False
    step = _to_fraction(node.get("multipleOf"))
    return not step or number % step == 0
