"""Where a chute is called, what is sent along, and what is tried again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
from aiohttp import web

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.forwarding.chute_client import Chute, ChuteAddress, PublicCall, chute_address
from chutes_wrappers.host.forwarding.transport import NotCarried
from tests.upstreams.scripted import unused_port

KEY = "cpk_secret"


@contextlib.asynccontextmanager
async def platform(answers: Sequence[int]) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Answers with these statuses, the last for ever; yields its URL and the requests."""
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        asked.append(request)
        return web.Response(status=answers[min(len(asked), len(answers)) - 1], text="text")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    await runner.cleanup()


def a_post(body: bytes) -> PublicCall:
    async def pieces() -> AsyncIterator[bytes]:
        yield body[:1]
        yield body[1:]

    return PublicCall(method="POST", path="/a", query=(("q", "ä &"), ("q", "2")), pieces=pieces, length=len(body))


async def test_a_429_is_tried_again_with_the_whole_body_and_nothing_else_is() -> None:
    for answers, expected in [([429, 429, 200], 3), ([500], 1), ([400], 1), ([429, 503], 2)]:
        async with (
            platform(answers) as (url, asked),
            Chute(ChuteAddress(url=url)) as chute,
            chute.call(a_post(b'{"a": 1}')) as answer,
        ):
            assert answer.status == answers[-1]
        assert len(asked) == expected
        assert [await request.read() for request in asked] == [b'{"a": 1}'] * expected
        assert asked[-1].headers["Content-Length"] == "8"
        assert asked[-1].query.getall("q") == ["ä &", "2"]


async def test_patience_ends() -> None:
    async with platform([429]) as (url, asked), Chute(ChuteAddress(url=url), patience_s=0.3) as chute:
        with pytest.raises(NotCarried, match="busy") as caught:
            async with chute.call(a_post(b"{}")):
                pass
    assert caught.value.status == 429
    assert len(asked) == 2


async def test_a_chute_that_does_not_answer_is_a_502() -> None:
    async with Chute(ChuteAddress(url=f"http://127.0.0.1:{unused_port()}")) as chute:
        with pytest.raises(NotCarried, match="cannot be reached") as caught:
            async with chute.call(a_post(b"{}")):
                pass
    assert caught.value.status == 502


async def test_key_and_host_are_sent_where_they_are_known_and_redirects_are_not_followed() -> None:
    async with platform([307]) as (url, asked):
        async with (
            Chute(ChuteAddress(url=url, host="x.localhost", key=KEY)) as chute,
            chute.call(a_post(b"{}")) as answer,
        ):
            assert answer.status == 307
        async with Chute(ChuteAddress(url=url)) as chute, chute.call(PublicCall(method="GET", path="/b")):
            pass
    first, second = asked
    assert (first.headers["Authorization"], first.headers["Host"]) == (f"Bearer {KEY}", "x.localhost")
    assert "Authorization" not in second.headers
    assert (second.method, second.path_qs) == ("GET", "/b")


async def test_a_caller_that_gives_up_ends_the_waiting() -> None:
    async with platform([429]) as (url, _), Chute(ChuteAddress(url=url)) as chute:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(_call(chute), 0.5)


async def _call(chute: Chute) -> None:
    async with chute.call(a_post(b"{}")):
        pass


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:8000/", "http://[::1]:8000"])
def test_the_key_is_not_for_this_machine(url: str) -> None:
    address = chute_address(url, KEY)
    assert (address.key, address.is_local, address.url) == (None, True, url.rstrip("/"))


def test_a_name_below_localhost_is_called_here_by_its_name() -> None:
    address = chute_address("http://tester-case.localhost:8000", KEY)
    assert address == ChuteAddress(url="http://127.0.0.1:8000", host="tester-case.localhost:8000")
    assert address.shown == "http://tester-case.localhost:8000"


def test_elsewhere_the_key_goes_along_and_is_never_shown() -> None:
    address = chute_address("https://tester-case.chutes.ai/", KEY)
    assert (address.url, address.key, address.is_local) == ("https://tester-case.chutes.ai", KEY, False)
    assert KEY not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "chutes.ai",
        "ftp://a",
        "https://",
        "https://a?b=c",
        "https://u:p@a",
        "http://[",
        "http://example.com",
        "http://127.0.0.1.example.com",
    ],
)
def test_what_is_no_url_of_a_chute_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        chute_address(url, KEY)
    assert KEY not in str(caught.value)
