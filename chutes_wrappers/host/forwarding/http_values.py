"""Values of HTTP as a client wrote them, in a form in which equal meanings are equal. Pure.

The comparisons are those of the standards. Percent-encoding is RFC 3986, section 6.2.2; query strings and forms are WHATWG URL,
``application/x-www-form-urlencoded``. Cookies are RFC 6265, and media types RFC 9110, section 8.3. JSON that Python reads, and
others read differently, is not valid here (RFC 8259, sections 4 and 6).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import orjson

_LITERAL = "!$&'()*+,=:@-._~"
_INVALID_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_MEDIA_PARAMETER = re.compile(r';\s*([^\s;=]+)\s*=\s*("(?:\\.|[^"\\])*"|[^\s;]*)')
# What the platform's parsers keep exactly (SDK entrypoint/run.py reads calls with orjson).
_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**64 - 1


class InexactJson(ValueError):
    """JSON that would not arrive as it was sent; the message is the reason."""


def normalise_path(path: str, kept: str = ";") -> str:
    """Return ``path`` with each character encoded in one way, but those of ``kept`` as they are.

    Servers may read a semicolon as the end of a segment, and a comma as the end of a list's item.
    """
    parts = re.split(f"([/{kept}])", path)
    return "".join(part if index % 2 else _normalise_text(part, kept) for index, part in enumerate(parts))


def parse_pairs(query: str) -> list[tuple[bytes, bytes | None]]:
    """Parse a query string or a form into names and values, in order. What parsers read in two ways stays undecoded.

    The value is None for a name without ``=``, which some parsers tell from an empty value (Rack does).
    """
    tokens = (token.partition("=") for token in query.split("&") if token)
    return [(_decode_component(name), _decode_component(value) if sign else None) for name, sign, value in tokens]


def parse_cookies(headers: Iterable[str]) -> list[tuple[str, str]]:
    """Parse the values of Cookie headers into names and values, in order."""
    pairs = (pair.strip().partition("=") for header in headers for pair in header.split(";") if pair.strip())
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def parse_media_type(text: str) -> tuple[str, dict[str, str]]:
    """Return the media type in lower case, and its parameters; the charset in lower case, too."""
    kind = text.partition(";")[0].strip().lower()
    parameters = {name.lower(): value.strip('"') for name, value in _MEDIA_PARAMETER.findall(text)}
    if "charset" in parameters:
        parameters["charset"] = parameters["charset"].lower()
    return kind, parameters


def parse_exact_json(data: bytes) -> Any:
    """Parse JSON that arrives as it was sent: with each name once, and numbers that every parser keeps.

    Raises ValueError for text that is not JSON, and InexactJson with the reason for other JSON.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InexactJson("the JSON is not UTF-8") from error
    try:
        value = json.loads(text, object_pairs_hook=_build_object, parse_constant=_reject_constant)
        # Parsing each number in Python takes ten times as long.
        return value if _has_exact_numbers(value) else _parse_numbers(text)
    except RecursionError as error:
        raise InexactJson("the JSON is nested too deeply") from error


def format_canonical(value: Any) -> bytes:
    """Return JSON in which equal values are equal: names in one order, and numbers with their type."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # very deep
        return json.dumps(value, sort_keys=True).encode()


def _normalise_text(text: str, kept: str) -> str:
    # "%zz" is not an escape: parsers refuse it, or read it as text.
    if _has_invalid_escape(text):
        return text
    return quote_from_bytes(unquote_to_bytes(text), safe=_LITERAL.translate(dict.fromkeys(map(ord, kept))))


def _decode_component(text: str) -> bytes:
    # Some parsers separate pairs at a semicolon, and refuse "%zz". So these two are never equal to their encoded form.
    if ";" in text or _has_invalid_escape(text):
        return b"\0undecoded " + text.encode("latin-1", "replace")
    return unquote_to_bytes(text.replace("+", " "))


def _has_invalid_escape(text: str) -> bool:
    return _INVALID_ESCAPE.search(text.encode("utf-8", "replace")) is not None


def _has_exact_numbers(value: Any) -> bool:
    """Return whether no number of ``value`` is infinite, or has more than 64 bits; False also for what is too deep to see."""
    try:
        orjson.dumps(value)
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _parse_numbers(text: str) -> Any:
    return json.loads(text, parse_int=_parse_integer, parse_float=_parse_float)


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise InexactJson(f"the JSON has the name {repeated[:100]!r} twice in one object")
    return fields


def _reject_constant(text: str) -> Any:
    raise InexactJson(f"{text} is not a JSON value")


def _parse_integer(text: str) -> int:
    value = int(text) if len(text) <= len(str(_SMALLEST_INTEGER)) + 1 else None
    if value is None or not _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER:
        raise InexactJson(f"the number {text[:50]} has more than 64 bits")
    return value


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InexactJson(f"the number {text[:50]} is too large")
    return value
