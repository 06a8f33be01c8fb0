"""Conversion of a request for the service to calls of its route, as the README documents calls. Pure.

What is returned are candidates: ``exact_calls`` chooses one that arrives as the client sent it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, unquote_plus

from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.client_values import decode_cookies, decode_path_value, decode_query_values
from chutes_wrappers.host.forwarding.http_values import parse_cookies
from chutes_wrappers.host.forwarding.matching import Match
from chutes_wrappers.host.forwarding.public_bodies import iter_bodies
from chutes_wrappers.runtime.media_types import FORM_TYPE
from chutes_wrappers.runtime.tunnel_frames import TunnelCall

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class CallValues:
    """The query and the JSON body of a public call. They may be secrets."""

    query: Pairs = field(default=(), repr=False)
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)


def iter_calls(match: Match, call: TunnelCall) -> Iterator[CallValues]:
    """Yield the public calls of the route of ``match`` that may mean ``call``, the most usual first. Raises TunnelRequired."""
    route = match.cord.route
    query = [*_iter_query(route, call.target), *_iter_path(match), *_iter_headers(route, call)]
    if match.cord.public_method in BODILESS_METHODS:
        yield CallValues(query=tuple(query))
        return
    # The body keeps its own field of a shared name.
    secrets = {parameter.name for parameter in route.parameters if parameter.credential and not parameter.shared}
    in_query = {parameter.name for parameter in route.parameters if parameter.place == "query" and not parameter.shared}
    names = [name for name, _ in query]
    for body in iter_bodies(route, call):
        # The platform keeps the last of repeated names in a query, and a list in the body. Secrets are not for URLs.
        moved = {name for name in {*names} - {*body} if name in secrets or (name in in_query and names.count(name) > 1)}
        lists = {name: [value for key, value in query if key == name] for name in names if name in moved}
        fields = {name: values[0] if len(values) == 1 else values for name, values in lists.items()}
        yield CallValues(query=tuple(pair for pair in query if pair[0] not in moved), body={**body, **fields})


def _iter_path(match: Match) -> Iterator[tuple[str, str]]:
    declared = {parameter.name: parameter for parameter in match.cord.route.parameters if parameter.place == "path"}
    for name, raw in match.path_values.items():
        yield name, decode_path_value(declared[name], raw) if name in declared else unquote(raw)


def _iter_query(route: Route, target: str) -> Iterator[tuple[str, str]]:
    raw_query = target.partition("?")[2]
    whole = next((parameter for parameter in route.parameters if parameter.place == "querystring"), None)
    if whole is not None:
        is_form = whole.content_type in ("", FORM_TYPE)
        yield from [(whole.name, raw_query if is_form else unquote(raw_query))] if raw_query else []
        return
    raws: dict[str, list[str]] = {}
    for token in filter(None, raw_query.split("&")):
        name, _, value = token.partition("=")
        raws.setdefault(unquote_plus(name), []).append(value)
    declared = {parameter.name: parameter for parameter in route.parameters if parameter.place == "query"}
    for name, values in raws.items():
        parameter = declared.get(name)
        text = decode_query_values(parameter, parameter.type, values) if parameter else None
        yield from [(name, text)] if text is not None else ((name, unquote_plus(value)) for value in values)


def _iter_headers(route: Route, call: TunnelCall) -> Iterator[tuple[str, str]]:
    """Yield the declared header and cookie parameters that ``call`` has. Repeated header lines are one list (RFC 9110, section 5.3)."""
    cookies = parse_cookies(value for name, value in call.headers if name.lower() == "cookie")
    names = [parameter.name for parameter in route.parameters if parameter.place == "cookie"]
    for parameter in route.parameters:
        text: str | None = None
        if parameter.place == "header":
            lines = [value.strip() for name, value in call.headers if name.lower() == parameter.name.lower()]
            text = ", ".join(lines) if lines else None
        elif parameter.place == "cookie":
            text = decode_cookies(parameter, cookies, {*names} - {parameter.name})
        if text is not None:
            yield parameter.name, _decode_bytes(text)


def _decode_bytes(text: str) -> str:
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return text
