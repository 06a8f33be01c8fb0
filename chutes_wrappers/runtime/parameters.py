"""Path, query and header parameters of a request, from the caller's query string and JSON keys. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from chutes_wrappers.core.path_segments import find_dot_segments, find_path_problem
from chutes_wrappers.core.path_templates import VARIABLE, parse_variable_name
from chutes_wrappers.core.routes import Parameter, ParameterLocation, Route
from chutes_wrappers.runtime.call_errors import CallFailed

_Parameters = Mapping[tuple[ParameterLocation, str], Parameter]
_Values = Mapping[tuple[ParameterLocation, str], Any]
_LITERAL = "/%:@!$&'()*+,;=~-._"
# Any text that does not change the segment in which it stands.
_NEUTRAL_VALUE = "x"
_MAX_QUOTED_LENGTH = 200
_DELIMITERS = {"spaceDelimited": " ", "pipeDelimited": "|"}


@dataclass
class RequestTarget:
    """The path and query string of a request, encoded, and the header parameters."""

    target: str
    headers: dict[str, str] = field(default_factory=dict)


def build_target(route: Route, query: Mapping[str, str], fields: MutableMapping[str, Any]) -> RequestTarget:
    """Fill ``route``'s target with the parameters in ``query`` and ``fields``; used ones are removed from ``fields``.

    A parameter is looked up in the query string, then in the fields. One that is also in the body (``shared``) stays there,
    and is used only if the route needs it. The rest of the query string is passed on. Raises CallFailed for a path
    parameter that is missing, or with which a server could leave the route (``core/path_segments.py``). Raises it also for
    another value of a key in the route's own query string.
    """
    remaining_query = dict(query)
    values = {
        (parameter.place, parameter.name): _take_value(parameter, remaining_query, fields)
        for parameter in _iter_parameters(route)
    }
    declared = {(parameter.place, parameter.name): parameter for parameter in route.parameters}
    path, _, target_query = route.target_path.partition("#")[0].partition("?")
    path_text = _fill_path(route, path, declared, values)
    target_query = _fill_query(route, target_query, declared, values)
    pairs = _remove_fixed(route, target_query, [*remaining_query.items(), *_iter_query_pairs(declared, values)])
    query_string = "&".join(part for part in (target_query, urlencode(pairs)) if part)
    headers = {
        name: _format_header(name, value)
        for (place, name), value in values.items()
        if place == "header" and value is not None
    }
    return RequestTarget(target=f"{path_text}?{query_string}" if query_string else path_text, headers=headers)


def _iter_parameters(route: Route) -> Iterator[Parameter]:
    yield from route.parameters
    path, _, query = route.target_path.partition("?")
    declared = {parameter.name for parameter in route.parameters if parameter.place == "path"}
    in_query = {parameter.name for parameter in route.parameters if parameter.place == "query"}
    for text in [*VARIABLE.findall(path), *(name for name in VARIABLE.findall(query) if name not in in_query)]:
        if parse_variable_name(text, declared) not in declared:
            yield _make_path_parameter(parse_variable_name(text, declared))


def _make_path_parameter(name: str) -> Parameter:
    return Parameter.model_validate({"name": name, "in": "path", "required": True})


def _take_value(parameter: Parameter, query: MutableMapping[str, Any], fields: MutableMapping[str, Any]) -> Any:
    if parameter.name in query:
        return _parse_text(parameter, query.pop(parameter.name))
    if not parameter.shared:
        return fields.pop(parameter.name, None)
    return fields.get(parameter.name) if parameter.required or parameter.place == "path" else None


def _parse_text(parameter: Parameter, text: str) -> Any:
    """Parse ``text`` of a query string: a list is ``a,b``, or JSON, and an object is JSON."""
    if parameter.type is None:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, list if parameter.type == "array" else dict):
        return value
    return text.split(",") if parameter.type == "array" else text


def _fill_path(route: Route, path: str, declared: _Parameters, values: _Values) -> str:
    names = {name for place, name in declared if place == "path"}
    texts, variables, end = [], [], 0
    for match in VARIABLE.finditer(path):
        name = parse_variable_name(match[1], names)
        value = values.get(("path", name))
        if value is None or value == "":
            raise _make_missing_error(route, name)
        parameter = declared.get(("path", name)) or _make_path_parameter(name)
        texts.append(quote(path[end : match.start()], safe=_LITERAL))
        variables.append((name, _format_in_path(parameter, value, match[1] != name)))
        end = match.end()
    return _join_path([*texts, quote(path[end:], safe=_LITERAL)], variables)


def _join_path(texts: Sequence[str], variables: Sequence[tuple[str, str]]) -> str:
    """Join the texts of a template and its variables (name and encoded value).

    Raises CallFailed if a value and the text beside it are a segment that leads out of the route.
    """
    path = _interleave(texts, [value for _, value in variables])
    if not find_dot_segments(path):
        return path
    values = [_NEUTRAL_VALUE] * len(variables)
    # The author of a route may write such segments.
    own_segments = len(find_dot_segments(_interleave(texts, values)))
    for index, (name, value) in enumerate(variables):
        values[index] = value
        if len(find_dot_segments(_interleave(texts, values))) > own_segments:
            raise _make_other_path_error(name, value, "the segment in which it stands becomes '.' or '..'")
    return path


def _interleave(texts: Sequence[str], values: Sequence[str]) -> str:
    return "".join(part for pair in zip_longest(texts, values, fillvalue="") for part in pair)


def _fill_query(
    route: Route, query: str, declared: _Parameters, values: dict[tuple[ParameterLocation, str], Any]
) -> str:
    """Fill the query string in the target path; its parameters are not sent a second time."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        place: ParameterLocation = "query" if ("query", name) in declared else "path"
        value_found, values[place, name] = values.get((place, name)), None
        if value_found is None:
            raise _make_missing_error(route, name)
        return quote(_join(value_found), safe="")

    return VARIABLE.sub(value, query)


def _remove_fixed(route: Route, target_query: str, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return ``pairs`` without those of ``target_query``, whose value no caller may override."""
    if not target_query:
        return pairs
    fixed_pairs = parse_qsl(target_query, keep_blank_values=True)
    fixed_names = {name for name, _ in fixed_pairs}
    for name, value in pairs:
        if name in fixed_names and (name, value) not in fixed_pairs:
            raise CallFailed(
                f"`{name}` is fixed in the path of {route.method} {route.target_path}: remove it", parameter=name
            )
    return [pair for pair in pairs if pair[0] not in fixed_names]


def _make_missing_error(route: Route, name: str) -> CallFailed:
    return CallFailed(
        f"`{name}` is missing: it is part of the path of {route.method} {route.target_path}; "
        "send it in the query string or as a key of the JSON body",
        parameter=name,
    )


def _format_in_path(parameter: Parameter, value: Any, many: bool) -> str:
    prefix, joiner = {"label": (".", "."), "matrix": (";", ";")}.get(parameter.style or "simple", ("", ","))
    if isinstance(value, Mapping):
        parts = [
            f"{key}={_to_text(item)}" if parameter.explode else f"{key},{_to_text(item)}" for key, item in value.items()
        ]
    else:
        parts = [_to_text(item) for item in (value if isinstance(value, list) else [value])]
        if prefix == ";":
            parts = [f"{parameter.name}={part}" for part in parts]
    path_text = joiner.join(parts)
    if problem := find_path_problem(path_text) if path_text else "is empty":
        raise _make_other_path_error(parameter.name, path_text, f"it {problem}")
    segments = (prefix + path_text).split("/") if many else [prefix + path_text]
    return "/".join(quote(segment, safe=",;=" if prefix == ";" else ",=") for segment in segments)


def _make_other_path_error(name: str, value: str, reason: str) -> CallFailed:
    return CallFailed(
        f"`{name}` = {value[:_MAX_QUOTED_LENGTH]!r} would result in another path: {reason}", parameter=name
    )


def _iter_query_pairs(declared: _Parameters, values: _Values) -> Iterator[tuple[str, str]]:
    for (place, name), parameter in declared.items():
        value = values[place, name]
        if place == "query" and value is not None:
            yield from _format_in_query(parameter, value)


def _format_in_query(parameter: Parameter, value: Any) -> Iterator[tuple[str, str]]:
    name, style = parameter.name, parameter.style or "form"
    explode = style == "form" if parameter.explode is None else parameter.explode
    if isinstance(value, Mapping):
        items = [(str(key), _to_text(item)) for key, item in value.items()]
        if style == "deepObject":
            yield from ((f"{name}[{key}]", item) for key, item in items)
        elif explode:
            yield from items
        else:
            yield name, ",".join(part for item in items for part in item)
    elif isinstance(value, list):
        if explode:
            yield from ((name, _to_text(item)) for item in value)
        else:
            yield name, _DELIMITERS.get(style, ",").join(map(_to_text, value))
    else:
        yield name, _to_text(value)


def _format_header(name: str, value: Any) -> str:
    text = _join(value)
    if not text.isprintable():
        raise CallFailed(f"`{name}` cannot be sent as a header: it contains control characters", parameter=name)
    return text


def _join(value: Any) -> str:
    return ",".join(map(_to_text, value)) if isinstance(value, list) else _to_text(value)


def _to_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
