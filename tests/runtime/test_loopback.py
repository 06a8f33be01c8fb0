"""Who reaches the instance's own server: the SDK's passthrough, and no browser."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest
from aiohttp import web

from chutes_wrappers.runtime.loopback import MAX_REQUEST_BYTES, LoopbackServer

OWN = {"Host": "api.internal", "Origin": "https://app.example", "Sec-Fetch-Mode": "cors", "Authorization": "Bearer x"}


@contextlib.asynccontextmanager
async def serve(own: Mapping[str, str]) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=await request.text())

    server = LoopbackServer(own_headers=lambda: own)
    server.add_handler("/t", handle)
    await server.start()
    async with aiohttp.ClientSession() as session:
        yield session, f"http://127.0.0.1:{server.port}"
    await server.stop()


async def status(own: Mapping[str, str], headers: Mapping[str, str], method: str = "POST", path: str = "/t") -> int:
    async with serve(own) as (session, url), session.request(method, url + path, headers=headers) as response:
        return response.status


@pytest.mark.parametrize("own", [{}, OWN])
@pytest.mark.parametrize("path", ["/t", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:5173"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_foreign_hosts_and_browsers_are_refused_on_every_path(
    own: Mapping[str, str], headers: Mapping[str, str], method: str, path: str
) -> None:
    assert await status(own, headers, method, path) == 403


@pytest.mark.parametrize("own", [{}, OWN])
async def test_the_sdks_passthrough_is_accepted(own: Mapping[str, str]) -> None:
    assert await status(own, own) == 200
    assert await status(own, {}) == 200


async def test_a_chutes_headers_open_nothing_for_others() -> None:
    assert await status(OWN, {**OWN, "Host": "evil.example"}) == 403
    assert await status(OWN, {**OWN, "Origin": "https://evil.example"}) == 403
    assert await status(OWN, {**OWN, "Sec-Fetch-Mode": "navigate"}) == 403


async def test_a_large_request_is_accepted_and_the_limit_is_a_gibibyte() -> None:
    assert MAX_REQUEST_BYTES == 1024**3
    body = b"x" * (3 * 1024**2)
    async with serve({}) as (session, url), session.post(url + "/t", data=io.BytesIO(body)) as response:
        assert len(await response.text()) == len(body)


async def test_after_the_stop_the_port_is_closed() -> None:
    async with serve({}) as (session, url):
        pass
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.post(url + "/t")


async def test_a_start_can_be_repeated_and_a_stop_needs_none() -> None:
    server = LoopbackServer()
    await server.start()
    await server.start()
    await server.stop()
    await LoopbackServer().stop()
