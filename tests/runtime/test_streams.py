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

from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime import streams
from chutes_wrappers.runtime.background import BACKGROUND
from chutes_wrappers.runtime.call_request import make_request
from chutes_wrappers.runtime.gateway import Gateway
from chutes_wrappers.runtime.loopback import LoopbackServer
from chutes_wrappers.runtime.streams import stream_handler
from chutes_wrappers.runtime.upstream import UpstreamRequest
from tests.upstreams.menagerie import Menagerie, menagerie

ROUTE = Route(path="/echo")


@pytest.fixture(scope="module")
def service() -> Iterator[Menagerie]:
    with menagerie() as running:
        yield running


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway(timeout_s=20)
    yield made
    await BACKGROUND.run(made.close())


async def stream(gateway: Gateway, port: int, body: str) -> tuple[int, Any]:
    server = LoopbackServer()
    server.add("/echo", stream_handler(gateway, ROUTE, port))
    await server.start()
    try:
        url = f"http://127.0.0.1:{server.port}/echo"
        async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
            return answer.status, json.loads(await answer.text())
    finally:
        await server.stop()


async def plain(gateway: Gateway, port: int, body: Any) -> Any:
    answer = await asyncio.to_thread(gateway.answer, ROUTE, port, {"json": body, "params": {}})
    return json.loads(answer.body)


@pytest.mark.parametrize("number", [10**40, -(2**64), 2**63, 0.1, 1e300, math.inf, math.nan])
async def test_numbers_travel_as_on_a_plain_cord(gateway: Gateway, service: Menagerie, number: float) -> None:
    status, streamed = await stream(gateway, service.port, json.dumps({"n": number}))
    assert (status, streamed["body"]) == (200, (await plain(gateway, service.port, {"n": number}))["body"])
    [arrived] = json.loads(streamed["body"]).values()
    assert arrived == (number if math.isfinite(number) else None)


@pytest.mark.parametrize("body", ["no json", '{"a": ', "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")])
async def test_a_body_that_is_no_json_is_refused(gateway: Gateway, service: Menagerie, body: str) -> None:
    status, refused = await stream(gateway, service.port, body)
    assert (status, "is not JSON" in refused["error"]) == (400, True)


async def test_a_body_that_is_nested_too_deeply_is_refused(gateway: Gateway, service: Menagerie) -> None:
    status, refused = await stream(gateway, service.port, '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    assert (status, refused["error"]) == (400, "the call is nested too deeply")


async def test_a_call_is_read_and_encoded_outside_of_the_loop_that_carries_the_others(
    gateway: Gateway, service: Menagerie, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def loop_thread() -> threading.Thread:
        return threading.current_thread()

    threads = []

    def noted(route: Route, port: int, call: Mapping[str, Any]) -> UpstreamRequest:
        threads.append(threading.current_thread())
        return make_request(route, port, call)

    monkeypatch.setattr(streams, "make_request", noted)
    assert (await stream(gateway, service.port, "{}"))[0] == 200
    assert len(threads) == 1
    assert threads[0] is not await BACKGROUND.run(loop_thread())
