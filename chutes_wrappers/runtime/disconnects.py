"""That a caller has gone, told to everybody who asks, as often as they ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from chutes_wrappers.runtime.call_shape import ASGIApp, Scope

_Receive = Callable[[], Awaitable[Any]]


class DisconnectMiddleware:
    """Innermost middleware: no message of the caller's is lost to a question that is dropped.

    The server says once that the caller has gone. The SDK asks for it between two pieces of a stream and drops the question
    when there is no answer at once (Starlette's ``Request.is_disconnected``): on its way through the SDK's middleware that
    answer is then lost, also to whoever waits for it, and the stream goes on to its end.
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
    """Asks for one message at a time; a cancelled wait for it leaves it to the next."""

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
