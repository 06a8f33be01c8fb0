"""The tunnel's cord: any HTTP request to the services of a chute, through one public path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chutes.chute import Chute

from chutes_wrappers.core.calling_module import find_caller_globals
from chutes_wrappers.runtime.call_shape import CallShapeMiddleware, CordCalls
from chutes_wrappers.runtime.startup import check_ports
from chutes_wrappers.runtime.tunnel import make_tunnel_handler
from chutes_wrappers.runtime.tunnel_frames import PUBLIC_PATH
from chutes_wrappers.sdk.dev_guard import guard_dev_run
from chutes_wrappers.sdk.header_wiring import attach_headers
from chutes_wrappers.sdk.loopback import get_loopback_server
from chutes_wrappers.sdk.route_source import is_registration_skipped

# Cannot collide: internal paths of routes are below /cw_get and the like (core/cord_plan.py).
_INTERNAL_PATH = "/cw_tunnel"
_CALL_SCHEMA = {
    "type": "object",
    "required": ["port", "method", "target"],
    "properties": {
        "port": {"type": "integer"},
        "method": {"type": "string"},
        "target": {"type": "string", "description": "path and query"},
        "headers": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
        "body": {"type": "string", "description": "base64"},
    },
}


def register_tunnel(chute: Chute, ports: Sequence[int]) -> None:
    """Pass any HTTP request on to the services on ``ports`` of ``chute``'s instances, for ``./deploy.sh --forward``.

    Everybody who may call the chute can then reach everything that the services serve. That includes paths without a
    route, such as an administration page. Raises ConfigurationError for an invalid list of ports.
    """
    check_ports(ports)
    guard_dev_run()
    if is_registration_skipped():
        return
    headers = attach_headers(chute, find_caller_globals())
    server = get_loopback_server(chute)
    if server is not None:
        server.add_handler(_INTERNAL_PATH, make_tunnel_handler(tuple(ports), headers))
        # The SDK would use a bare body with the keys "json" and "params" as the arguments of its own request.
        chute.add_middleware(
            CallShapeMiddleware, calls=CordCalls(public=[("POST", PUBLIC_PATH)], internal=[_INTERNAL_PATH])
        )
    chute.cord(
        path=_INTERNAL_PATH,
        public_api_path=PUBLIC_PATH,
        public_api_method="POST",
        method="POST",
        stream=True,
        passthrough=True,
        passthrough_path=_INTERNAL_PATH,
        passthrough_port=server.port if server else None,
        input_schema=_CALL_SCHEMA,
        output_content_type="text/event-stream",
    )(_carry)


async def _carry(self: Any, response: Any = None) -> Any:
    """Give the cord its name in the SDK, whose passthrough handles the calls."""
    return response
