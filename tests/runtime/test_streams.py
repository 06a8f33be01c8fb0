"""Stream cords as the SDK calls them, in front of a real service; what they do to a call is what plain cords do."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import aiohttp
import pytest

from chutes_wrappers.core.gradio_endpoints import GradioEndpoint
from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime import stream_frames, streams
from chutes_wrappers.runtime.background import BACKGROUND
from chutes_wrappers.runtime.call_request import build_request
from chutes_wrappers.runtime.gateway import Gateway
from chutes_wrappers.runtime.loopback import LoopbackServer
from chutes_wrappers.runtime.streams import make_stream_handler
from chutes_wrappers.runtime.upstream import UpstreamRequest
from tests.upstreams.gradio_app import FakeGradioApp, completed, generating
from tests.upstreams.http_fixture import HttpFixture, serve_http_fixture
from tests.upstreams.raw import serve_reply

ROUTE = Route(path="/echo")


@pytest.fixture(scope="module")
def service() -> Iterator[HttpFixture]:
    with serve_http_fixture() as running:
        yield running


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway(timeout_s=60)
    yield made
    await BACKGROUND.run(made.close())


async def stream(gateway: Gateway, port: int, body: str) -> tuple[int, Any]:
    server = LoopbackServer()
    server.add_handler("/echo", make_stream_handler(gateway, ROUTE, port))
    await server.start()
    try:
        url = f"http://127.0.0.1:{server.port}/echo"
        async with aiohttp.ClientSession() as session, session.post(url, data=body) as response:
            return response.status, json.loads(await response.text())
    finally:
        await server.stop()


async def call_plain(gateway: Gateway, port: int, body: Any) -> Any:
    response = await asyncio.to_thread(gateway.handle_call, ROUTE, port, {"json": body, "params": {}})
    return json.loads(response.body)


@pytest.mark.parametrize("number", [10**40, -(2**64), 2**63, 0.1, 1e300, math.inf, math.nan])
async def test_numbers_are_sent_as_on_a_plain_cord(gateway: Gateway, service: HttpFixture, number: float) -> None:
    status, streamed = await stream(gateway, service.port, json.dumps({"n": number}))
    assert (status, streamed["body"]) == (200, (await call_plain(gateway, service.port, {"n": number}))["body"])
    [arrived] = json.loads(streamed["body"]).values()
    assert arrived == (number if math.isfinite(number) else None)


@pytest.mark.parametrize("body", ["no json", '{"a": ', "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")])
async def test_an_invalid_json_body_is_rejected(gateway: Gateway, service: HttpFixture, body: str) -> None:
    status, refused = await stream(gateway, service.port, body)
    assert (status, "is not JSON" in refused["error"]) == (400, True)


async def test_a_body_that_is_nested_too_deeply_is_refused(gateway: Gateway, service: HttpFixture) -> None:
    status, refused = await stream(gateway, service.port, '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    assert (status, refused["error"]) == (400, "the call is nested too deeply")


async def test_a_call_is_read_and_encoded_outside_of_the_loop_that_carries_the_others(
    gateway: Gateway, service: HttpFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def loop_thread() -> threading.Thread:
        return threading.current_thread()

    threads = []

    def noted(route: Route, port: int, call: Mapping[str, Any]) -> UpstreamRequest:
        threads.append(threading.current_thread())
        return build_request(route, port, call)

    monkeypatch.setattr(streams, "build_request", noted)
    assert (await stream(gateway, service.port, "{}"))[0] == 200
    assert len(threads) == 1
    assert threads[0] is not await BACKGROUND.run(loop_thread())


async def relay(
    gateway: Gateway, reply: bytes, route: Route = ROUTE, query: str = ""
) -> tuple[aiohttp.ClientResponse, bytes]:
    """Return what a caller of a stream cord receives if its service sends ``reply``."""
    async with serve_reply(reply) as port:
        return await call_stream(gateway, route, port, query)


async def call_stream(
    gateway: Gateway, route: Route, port: int, query: str = ""
) -> tuple[aiohttp.ClientResponse, bytes]:
    server = LoopbackServer()
    server.add_handler("/s", make_stream_handler(gateway, route, port))
    await server.start()
    try:
        url = f"http://127.0.0.1:{server.port}/s{query}"
        async with aiohttp.ClientSession() as session, session.post(url, data="{}") as response:
            return response, await response.read()
    finally:
        await server.stop()


def head(content_type: str, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n%b\r\n" % (content_type.encode(), more)


@pytest.mark.parametrize(
    ("content_type", "body", "frames"),
    [
        ("text/event-stream", b"data: 1\n\ndata: 2\n\n", b"data: 1\n\ndata: 2\n\n"),
        ("application/x-ndjson", b"1\n2", b"1\n2\n"),
        ("text/plain", b"hi", b'data: {"text":"hi"}\n\n'),
        ("audio/wav", b"\xff", b'data: {"content_type":"audio/wav","data":"/w=="}\n\n'),
        ("text/event-stream", b"", b'data: {"status":200}\n\n'),
        ("text/plain", b"", b'data: {"status":200}\n\n'),
    ],
)
async def test_a_response_is_streamed_as_events_or_lines(
    gateway: Gateway, content_type: str, body: bytes, frames: bytes
) -> None:
    response, seen = await relay(gateway, head(content_type) + body)
    assert (response.status, response.content_type, seen) == (200, "text/event-stream", frames)


async def test_a_stream_that_breaks_off_ends_with_the_reason(gateway: Gateway) -> None:
    reply = head("text/event-stream", b"Content-Length: 99\r\n") + b"data: 1\n\ndata: 2"
    _, seen = await relay(gateway, reply)
    assert seen.startswith(b"data: 1\n\ndata: 2\n")
    assert b'data: {"error":"the service aborted its stream (ClientPayloadError)"}\n\n' in seen


async def test_a_line_that_is_too_long_ends_the_stream_with_the_way_out(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_frames, "MAX_LINE_BYTES", 10)
    _, seen = await relay(gateway, head("text/event-stream") + b"data: 1\n\ndata: 23456789")
    assert b'"error":"a line of the response is longer than 8 MiB; only the tunnel supports it"' in seen


async def test_a_refusal_keeps_its_status_and_detail(gateway: Gateway) -> None:
    reply = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno"
    response, seen = await relay(gateway, reply)
    assert (response.status, json.loads(seen)["status"], json.loads(seen)["body"]) == (400, 404, "no")


async def test_the_query_reaches_the_service(gateway: Gateway, service: HttpFixture) -> None:
    _, seen = await call_stream(gateway, ROUTE, service.port, "?a=1&b=%C3%BC")
    assert json.loads(seen)["target"] == "/echo?a=1&b=%C3%BC"


async def test_a_gradio_endpoint_streams_what_it_yields(gateway: Gateway) -> None:
    endpoint = GradioEndpoint(prefix="/api", api_name="x", fn_index=7, protocol="sse_v1")
    app = FakeGradioApp([generating("one"), generating("two"), completed("two")])
    async with app.serving() as url:
        route = Route(path="/x", gradio=endpoint, stream=True)
        response, seen = await call_stream(gateway, route, int(url.rsplit(":", 1)[1]))
    assert (response.status, response.content_type) == (200, "text/event-stream")
    assert seen == b'data: {"data":["one"]}\n\ndata: {"data":["two"]}\n\n'
