"""The call of a route that arrives at the service as the client's request was sent, or none. Pure.

The gateway's own conversion runs here first, as it will on the instance. What it makes of a candidate is compared with the
client's request. So whatever a route cannot say is noticed, for whichever reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode

from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.host.forwarding.matching import Match
from chutes_wrappers.host.forwarding.public_calls import CallValues, iter_calls
from chutes_wrappers.host.forwarding.request_equality import find_difference
from chutes_wrappers.host.forwarding.tunnel_required import TunnelRequired
from chutes_wrappers.host.forwarding.undeclared_headers import AUTHORIZATION, iter_undeclared
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.call_request import build_request
from chutes_wrappers.runtime.tunnel_frames import TunnelCall
from chutes_wrappers.runtime.upstream import UpstreamRequest

_LONGEST_PATH = 200


@dataclass(frozen=True, kw_only=True)
class ExactCall:
    """A call of the route of ``match``. ``lost_headers`` are left out of it, and not needed by what the service documents."""

    match: Match
    values: CallValues = field(repr=False)
    lost_headers: tuple[str, ...] = ()


def find_exact_call(matches: Iterable[Match], call: TunnelCall) -> ExactCall:
    """Return a call of one of ``matches`` that means ``call``. Raises TunnelRequired with why the first of them has none."""
    refusal: TunnelRequired | None = None
    for match in matches:
        try:
            return _find_call(match, call)
        except TunnelRequired as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal
    path = call.target.partition("?")[0][:_LONGEST_PATH]
    raise TunnelRequired(
        f"no route of the chute matches {call.method} {path} on port {call.port}", status=HTTPStatus.NOT_FOUND
    )


def _find_call(match: Match, call: TunnelCall) -> ExactCall:
    undeclared = dict.fromkeys(iter_undeclared(match.cord.route, call.method, call.headers))
    if others := [name for name in undeclared if name != AUTHORIZATION]:
        raise TunnelRequired(f"{match.cord.route.describe()} does not declare {', '.join(others)[:500]}")
    difference: str | None = None
    for values in iter_calls(match, call):
        next_difference = _find_difference(match, call, values)
        if next_difference is None:
            return ExactCall(match=match, values=values, lost_headers=tuple(undeclared))
        difference = difference or next_difference
    raise TunnelRequired(f"through {match.cord.route.describe()} {difference}")


def _find_difference(match: Match, call: TunnelCall, values: CallValues) -> str | None:
    route = match.cord.route
    # Of repeated names the platform keeps the last (PLATFORM.md, section 3).
    query = dict(values.query)
    if route.stream is False and ("stream" in query or values.body.get("stream")):
        return "the response would be read as a stream, because the request has `stream`"
    try:
        request = _build_request(match, query, values)
        return find_difference(route, call, request, has_rest=match.has_rest)
    except CallFailed as error:
        return f"this call is not possible: {error}"


def _build_request(match: Match, query: dict[str, str], values: CallValues) -> UpstreamRequest:
    route, port = match.cord.route, match.cord.port
    if not route.native:
        return build_request(route, port, {"json": values.body, "params": query})
    # The SDK's passthrough (SDK chute/cord.py).
    data = None if match.cord.public_method in BODILESS_METHODS else json.dumps(values.body).encode()
    target = "?".join(filter(None, (route.target_path, urlencode(query))))
    headers = {"Content-Type": "application/json"} if data is not None else {}
    return UpstreamRequest(
        port=port, method=route.upstream_method, target=target, headers=headers, make_data=lambda: data
    )
