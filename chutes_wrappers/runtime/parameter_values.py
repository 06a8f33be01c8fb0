"""The values of a call's parameters, from its query string and the keys of its JSON body. Pure."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, MutableMapping
from typing import Any

from chutes_wrappers.core.routes import Parameter, ParameterLocation
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.media_types import FORM_TYPE, is_json, parse_essence
from chutes_wrappers.runtime.styles import build_pairs, format_json, format_text, quote_in_form

Values = dict[tuple[ParameterLocation, str], Any]


class JSONText(str):
    """Text of a query string that is valid JSON already, and is sent as it is."""

    __slots__ = ()


def take_values(
    parameters: Iterable[Parameter], query: MutableMapping[str, Any], fields: MutableMapping[str, Any]
) -> Values:
    """Return the values of ``parameters`` by place and name; used ones are removed from ``query`` and ``fields``.

    A credential has the value of another parameter of its name: a service may read a key in several places.
    """
    values: Values = {}
    parameters = sorted(parameters, key=lambda parameter: parameter.credential)
    names = {parameter.name for parameter in parameters}
    for parameter in parameters:
        value = _take_value(parameter, names, query, fields)
        if value is None and parameter.credential:
            value = next((other for (_, name), other in values.items() if name == parameter.name), None)
        values[parameter.place, parameter.name] = value
    return values


def _take_value(
    parameter: Parameter, names: Container[str], query: MutableMapping[str, Any], fields: MutableMapping[str, Any]
) -> Any:
    if (key := _find_key(parameter, names, query)) in query:
        return _parse_text(parameter, query.pop(key))
    # A field of the body may have the name of a header in other letters, but hardly one with a dash.
    key = _find_key(parameter, names, fields) if "-" in parameter.name else parameter.name
    if not parameter.shared:
        return fields.pop(key, None)
    return fields.get(key) if parameter.required or parameter.place == "path" else None


def _find_key(parameter: Parameter, names: Container[str], values: Mapping[str, Any]) -> str:
    """Return the caller's key of a parameter: its name. The names of headers have no case, unless another one has the key."""
    if parameter.place != "header" or parameter.name in values:
        return parameter.name
    name = parameter.name.lower()
    keys = (key for key in values if isinstance(key, str) and key.lower() == name and key not in names)
    return next(keys, parameter.name)


def _parse_text(parameter: Parameter, text: str) -> Any:
    """Parse ``text`` of a query string: a list is ``a,b``, or JSON, and an object is JSON."""
    is_json_content = is_json(parameter.content_type)
    if parameter.type is None and not is_json_content:
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text.split(",") if parameter.type == "array" else text
    if is_json_content:
        return JSONText(text)
    if isinstance(value, list if parameter.type == "array" else dict):
        return value
    return text.split(",") if parameter.type == "array" else text


def format_content(parameter: Parameter, value: Any) -> str:
    """Return ``value`` as text of the parameter's media type. Raises CallFailed for a list or object that has no such text."""
    if is_json(parameter.content_type):
        if isinstance(value, JSONText) or (isinstance(value, str) and parameter.type is not None):
            return str(value)
        return format_json(value, is_ascii=parameter.place in ("header", "cookie"))
    if isinstance(value, Mapping) and parse_essence(parameter.content_type) == FORM_TYPE:
        pairs = (pair for name, item in value.items() for pair in build_pairs(name, item, None, None))
        return "&".join(pair.encode(quote_in_form) for pair in pairs)
    if isinstance(value, (Mapping, list)):
        raise CallFailed(
            f"`{parameter.name}` is sent as {parameter.content_type}: send its text", parameter=parameter.name
        )
    return format_text(value)
