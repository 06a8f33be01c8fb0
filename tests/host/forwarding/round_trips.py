"""A client's request, converted to a public call and by the gateway to the request that a service gets: no process, no socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.exact_calls import ExactCall, find_exact_call
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.runtime.call_request import build_request
from chutes_wrappers.runtime.tunnel_frames import TunnelCall
from chutes_wrappers.runtime.upstream import UpstreamRequest

PORT = 8020


def make_table(*routes: dict[str, Any]) -> RouteTable:
    """The table of ``routes``, all of them published."""
    entries = [Route.model_validate({"path": "/a", "port": PORT, **route}) for route in routes]
    return RouteTable(plan_cords(entries, PORT, expose=("all", "parameters", "files", "root", "internal")).cords)


def make_call(method: str, target: str, body: bytes = b"", /, **headers: str) -> TunnelCall:
    """A request whose ``headers`` are named with an underscore for each dash."""
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return TunnelCall(port=PORT, method=method, target=target, headers=pairs, body=body)


def find_call(table: RouteTable, call: TunnelCall) -> ExactCall:
    """The public call for ``call``; TunnelRequired is raised as in the forwarder."""
    return find_exact_call(table.iter_matches(PORT, call.method, call.target.partition("?")[0]), call)


def send(table: RouteTable, call: TunnelCall) -> UpstreamRequest:
    """What the service gets for ``call``: the platform keeps one JSON object, and the last value of a query name."""
    exact = find_call(table, call)
    platform_call = {"json": json.loads(json.dumps(exact.values.body)), "params": dict(exact.values.query)}
    return build_request(exact.match.cord.route, PORT, platform_call)


def read_body(request: UpstreamRequest) -> tuple[str, bytes]:
    """The media type and the bytes of the body that the service gets."""
    data = request.make_data()
    if data is None or isinstance(data, bytes):
        return request.headers.get("Content-Type", ""), data or b""
    return request.headers.get("Content-Type", "") or data.content_type, bytes(asyncio.run(_write(data)))


async def _write(data: Any) -> bytes:
    return bytes(await data.as_bytes())
