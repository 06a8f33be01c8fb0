"""Headers of a service that are not ASCII: responses and errors with them reach the caller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime.background import BACKGROUND
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.gateway import CallResponse, Gateway
from chutes_wrappers.runtime.loopback import LoopbackServer
from chutes_wrappers.runtime.service_headers import encode_header_value
from chutes_wrappers.runtime.streams import make_stream_handler
from tests.upstreams.raw import serve_reply

LATIN, UTF_8 = "é".encode("latin-1"), "日".encode()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway(timeout_s=60)
    yield made
    await BACKGROUND.run(made.close())


def build_reply(status: str, *headers: bytes) -> bytes:
    return b"\r\n".join([f"HTTP/1.1 {status} X".encode(), *headers, b"Content-Length: 1", b"", b"x"])


async def call_gateway(gateway: Gateway, port: int) -> CallResponse:
    return await asyncio.to_thread(gateway.handle_call, Route(path="/x"), port, {"json": {}, "params": {}})


async def stream(gateway: Gateway, port: int) -> tuple[int, Any]:
    server = LoopbackServer()
    server.add_handler("/x", make_stream_handler(gateway, Route(path="/x", stream=True), port))
    await server.start()
    try:
        url = f"http://127.0.0.1:{server.port}/x"
        async with aiohttp.ClientSession() as session, session.post(url, json={}) as response:
            return response.status, json.loads((await response.text()).removeprefix("data: "))
    finally:
        await server.stop()


@pytest.mark.parametrize(("byte", "text"), [(LATIN, "é"), (UTF_8, "日")])
async def test_a_media_type_beyond_ascii_reaches_the_caller(gateway: Gateway, byte: bytes, text: str) -> None:
    async with serve_reply(build_reply("200", b"Content-Type: image/png; n=" + byte)) as port:
        response = await call_gateway(gateway, port)
        assert response.content_type.encode("latin-1").decode() == f"image/png; n={text}"
        assert await stream(gateway, port) == (200, {"content_type": f"image/png; n={text}", "data": "eA=="})


@pytest.mark.parametrize(("byte", "text"), [(LATIN, "é"), (UTF_8, "日")])
async def test_an_error_quotes_headers_beyond_ascii(gateway: Gateway, byte: bytes, text: str) -> None:
    error = build_reply("302", b"Location: http://elsewhere/" + byte, b"Content-Type: text/plain; n=" + byte)
    quoted = {
        "error": "the service returned 302 Found",
        "status": 302,
        "content_type": f"text/plain; n={text}",
        "body": "x",
        "location": f"http://elsewhere/{text}",
    }
    async with serve_reply(error) as port:
        with pytest.raises(CallFailed) as refused:
            await call_gateway(gateway, port)
        assert (refused.value.status, refused.value.detail) == (400, quoted)
        assert await stream(gateway, port) == (400, quoted)


@given(st.text(st.characters()))
def test_any_text_becomes_a_header(text: str) -> None:
    held = encode_header_value(text).encode("latin-1").decode()
    assert held.isprintable()
    assert not text.isprintable() or held == text
