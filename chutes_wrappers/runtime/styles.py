"""Values as text in the styles of OpenAPI: RFC 6570 as the tables of 3.0.4, 3.1.1 and 3.2.0 show it. Pure.

Empty lists and objects, and null, are undefined there: they are not sent, and null items are left out. An object below an
object is ``a[b][0]=x`` in the style deepObject, as the library qs writes it, and JSON in any other style.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

Encode = Callable[[str], str]

_DELIMITERS = {"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}
_EXPLODED_BY_DEFAULT = ("form", "cookie")
_ESCAPE = re.compile("(%[0-9A-Fa-f]{2})")
# RFC 3986's reserved characters that end no part of the place in which they stand.
_RESERVED_IN_QUERY = ":/?@!$'()*,;="
_RESERVED_IN_PATH = ":@!$&'()*+,;="


class StyledPair(NamedTuple):
    """A name and its value: ``items``, with ``delimiter`` between them."""

    name: str
    items: tuple[str, ...]
    delimiter: str = ""

    @property
    def value(self) -> str:
        """The value, not encoded."""
        return self.delimiter.join(self.items)

    def encode(self, encode: Encode) -> str:
        """Return ``name=value`` with encoded names and items; a comma as delimiter stays a comma."""
        delimiter = self.delimiter if self.delimiter == "," else encode(self.delimiter)
        return f"{encode(self.name)}={delimiter.join(map(encode, self.items))}"


def format_text(value: Any) -> str:
    """Return ``value`` as text: a string unchanged, anything else as compact JSON."""
    return value if isinstance(value, str) else format_json(value)


def format_json(value: Any, *, is_ascii: bool = False) -> str:
    """Return compact JSON."""
    return json.dumps(value, ensure_ascii=is_ascii, separators=(",", ":"))


def build_pairs(name: str, value: Any, style: str | None, explode: bool | None) -> Iterator[StyledPair]:
    """Yield the pairs of a query, form or cookie that say ``value``; none if it is undefined. The default style is form."""
    style = style or "form"
    value = _drop_undefined(value)
    if style == "deepObject" and isinstance(value, (Mapping, list)):
        yield from _build_deep_pairs(name, value)
    elif isinstance(value, (Mapping, list)):
        yield from _build_collection_pairs(name, value, style, _is_exploded(style, explode))
    elif value is not None:
        yield StyledPair(name, (format_text(value),))


def format_value(name: str, value: Any, style: str | None, explode: bool | None, encode: Encode) -> str:
    """Return ``value`` in a style of paths and headers: simple (the default), label, matrix, or with another delimiter.

    The result is empty for an undefined value.
    """
    style, is_exploded = style or "simple", bool(explode)
    value = _drop_undefined(value)
    if value is None or value in ([], {}):
        return ""
    items = _list_items(value, is_exploded, encode)
    prefix = {"label": ".", "matrix": ";"}.get(style, "")
    delimiter = prefix if prefix and is_exploded else encode(_DELIMITERS[style]) if style in _DELIMITERS else ","
    if style == "matrix":
        return _format_matrix(encode(name), value, items, is_exploded)
    return prefix + delimiter.join(items)


def quote_in_query(text: str, *, allow_reserved: bool = False) -> str:
    """Percent-encode ``text`` for a query string, a space as ``%20``."""
    return _quote_reserved(text, _RESERVED_IN_QUERY) if allow_reserved else quote(text, safe="")


def quote_in_form(text: str, *, allow_reserved: bool = False) -> str:
    """Percent-encode ``text`` for an urlencoded body, a space as ``+``."""
    return _quote_reserved(text, _RESERVED_IN_QUERY) if allow_reserved else quote_plus(text)


def quote_in_path(text: str, *, allow_reserved: bool = False, has_slashes: bool = False) -> str:
    """Percent-encode ``text`` for a path. ``has_slashes``: it may be several segments."""
    safe = "/" if has_slashes else ""
    return _quote_reserved(text, _RESERVED_IN_PATH + safe) if allow_reserved else quote(text, safe=safe)


def _quote_reserved(text: str, safe: str) -> str:
    """Percent-encode ``text`` as RFC 6570's reserved expansion: escapes pass unchanged."""
    return "".join(part if _ESCAPE.fullmatch(part) else quote(part, safe=safe) for part in _ESCAPE.split(text))


def _is_exploded(style: str, explode: bool | None) -> bool:
    return style in _EXPLODED_BY_DEFAULT if explode is None else explode


def _build_deep_pairs(name: str, value: Any) -> Iterator[StyledPair]:
    if isinstance(value, (Mapping, list)):
        entries = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in entries:
            yield from _build_deep_pairs(f"{name}[{key}]", _drop_undefined(item))
    elif value is not None:
        yield StyledPair(name, (format_text(value),))


def _build_collection_pairs(name: str, value: Any, style: str, is_exploded: bool) -> Iterator[StyledPair]:
    if not is_exploded:
        if items := _list_items(value, False, str):
            yield StyledPair(name, tuple(items), _DELIMITERS.get(style, ","))
    elif isinstance(value, Mapping):
        yield from (StyledPair(str(key), (format_text(item),)) for key, item in value.items())
    else:
        yield from (StyledPair(name, (format_text(item),)) for item in value)


def _drop_undefined(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: item for key, item in value.items() if item is not None}
    return [item for item in value if item is not None] if isinstance(value, list) else value


def _list_items(value: Any, is_exploded: bool, encode: Encode) -> list[str]:
    if isinstance(value, Mapping):
        pairs = [(encode(str(key)), encode(format_text(item))) for key, item in value.items()]
        return ["=".join(pair) for pair in pairs] if is_exploded else [text for pair in pairs for text in pair]
    return [encode(format_text(item)) for item in (value if isinstance(value, list) else [value])]


def _format_matrix(name: str, value: Any, items: list[str], is_exploded: bool) -> str:
    if is_exploded and isinstance(value, Mapping):
        return "".join(f";{item}" for item in items)
    texts = items if is_exploded else [",".join(items)]
    return "".join(f";{name}={text}" if text else f";{name}" for text in texts)
