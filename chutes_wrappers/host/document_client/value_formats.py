"""Values as text on the wire: the styles of OpenAPI 3.0.4, 3.1.1 and 3.2, which are those of RFC 6570. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from chutes_wrappers.host.document_client.operation import ValueFormat

# RFC 3986: what a query string may contain besides letters, digits and "-._~", without what separates its fields.
_RESERVED_IN_QUERY = "/?:@!$'()*,;"
_QUERY_STYLES = ("form", "spaceDelimited", "pipeDelimited", "tabDelimited", "deepObject", "cookie")
_DELIMITERS = {"spaceDelimited": "%20", "pipeDelimited": "%7C", "tabDelimited": "%09"}
_ESCAPE = re.compile(r"(%[0-9A-Fa-f]{2})")
# RFC 3986: what a segment of a path may contain as well.
_RESERVED_IN_PATH = ":@!$&'()*+,;="
# RFC 6265, section 4.1.1: a cookie's value, which may be in quotes.
_COOKIE_OCTETS = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_COOKIE_TEXT = re.compile(f'{_COOKIE_OCTETS}|"{_COOKIE_OCTETS}"')


def to_text(value: Any) -> str:
    """Return text as it is, and any other value as compact JSON: ``true``, ``1.5``, ``{"a":1}``."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def iterate_query(name: str, value: Any, value_format: ValueFormat) -> Iterator[tuple[str, str]]:
    """Yield the names and values that a parameter becomes in a query string, percent-encoded."""
    if value_format.content_type:
        is_form = "x-www-form-urlencoded" in value_format.content_type and isinstance(value, Mapping)
        yield _encode(name), _encode(_format_pairs(value) if is_form else to_text(value), value_format)
        return
    style = value_format.style if value_format.style in _QUERY_STYLES else "form"
    explode = value_format.explode if value_format.explode is not None else style in ("form", "cookie")
    delimiter = _DELIMITERS.get(style, ",")
    if isinstance(value, Mapping):
        if style == "deepObject":
            yield from _iterate_deep_object(name, value, value_format)
        elif explode:
            yield from ((_encode(str(key)), _encode(to_text(item), value_format)) for key, item in value.items())
        else:
            words = [word for pair in value.items() for word in pair]
            yield _encode(name), delimiter.join(_encode(to_text(word), value_format) for word in words)
    elif isinstance(value, list):
        if style == "deepObject":
            yield from _iterate_deep_object(name, dict(enumerate(value)), value_format)
        elif explode:
            yield from ((_encode(name), _encode(to_text(item), value_format)) for item in value)
        elif value:
            yield _encode(name), delimiter.join(_encode(to_text(item), value_format) for item in value)
    else:
        yield _encode(name), _encode(to_text(value), value_format)


def _format_pairs(value: Mapping[str, Any]) -> str:
    """Return an object urlencoded, with lists as repeated names."""
    pairs = (pair for name, item in value.items() for pair in iterate_query(name, item, ValueFormat()))
    return "&".join(map("=".join, pairs)).replace("%20", "+")


def _iterate_deep_object(name: str, value: Mapping[Any, Any], value_format: ValueFormat) -> Iterator[tuple[str, str]]:
    """Yield ``name[key]=value``; deeper objects and lists are written as the package qs does: ``name[key][0]=value``."""
    for key, item in value.items():
        inner = f"{name}[{key}]"
        if isinstance(item, Mapping):
            yield from _iterate_deep_object(inner, item, value_format)
        elif isinstance(item, list):
            yield from _iterate_deep_object(inner, dict(enumerate(item)), value_format)
        elif item is not None:
            yield _encode(inner), _encode(to_text(item), value_format)


def _encode(text: str, value_format: ValueFormat | None = None) -> str:
    return (
        _expand_reserved(text, _RESERVED_IN_QUERY)
        if value_format and value_format.allow_reserved
        else quote(text, safe="")
    )


def _expand_reserved(text: str, reserved: str) -> str:
    """Percent-encode ``text`` but for ``reserved`` characters and what is encoded already (RFC 6570, section 3.2.3)."""
    return "".join(part if _ESCAPE.fullmatch(part) else quote(part, safe=reserved) for part in _ESCAPE.split(text))


def format_path_value(name: str, value: Any, value_format: ValueFormat, *, has_slashes: bool) -> str:
    """Return a value in a path, percent-encoded. ``has_slashes``: slashes in it separate segments."""
    style, explode = value_format.style or "simple", value_format.explode or False
    safe = "/" if has_slashes else ""

    def encode(item: Any) -> str:
        text = to_text(item)
        return (
            _expand_reserved(text, _RESERVED_IN_PATH + safe) if value_format.allow_reserved else quote(text, safe=safe)
        )

    if value_format.content_type:
        return encode(value)
    delimiter = _DELIMITERS.get(style, ",")
    prefix, joiner = {"label": (".", "."), "matrix": (";", ";")}.get(style, ("", delimiter))
    if isinstance(value, Mapping):
        pairs = [(encode(key), encode(item)) for key, item in value.items()]
        if explode:
            return prefix + joiner.join(f"{key}={item}" for key, item in pairs)
        text = delimiter.join(word for pair in pairs for word in pair)
    elif isinstance(value, list):
        if explode:
            items = [encode(item) for item in value]
            texts = [f"{name}={item}" if item else name for item in items] if style == "matrix" else items
            return prefix + joiner.join(texts)
        text = delimiter.join(encode(item) for item in value)
    else:
        text = encode(value)
    if style == "matrix":
        return f";{name}={text}" if text else f";{name}"
    return prefix + text


def format_header_value(value: Any, value_format: ValueFormat) -> str:
    """Return a value as the text of a header: the style ``simple``, or with another delimiter. Nothing is encoded."""
    delimiter = unquote(_DELIMITERS.get(value_format.style, ","))
    if value_format.content_type:
        return to_text(value)
    if isinstance(value, Mapping):
        pairs = ((to_text(key), to_text(item)) for key, item in value.items())
        return ",".join(f"{key}={item}" if value_format.explode else f"{key},{item}" for key, item in pairs)
    return delimiter.join(map(to_text, value)) if isinstance(value, list) else to_text(value)


def iterate_cookies(name: str, value: Any, value_format: ValueFormat) -> Iterator[str]:
    """Yield the pairs ``name=value`` of a Cookie header. What a cookie cannot contain is percent-encoded."""
    explode = value_format.explode if value_format.explode is not None else True
    if not value_format.content_type and isinstance(value, Mapping) and explode:
        yield from (f"{key}={_encode_cookie(item)}" for key, item in value.items())
    elif not value_format.content_type and isinstance(value, list) and explode:
        yield from (f"{name}={_encode_cookie(item)}" for item in value)
    elif not value_format.content_type and isinstance(value, (Mapping, list)):
        words = value if isinstance(value, list) else [word for pair in value.items() for word in pair]
        yield f"{name}={','.join(map(_encode_cookie, words))}"
    else:
        yield f"{name}={_encode_cookie(value)}"


def _encode_cookie(value: Any) -> str:
    text = to_text(value)
    return text if _COOKIE_TEXT.fullmatch(text) else quote(text, safe="")
