"""That a caller has gone, told to everybody who asks, as often as they ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from chutes_wrappers.runtime.call_shape import ASGIApp, Scope

_Receive = Callable[[], Awaitable[Any]]


class LastingDisconnects:
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
        self._coming: asyncio.Task[Any] | None = None

    async def next(self) -> Any:
        if self._coming is None:
            self._coming = asyncio.ensure_future(self._ask())
        coming = self._coming
        if not coming.done():
            await asyncio.shield(coming)
        message = coming.result()
        if message["type"] != "http.disconnect" and coming is self._coming:
            self._coming = None
        return message

    async def _ask(self) -> Any:
        return await self._receive()

    def close(self) -> None:
        if self._coming is not None:
            self._coming.cancel()
