"""Values of parameters as a client wrote them, as the caller of a route writes them: text, or JSON for a list or an object. Pure.

The reverse of ``runtime/parameters.py``. Delimiters separate items before these are decoded (OpenAPI 3.1.1, Appendix E).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from urllib.parse import unquote, unquote_plus

from chutes_wrappers.core.routes import Parameter, PartFormat
from chutes_wrappers.runtime.media_types import is_json

_PREFIXES = {"label": ".", "matrix": ";"}
_QUERY_DELIMITERS = {"form": (",",), "spaceDelimited": ("%20", "+"), "pipeDelimited": ("|", "%7C", "%7c")}


def decode_path_value(parameter: Parameter, raw: str) -> str:
    """Return the caller's text for a path parameter, whose value in the path is ``raw``."""
    style, explode = parameter.style or "simple", bool(parameter.explode)
    text = raw.removeprefix(_PREFIXES.get(style, ""))
    if style == "matrix" and not (explode and parameter.type == "object"):
        text = text.removeprefix(f"{parameter.name}=")
    if parameter.type is None or parameter.content_type:
        return unquote(text)
    separator = {"label": ".", "matrix": ";"}.get(style, ",") if explode else ","
    parts = text.split(separator)
    if parameter.type == "array":
        items = [_remove_name(parameter.name, part) if style == "matrix" else part for part in parts]
        return json.dumps([*map(unquote, items)])
    return _encode_object([part.partition("=")[::2] for part in parts] if explode else _pair(parts), unquote)


def decode_query_values(parameter: Parameter | PartFormat, kind: str | None, raws: Sequence[str]) -> str | None:
    """Return the caller's text for the values of one name in a query string or a form; None if it has no single text.

    ``kind`` is the type of the parameter: array, object or None.
    """
    decode = _read_space if parameter.allow_reserved and not parameter.content_type else unquote_plus
    if kind is None or parameter.content_type:
        return decode(raws[0]) if len(raws) == 1 else None
    style = parameter.style or "form"
    is_exploded = style == "form" if parameter.explode is None else parameter.explode
    parts = [*raws]
    if not is_exploded and len(raws) == 1:
        delimiters = _QUERY_DELIMITERS.get(style, ())
        delimiter = next((each for each in delimiters if each in raws[0]), None)
        parts = raws[0].split(delimiter) if delimiter else parts
    if kind == "array":
        return json.dumps([*map(decode, parts)])
    return None if is_exploded or len(parts) % 2 else _encode_object(_pair(parts), decode)


def decode_cookies(parameter: Parameter, cookies: Sequence[tuple[str, str]], other_names: Container[str]) -> str | None:
    """Return the caller's text for a cookie parameter; None if ``cookies`` do not have it.

    Valid text of a cookie is sent as it is, so nothing is decoded but the JSON of ``content``. ``other_names`` are those of
    the other parameters: a list of properties has all other cookies.
    """
    if takes_other_cookies(parameter):
        properties = {name: value for name, value in cookies if name not in other_names}
        return json.dumps(properties) if properties else None
    values = [value for name, value in cookies if name == parameter.name]
    if not values or parameter.type is None or parameter.content_type:
        return (unquote(values[-1]) if is_json(parameter.content_type) else values[-1]) if values else None
    parts = values if parameter.explode is not False else values[-1].split(",")
    return json.dumps(parts) if parameter.type == "array" else json.dumps(dict(_pair(parts)))


def takes_other_cookies(parameter: Parameter) -> bool:
    """Return whether ``parameter`` is an object whose properties are cookies of their own."""
    is_object = parameter.place == "cookie" and parameter.type == "object"
    return is_object and parameter.explode is not False and not parameter.content_type


def _pair(parts: Sequence[str]) -> list[tuple[str, str]]:
    return [*zip(parts[::2], parts[1::2], strict=False)]


def _encode_object(pairs: Sequence[tuple[str, str]], decode: Callable[[str], str]) -> str:
    return json.dumps({decode(name): decode(value) for name, value in pairs})


def _remove_name(name: str, part: str) -> str:
    """Return the value of ``name=value``, or of the name alone, which is an empty one (RFC 6570, section 3.2.7)."""
    return "" if part == name else part.removeprefix(f"{name}=")


def _read_space(text: str) -> str:
    """Return a value with its escapes, which are sent unchanged where reserved characters are allowed."""
    return text.replace("+", " ")
