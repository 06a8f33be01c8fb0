"""Path, query, header and cookie parameters of a request, from the caller's query string and JSON keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from typing import Any
from urllib.parse import parse_qsl, quote

from chutes_wrappers.core.path_segments import find_dot_segments, find_path_problem
from chutes_wrappers.core.path_templates import VARIABLE, PathVariable
from chutes_wrappers.core.routes import Parameter, ParameterLocation, Route
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.cookies import build_cookie_header
from chutes_wrappers.runtime.form_bodies import build_urlencoded
from chutes_wrappers.runtime.media_types import FORM_TYPE, parse_essence
from chutes_wrappers.runtime.parameter_values import Values, format_content, take_values
from chutes_wrappers.runtime.styles import (
    Encode,
    StyledPair,
    build_pairs,
    format_text,
    format_value,
    quote_in_path,
    quote_in_query,
)
from chutes_wrappers.runtime.target_plans import TargetPlan, plan_target

_Parameters = Mapping[tuple[ParameterLocation, str], Parameter]
# In a whole query string that the caller has encoded. "%" stays, so that nothing is encoded twice.
_QUERY_LITERAL = "%:/?@!$&'()*+,;=~-._[]"
# Any text that does not change the segment in which it stands.
_NEUTRAL_VALUE = "x"
_MAX_QUOTED_LENGTH = 200


@dataclass
class RequestTarget:
    """The path and query string of a request, encoded, and the header and cookie parameters as headers."""

    target: str
    headers: dict[str, str] = field(default_factory=dict)


def build_target(route: Route, query: Mapping[str, str], fields: MutableMapping[str, Any]) -> RequestTarget:
    """Fill ``route``'s target with the parameters in ``query`` and ``fields``; used ones are removed from ``fields``.

    A parameter is looked up in the query string, then in the fields. One that is also in the body (``shared``) stays there,
    and is used only if the route needs it. The rest of the query string is passed on. Raises CallFailed for a path
    parameter that is missing, or with which a server could leave the route (``core/path_segments.py``). Raises it also for
    another value of a key in the route's own query string, and for a value that its place cannot carry.
    """
    plan = plan_target(route.target_path, route.parameters)
    if plan.fixed_target is not None and not query:
        return RequestTarget(target=plan.fixed_target)
    remaining_query, declared = dict(query), plan.parameters
    values = take_values(declared.values(), remaining_query, fields)
    for key, parameter in declared.items():
        if parameter.content_type and parameter.place != "querystring" and values[key] is not None:
            values[key] = format_content(parameter, values[key])
    path_text = _fill_path(route, plan, values)
    target_query = _fill_query(route, plan.query, declared, values)
    pairs = _remove_fixed(
        route, target_query, [*_make_pairs(remaining_query.items()), *_iter_query_pairs(declared, values)]
    )
    whole = _build_querystring(declared, values, [pair.name for _, pair in pairs])
    parts = [target_query, *(pair.encode(encode) for encode, pair in pairs), whole]
    query_string = "&".join(part for part in parts if part)
    return RequestTarget(
        target=f"{path_text}?{query_string}" if query_string else path_text, headers=_build_headers(declared, values)
    )


def _fill_path(route: Route, plan: TargetPlan, values: Values) -> str:
    texts, variables = list(plan.texts), []
    for index, variable in enumerate(plan.variables):
        value = values.get(("path", variable.name))
        if value is not None and value != "":
            texts[index] += "/" if variable.is_optional else ""
            parameter = plan.parameters["path", variable.name]
            variables.append((variable.name, _format_in_path(parameter, value, variable)))
        elif variable.is_optional:
            variables.append((variable.name, ""))
        else:
            raise _make_missing_error(route, variable.name)
    return _join_path(texts, variables)


def _join_path(texts: Sequence[str], variables: Sequence[tuple[str, str]]) -> str:
    """Join the texts of a template and its variables (name and encoded value).

    Raises CallFailed if a value and the text beside it are a segment that leads out of the route.
    """
    path = _interleave(texts, [value for _, value in variables])
    if not find_dot_segments(path):
        return path
    values = [_NEUTRAL_VALUE if value else "" for _, value in variables]
    # The author of a route may write such segments.
    own_segments = len(find_dot_segments(_interleave(texts, values)))
    for index, (name, value) in enumerate(variables):
        values[index] = value
        if len(find_dot_segments(_interleave(texts, values))) > own_segments:
            raise _make_other_path_error(name, value, "the segment in which it stands becomes '.' or '..'")
    return path


def _interleave(texts: Sequence[str], values: Sequence[str]) -> str:
    return "".join(part for pair in zip_longest(texts, values, fillvalue="") for part in pair)


def _fill_query(route: Route, query: str, declared: _Parameters, values: Values) -> str:
    """Fill the query string in the target path; its parameters are not sent a second time."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        place: ParameterLocation = "query" if ("query", name) in declared else "path"
        value_found, values[place, name] = values.get((place, name)), None
        if value_found is None:
            raise _make_missing_error(route, name)
        texts = value_found if isinstance(value_found, list) else [value_found]
        return quote(",".join(map(format_text, texts)), safe="")

    return VARIABLE.sub(value, query)


def _make_pairs(items: Iterable[tuple[str, str]]) -> Iterator[tuple[Encode, StyledPair]]:
    yield from ((quote_in_query, StyledPair(name, (value,))) for name, value in items)


def _remove_fixed(
    route: Route, target_query: str, pairs: list[tuple[Encode, StyledPair]]
) -> list[tuple[Encode, StyledPair]]:
    """Return ``pairs`` without those of ``target_query``, whose value no caller may override."""
    if not target_query:
        return pairs
    fixed_pairs = parse_qsl(target_query, keep_blank_values=True)
    fixed_names = {name for name, _ in fixed_pairs}
    for _, pair in pairs:
        if pair.name in fixed_names and (pair.name, pair.value) not in fixed_pairs:
            raise CallFailed(
                f"`{pair.name}` is fixed in the path of {route.method} {route.target_path}: remove it",
                parameter=pair.name,
            )
    return [(encode, pair) for encode, pair in pairs if pair.name not in fixed_names]


def _make_missing_error(route: Route, name: str) -> CallFailed:
    return CallFailed(
        f"`{name}` is missing: it is part of the path of {route.method} {route.target_path}; "
        "send it in the query string or as a key of the JSON body",
        parameter=name,
    )


def _format_in_path(parameter: Parameter, value: Any, variable: PathVariable) -> str:
    def format_with(encode: Encode) -> str:
        return format_value(parameter.name, value, parameter.style, parameter.explode, encode)

    text = format_with(str)
    if (
        problem := find_path_problem(text.removeprefix(".") if parameter.style == "label" else text)
        if text
        else "is empty"
    ):
        raise _make_other_path_error(parameter.name, text, f"it {problem}")
    return format_with(
        partial(quote_in_path, allow_reserved=parameter.allow_reserved, has_slashes=variable.has_slashes)
    )


def _make_other_path_error(name: str, value: str, reason: str) -> CallFailed:
    return CallFailed(
        f"`{name}` = {value[:_MAX_QUOTED_LENGTH]!r} would result in another path: {reason}", parameter=name
    )


def _iter_query_pairs(declared: _Parameters, values: Values) -> Iterator[tuple[Encode, StyledPair]]:
    for (place, name), parameter in declared.items():
        if place == "query":
            encode = partial(quote_in_query, allow_reserved=parameter.allow_reserved)
            pairs = build_pairs(name, values[place, name], parameter.style, parameter.explode)
            yield from ((encode, pair) for pair in pairs)


def _build_querystring(declared: _Parameters, values: Values, other_names: Sequence[str]) -> str:
    """Return the query string that one parameter is (OpenAPI 3.2, ``in: querystring``); empty without one."""
    parameter = next((parameter for (place, _), parameter in declared.items() if place == "querystring"), None)
    value = values["querystring", parameter.name] if parameter else None
    if parameter is None or value is None:
        return ""
    media_type = parse_essence(parameter.content_type) or FORM_TYPE
    if media_type == FORM_TYPE:
        if isinstance(value, Mapping):
            return build_urlencoded(value, parameter.parts).decode().replace("+", "%20")  # as in any query
        return quote(format_text(value).removeprefix("?"), safe=_QUERY_LITERAL)
    if other_names:
        raise CallFailed(
            f"`{other_names[0]}` cannot be sent: `{parameter.name}` is the whole query string", parameter=other_names[0]
        )
    return quote(format_content(parameter, value), safe="")


def _build_headers(declared: _Parameters, values: Values) -> dict[str, str]:
    texts = {
        name: format_value(name, values[place, name], parameter.style, parameter.explode, str)
        for (place, name), parameter in declared.items()
        if place == "header" and values[place, name] is not None and values[place, name] not in ([], {})
    }
    cookies = [
        (parameter, list(build_pairs(name, values[place, name], parameter.style, parameter.explode)))
        for (place, name), parameter in declared.items()
        if place == "cookie"
    ]
    if cookie := build_cookie_header(cookies):
        name = next((name for name in texts if name.lower() == "cookie"), "Cookie")
        texts[name] = "; ".join(filter(None, (texts.get(name), cookie)))
    for name, text in texts.items():
        if not text.isprintable():
            raise CallFailed(f"`{name}` cannot be sent as a header: it contains control characters", parameter=name)
    return texts
