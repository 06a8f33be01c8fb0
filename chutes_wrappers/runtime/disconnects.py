"""Delivery of a caller's disconnect to every reader, as often as it reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from chutes_wrappers.runtime.call_shape import ASGIApp, Scope

_Receive = Callable[[], Awaitable[Any]]


class DisconnectMiddleware:
    """Innermost middleware: a cancelled ``receive`` loses no message of the caller.

    The server sends the disconnect once. The SDK polls for it between two pieces of a stream, and cancels the poll unless a
    message is available immediately (Starlette's ``Request.is_disconnected``). The SDK's middleware then loses that
    message, also for other readers, and the stream continues to its end.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: _Receive, send: Callable[[Any], Any]) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        messages = _Messages(receive)
        try:
            await self._app(scope, messages.next, send)
        finally:
            messages.close()


class _Messages:
    """Receives one message at a time; after a cancelled wait, the next reader gets it."""

    def __init__(self, receive: _Receive) -> None:
        self._receive = receive
        self._pending: asyncio.Task[Any] | None = None

    async def next(self) -> Any:
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._receive_next())
        pending = self._pending
        if not pending.done():
            await asyncio.shield(pending)
        message = pending.result()
        if message["type"] != "http.disconnect" and pending is self._pending:
            self._pending = None
        return message

    async def _receive_next(self) -> Any:
        return await self._receive()

    def close(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
