"""The instance's end of the tunnel: a handler of the loopback server that sends one HTTP request and returns its response as lines.

Its status is always 200, because the service's status is in the first line. So no client can make the instance return a
status that the platform counts as a failure (PLATFORM.md, section 3).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from dataclasses import replace

from aiohttp import web

from chutes_wrappers.core.platform_rules import API_CALL_LIMIT_S
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.failure_attribution import ServiceHealth
from chutes_wrappers.runtime.gateway import CALL_TIMEOUT_S
from chutes_wrappers.runtime.http1 import Exchange, InvalidCall, ServiceDisconnected, connect
from chutes_wrappers.runtime.loopback import Handler
from chutes_wrappers.runtime.module_headers import ServiceHeaders
from chutes_wrappers.runtime.service_headers import encode_header_value
from chutes_wrappers.runtime.tunnel_frames import Data, End, Failure, Frame, TunnelCall, Wait, encode
from chutes_wrappers.runtime.tunnel_request import CallReader

# The SDK detects that a client has disconnected when there is something to send (SDK chute/cord.py).
KEEPALIVE_INTERVAL_S = 2.0
_PIECE_BYTES = 256 * 1024


def make_tunnel_handler(ports: Collection[int], headers: ServiceHeaders | None = None) -> Handler:
    """Return a handler for calls to the services on ``ports``. An invalid call gets a 400 with ``{"error": …}``.

    The service also gets ``headers``, except those that the client sends itself.

    If the port accepts no connection, the status is 429 while the service starts or is busy, and 503 if it responded
    before.
    """
    health = ServiceHealth()

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            call = _add_headers(await _read_call(request, ports), headers)
            async with _connect(call.port, health) as exchange:
                return await _relay(request, exchange, call)
        except CallFailed as failure:
            return web.json_response(failure.detail, status=failure.status)

    return handle


async def _read_call(request: web.Request, ports: Collection[int]) -> TunnelCall:
    reader = CallReader()
    async for piece in request.content.iter_chunked(_PIECE_BYTES):
        reader.feed(piece)
    return reader.finish(ports)


def _add_headers(call: TunnelCall, headers: ServiceHeaders | None) -> TunnelCall:
    defaults = (
        headers.select_for_request(call.port, call.method, call.target.partition("?")[0]) if headers is not None else {}
    )
    own_names = {name.lower() for name, _ in call.headers}
    added = [(name, encode_header_value(value)) for name, value in defaults.items() if name.lower() not in own_names]
    return replace(call, headers=(*call.headers, *added)) if added else call


@contextlib.asynccontextmanager
async def _connect(port: int, health: ServiceHealth) -> AsyncIterator[Exchange]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            exchange = await stack.enter_async_context(connect(port))
        except OSError as error:
            raise health.make_connection_error(port, error) from error
        health.record_success(port)
        yield exchange


async def _relay(request: web.Request, exchange: Exchange, call: TunnelCall) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    lines = _FrameWriter(response)
    waiting = asyncio.create_task(lines.send_keepalives())
    try:
        await asyncio.wait_for(_send_all(lines, _iter_frames(exchange, call)), CALL_TIMEOUT_S)
    except asyncio.TimeoutError:
        await lines.send(
            Failure(
                f"the call timed out after {CALL_TIMEOUT_S:g} s: the platform ends a call after {API_CALL_LIMIT_S:g} s"
            )
        )
    finally:
        waiting.cancel()
    await response.write_eof()
    return response


async def _send_all(lines: _FrameWriter, frames: AsyncIterator[Frame]) -> None:
    async for frame in frames:
        await lines.send(frame)


async def _iter_frames(exchange: Exchange, call: TunnelCall) -> AsyncIterator[Frame]:
    try:
        yield await exchange.start(call)
        async for piece in exchange.iter_body():
            yield Data(piece)
        yield End()
    except (ServiceDisconnected, InvalidCall) as error:
        yield Failure(str(error))


class _FrameWriter:
    """Writes frames, each immediately, and keepalives while there are none."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response
        self._last_sent_at = asyncio.get_running_loop().time()

    async def send(self, frame: Frame) -> None:
        self._last_sent_at = asyncio.get_running_loop().time()
        await self._response.write(encode(frame))

    async def send_keepalives(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # the caller has disconnected, and the handler will be cancelled
            while True:
                await asyncio.sleep(max(0.0, self._last_sent_at + KEEPALIVE_INTERVAL_S - loop.time()))
                if loop.time() - self._last_sent_at >= KEEPALIVE_INTERVAL_S:
                    await self.send(Wait())
