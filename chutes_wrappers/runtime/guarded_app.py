"""The local guard in front of an ASGI application: before its middleware and routing, and before a body is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from chutes_wrappers.core.local_guard import REFUSAL_STATUS, LocalGuard
from chutes_wrappers.runtime.call_shape import ASGIApp, Scope

_Receive = Callable[[], Awaitable[Any]]
_Send = Callable[[Any], Awaitable[None]]


class GuardedApp:
    """Passes what ``guard`` accepts to ``app``; anything else gets a 403 with the reason as text."""

    def __init__(self, app: ASGIApp, guard: LocalGuard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: _Receive, send: _Send) -> None:
        """Serve one ASGI connection."""
        problem = self._find_refusal(scope) if scope["type"] in ("http", "websocket") else None
        if problem is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await refuse(send, REFUSAL_STATUS, problem)
        else:
            # The server converts it to a 403 (ASGI specification, "Close").
            await send({"type": "websocket.close", "reason": problem})

    def _find_refusal(self, scope: Scope) -> str | None:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        return self._guard.find_refusal(scope.get("method", "GET"), headers)


async def refuse(send: _Send, status: int, reason: str, media_type: str = "text/plain; charset=utf-8") -> None:
    """Send ``reason`` with ``status`` and end the connection, without reading the request's body."""
    body = reason.encode()
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
