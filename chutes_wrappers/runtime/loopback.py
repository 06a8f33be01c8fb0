"""The instance's HTTP server on loopback: the target of native passthrough cords that stream.

A streaming handler whose client disconnects keeps its thread forever; a native streaming passthrough is closed properly
(PLATFORM.md, section 2). So a stream cord is a passthrough to this server, which sends the call to the service.
"""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from chutes_wrappers.core.local_guard import REFUSAL_STATUS, LocalGuard
from chutes_wrappers.runtime.background import BACKGROUND, BackgroundLoop
from chutes_wrappers.runtime.listeners import open_listener

MAX_REQUEST_BYTES = 1024**3

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_GUARD = LocalGuard(loopback_origins=False)
_BROWSER_HEADER_PREFIX = "sec-fetch-"
_REJECTION = "Only the chute itself may call this server. Call the chute's public address instead."


class LoopbackServer:
    """Serves ``POST <path>`` on 127.0.0.1 with the handler of that path.

    The port is bound immediately, so that cords can name it; requests are served after ``start``. Handlers run on the
    background loop, and are cancelled when their caller disconnects. Browsers and foreign hosts get a 403. ``own_headers``
    returns the headers that the chute itself sends with every passthrough, which are accepted unchanged.
    """

    def __init__(
        self, background: BackgroundLoop = BACKGROUND, own_headers: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        self._background = background
        self._own_headers = own_headers
        self._handlers: dict[str, Handler] = {}
        self._runner: web.AppRunner | None = None
        self._socket = open_listener("127.0.0.1", 0)
        # A module that is only loaded, to be described, never starts its server.
        weakref.finalize(self, self._socket.close)
        self.port: int = self._socket.getsockname()[1]

    def add_handler(self, path: str, handler: Handler) -> None:
        """Serve ``path`` with ``handler``; also possible after the start."""
        self._handlers[path] = handler

    async def start(self) -> None:
        """Start to serve, from any event loop; a second call has no effect."""
        await self._background.run(self._start())

    async def stop(self) -> None:
        """Close the port, and end handlers that still run."""
        await self._background.run(self._stop())

    async def _start(self) -> None:
        if self._runner is not None:
            return
        application = web.Application(client_max_size=MAX_REQUEST_BYTES, middlewares=[self._check_request])
        application.router.add_post("/{path:.*}", self._dispatch)
        self._runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=1.0, handle_signals=False
        )
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._socket.close()

    @web.middleware
    async def _check_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        allowed_headers = {(name.lower(), str(value).strip()) for name, value in self._own_headers().items()}
        headers = [(name.lower(), value) for name, value in request.headers.items()]
        client_headers = [pair for pair in headers if pair not in allowed_headers]
        if any(name.startswith(_BROWSER_HEADER_PREFIX) for name, _ in client_headers):
            return web.Response(status=REFUSAL_STATUS, text=_REJECTION)
        has_own_host = any(pair in allowed_headers for pair in headers if pair[0] == "host")
        checked_headers = [*client_headers, ("host", "localhost")] if has_own_host else client_headers
        if _GUARD.find_refusal(request.method, checked_headers):
            return web.Response(status=REFUSAL_STATUS, text=_REJECTION)
        return await handler(request)

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        handler = self._handlers.get(request.path)
        if handler is None:
            raise web.HTTPBadRequest(text=f"no cord is served at {request.path}")
        return await handler(request)
