"""Calls to a chute's own host: ``http://<slug>.localhost:PORT/<public path>`` (PLATFORM.md, section 3)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator.chute_call import ChuteCall, Limits, Receive, Send
from chutes_wrappers.emulator.client_response import ClientResponse, make_error_response
from chutes_wrappers.emulator.instance_request import slug_of
from chutes_wrappers.emulator.instances import Instances
from chutes_wrappers.emulator.records import CallRecord, ChuteRecord
from chutes_wrappers.runtime.call_shape import ASGIApp, Scope


class Invocation:
    """ASGI middleware: handles calls to the hosts of chutes, and passes all others to ``app``.

    The platform's own routes go to ``app`` on chute hosts as well. ``lookup`` finds a chute by its slug. ``authorize`` returns
    whether headers (lower-case names) permit a call. ``observe`` gets a record of every permitted call.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        lookup: Callable[[str], ChuteRecord | None],
        authorize: Callable[[Mapping[str, str]], bool],
        instances: Instances,
        observe: Callable[[CallRecord], None] = lambda call: None,
        limits: Limits | None = None,
    ) -> None:
        self._app = app
        self._lookup = lookup
        self._authorize = authorize
        self._instances = instances
        self._observe = observe
        self._limits = limits or Limits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        slug = slug_of(Headers(scope=scope).get("host", "")) if scope["type"] == "http" else None
        # The platform's own routes come first, on a chute's host as well.
        if slug is None or platform_checks.is_shadowed(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        chute = self._lookup(slug)
        invocation_id = str(uuid.uuid4())
        send = _add_header(send, platform_rules.INVOCATION_HEADER, invocation_id)
        if chute is None:
            await _reject(make_error_response(404, f"No chute found: {slug}"), scope, receive, send)
        elif not self._authorize(headers):
            await _reject(make_error_response(401, "Invalid or missing API key"), scope, receive, send)
        else:
            call = ChuteCall(
                chute, Request(scope, receive), invocation_id, self._instances, self._limits, self._observe
            )
            try:
                await call.respond(send)
            finally:
                call.observe()


async def _reject(response: ClientResponse, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a response and close the connection: the body of an unknown caller is not read."""
    await Response(response.body, response.status, {"connection": "close"}, response.media_type)(scope, receive, send)


def _add_header(send: Send, name: str, value: str) -> Send:
    """Return ``send`` with one more header in the response's head."""

    async def send_with_header(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (name.lower().encode(), value.encode())]
        await send(message)

    return send_with_header
