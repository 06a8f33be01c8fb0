"""Stream cords: a handler of the loopback server that carries one call and hands its answer on as it comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import aiohttp
from aiohttp import web
from loguru import logger

from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.call_request import make_request
from chutes_wrappers.runtime.gateway import Gateway
from chutes_wrappers.runtime.gc_pause import PausedCollector
from chutes_wrappers.runtime.loopback import Handler
from chutes_wrappers.runtime.service_headers import header_of
from chutes_wrappers.runtime.stream_frames import LONGEST_LINE_BYTES, Framing, LineTooLong, event, framing_for
from chutes_wrappers.runtime.upstream import UpstreamRequest

_PAUSED_COLLECTOR = PausedCollector()


def stream_handler(gateway: Gateway, route: Route, port: int) -> Handler:
    """Answers a native stream call of the SDK: its JSON body and query string are the call's.

    A call is read as on a plain cord; what the SDK does to it before (production makes floats of integers beyond 64 bits) is
    the same for both. A refused call is answered with its status and detail, which the SDK hands on. What goes wrong later is
    the stream's last event, ``{"error": …}``.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            body, query = await request.read(), dict(request.query)
            if route.gradio is not None:
                call = {"json": await asyncio.to_thread(_parsed, body), "params": query}
                async with aclosing(gateway.open_gradio(route.gradio, port, call)) as frames:
                    return await _send_all(request, frames)
            # In a thread, because files and forms are decoded there; the JSON itself holds the interpreter's lock while it is
            # parsed, a second for 100 MB.
            made = await asyncio.to_thread(_request, route, port, body, query)
            async with gateway.open(made) as answer:
                return await _relay(request, answer)
        except CallFailed as refusal:
            return web.json_response(refusal.detail, status=refusal.status)

    return handle


def _request(route: Route, port: int, body: bytes, query: Mapping[str, str]) -> UpstreamRequest:
    return make_request(route, port, {"json": _parsed(body), "params": query})


def _parsed(body: bytes) -> object:
    try:
        # Not orjson, which knows no integers beyond 64 bits and no NaN.
        with _PAUSED_COLLECTOR:
            return json.loads(body) if body else {}
    except RecursionError as error:
        raise CallFailed("the call is nested too deeply") from error
    except ValueError as error:
        raise CallFailed(f"the body is not JSON: {error}") from error


async def _send_all(request: web.Request, frames: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    first = await anext(frames, event({"data": []}))  # before the answer begins, so that a refusal still has its status
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(first)
    async for frame in frames:
        await response.write(frame)
    await response.write_eof()
    return response


async def _relay(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    framing = framing_for(header_of(answer, "Content-Type"))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    if not await _send_frames(response, answer, framing):
        # The SDK takes a stream without a line for a failure.
        await response.write(event({"status": answer.status}))
    await response.write_eof()
    return response


async def _send_frames(response: web.StreamResponse, answer: aiohttp.ClientResponse, framing: Framing) -> bool:
    """Whether anything was sent."""
    sent = False
    try:
        async for piece in answer.content.iter_any():
            if frame := framing.feed(piece):
                sent = True
                await response.write(frame)
        last = framing.end()
    except LineTooLong:
        last = _error(
            f"a line of the answer is longer than {LONGEST_LINE_BYTES // 1024**2} MiB; only the tunnel carries it"
        )
    except (asyncio.TimeoutError, aiohttp.ClientPayloadError) as error:
        logger.warning("the service broke its stream off: {}", type(error).__name__)
        last = framing.end() + _error(f"the service broke its stream off ({type(error).__name__})")
    if last:
        await response.write(last)
    return sent or bool(last)


def _error(text: str) -> bytes:
    return event({"error": text})
