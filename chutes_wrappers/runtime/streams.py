"""Stream cords: a handler of the loopback server that sends one call and relays its response as it arrives."""

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
from chutes_wrappers.runtime.call_request import build_request
from chutes_wrappers.runtime.gateway import Gateway
from chutes_wrappers.runtime.gc_pause import GCPause
from chutes_wrappers.runtime.loopback import Handler
from chutes_wrappers.runtime.module_headers import SelectHeaders, add_headers
from chutes_wrappers.runtime.service_headers import read_header
from chutes_wrappers.runtime.stream_frames import MAX_LINE_BYTES, Framing, LineTooLong, encode_event, select_framing
from chutes_wrappers.runtime.upstream import UpstreamRequest

_GC_PAUSE = GCPause()


def make_stream_handler(gateway: Gateway, route: Route, port: int, select_headers: SelectHeaders = dict) -> Handler:
    """Return a handler for native stream calls of the SDK: the request's JSON body and query string are the call's.

    A call is parsed as on a plain cord. What the SDK does to it before is the same for both (production converts integers
    beyond 64 bits to floats). A failed call returns its status and detail, which the SDK forwards. A later error is the
    stream's last event, ``{"error": …}``. ``select_headers`` is as in ``Gateway.handle_call``.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            body, query = await request.read(), dict(request.query)
            if route.gradio is not None:
                call = {"json": await asyncio.to_thread(_parse_body, body), "params": query}
                async with aclosing(gateway.open_gradio(route.gradio, port, call, select_headers())) as frames:
                    return await _send_all(request, frames)
            # In a thread, because files and forms are decoded there. Parsing the JSON itself holds the interpreter's lock,
            # a second for 100 MB.
            upstream_request = await asyncio.to_thread(_build_request, route, port, body, query)
            async with gateway.open(add_headers(upstream_request, select_headers())) as upstream_response:
                return await _relay(request, upstream_response)
        except CallFailed as failure:
            return web.json_response(failure.detail, status=failure.status)

    return handle


def _build_request(route: Route, port: int, body: bytes, query: Mapping[str, str]) -> UpstreamRequest:
    return build_request(route, port, {"json": _parse_body(body), "params": query})


def _parse_body(body: bytes) -> object:
    try:
        # Not orjson, which supports neither integers beyond 64 bits nor NaN.
        with _GC_PAUSE:
            return json.loads(body) if body else {}
    except RecursionError as error:
        raise CallFailed("the call is nested too deeply") from error
    except ValueError as error:
        raise CallFailed(f"the body is not JSON: {error}") from error


async def _send_all(request: web.Request, frames: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    # Before the response starts, so that an error still has its status.
    first = await anext(frames, encode_event({"data": []}))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(first)
    async for frame in frames:
        await response.write(frame)
    await response.write_eof()
    return response


async def _relay(request: web.Request, upstream_response: aiohttp.ClientResponse) -> web.StreamResponse:
    framing = select_framing(read_header(upstream_response, "Content-Type"))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    if not await _send_frames(response, upstream_response, framing):
        # The SDK treats a stream without a line as a failure.
        await response.write(encode_event({"status": upstream_response.status}))
    await response.write_eof()
    return response


async def _send_frames(
    response: web.StreamResponse, upstream_response: aiohttp.ClientResponse, framing: Framing
) -> bool:
    """Send the frames, and return whether anything was sent."""
    has_sent = False
    try:
        async for piece in upstream_response.content.iter_any():
            if frame := framing.feed(piece):
                has_sent = True
                await response.write(frame)
        last = framing.finish()
    except LineTooLong:
        last = _encode_error_event(
            f"a line of the response is longer than {MAX_LINE_BYTES // 1024**2} MiB; only the tunnel supports it"
        )
    except (asyncio.TimeoutError, aiohttp.ClientPayloadError) as error:
        logger.warning("the service aborted its stream: {}", type(error).__name__)
        last = framing.finish() + _encode_error_event(f"the service aborted its stream ({type(error).__name__})")
    if last:
        await response.write(last)
    return has_sent or bool(last)


def _encode_error_event(text: str) -> bytes:
    return encode_event({"error": text})
