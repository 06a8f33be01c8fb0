"""The URL and headers of a chute's calls, and their retries."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.chute_client import (
    Chute,
    ChuteAddress,
    PublicCall,
    parse_chute_address,
    resolve_chute_address,
)
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.host.forwarding.route_transport import RouteTransport
from chutes_wrappers.host.forwarding.transport import ForwardingError, Transport
from chutes_wrappers.host.forwarding.tunnel_transport import TunnelTransport
from chutes_wrappers.runtime.tunnel_frames import TunnelCall
from tests.scenario import find_free_port
from tests.upstreams.raw import serve_reply

KEY = "cpk_secret"


@contextlib.asynccontextmanager
async def platform(statuses: Sequence[int], text: str = "text") -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Return these statuses, the last one forever; yield its URL and the requests."""
    requests: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        requests.append(request)
        return web.Response(status=statuses[min(len(requests), len(statuses)) - 1], text=text)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", requests
    await runner.cleanup()


def create_route_transport(chute: Chute) -> Transport:
    cords = plan_cords([Route.model_validate({"path": "/greet", "request": {"encoding": "none"}})], 9000).cords
    return RouteTransport(chute, RouteTable(cords))


def make_post(body: bytes) -> PublicCall:
    async def pieces() -> AsyncIterator[bytes]:
        yield body[:1]
        yield body[1:]

    return PublicCall(method="POST", path="/a", query=(("q", "ä &"), ("q", "2")), pieces=pieces, length=len(body))


async def test_only_a_429_is_retried_with_the_whole_body() -> None:
    for statuses, expected in [([429, 429, 200], 3), ([500], 1), ([400], 1), ([429, 503], 2)]:
        async with (
            platform(statuses) as (url, requests),
            Chute(ChuteAddress(url=url)) as chute,
            chute.call(make_post(b'{"a": 1}')) as response,
        ):
            assert response.status == statuses[-1]
        assert len(requests) == expected
        assert [await request.read() for request in requests] == [b'{"a": 1}'] * expected
        assert requests[-1].headers["Content-Length"] == "8"
        assert requests[-1].query.getall("q") == ["ä &", "2"]


async def test_retries_end_after_the_timeout() -> None:
    async with platform([429]) as (url, requests), Chute(ChuteAddress(url=url), busy_timeout_s=0.3) as chute:
        with pytest.raises(ForwardingError, match="busy") as caught:
            async with chute.call(make_post(b"{}")):
                pass
    assert caught.value.status == 429
    assert len(requests) == 2


async def test_an_endless_reason_of_a_busy_chute_is_not_read() -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 429 Busy\r\nContent-Type: text/plain; charset=hex\r\n\r\n")
        with contextlib.suppress(OSError):  # until the client closes the connection
            while True:
                writer.write(b"a" * 1000)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Chute(ChuteAddress(url=url), busy_timeout_s=0) as chute:
        with pytest.raises(ForwardingError, match=r"busy for 0 s: a{500}$"):
            async with chute.call(make_post(b"{}")):
                pass


@pytest.mark.parametrize("status", [400, 401, 429, 503])
@pytest.mark.parametrize("create_transport", [TunnelTransport, create_route_transport])
async def test_no_error_contains_a_key_that_the_server_quotes(
    status: int, create_transport: Callable[[Chute], Transport]
) -> None:
    async with (
        platform([status], text=f"Invalid token {KEY}") as (url, requests),
        Chute(ChuteAddress(url=url, key=KEY), busy_timeout_s=0) as chute,
    ):
        with pytest.raises(ForwardingError, match="Invalid token") as caught:
            async with create_transport(chute).send(TunnelCall(port=9000, method="POST", target="/greet")):
                pass
    assert KEY not in str(caught.value)
    assert requests[0].headers["Authorization"] == f"Bearer {KEY}"


async def test_a_body_above_the_platforms_limit_is_sent_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_rules, "MAX_REQUEST_BYTES", 8)
    warnings: list[str] = []
    for body in (b'{"a": 1}', b'{"a": 12}'):
        async with (
            platform([200]) as (url, _),
            Chute(ChuteAddress(url=url), report=warnings.append) as chute,
            chute.call(make_post(body)),
        ):
            pass
    (warning,) = warnings
    assert warning.startswith(
        "POST /a: the body of the call has 0.0 MiB. The newest version of the platform's API accepts only"
    )


async def test_an_unreachable_chute_is_a_502() -> None:
    async with Chute(ChuteAddress(url=f"http://127.0.0.1:{find_free_port()}")) as chute:
        with pytest.raises(ForwardingError, match="cannot be reached") as caught:
            async with chute.call(make_post(b"{}")):
                pass
    assert caught.value.status == 502


async def test_a_response_that_cannot_be_read_is_not_called_unreachable() -> None:
    async with serve_reply(b"220 mail ready\r\n") as port, Chute(ChuteAddress(url=f"http://127.0.0.1:{port}")) as chute:
        with pytest.raises(ForwardingError, match="cannot be read: not HTTP"):
            async with chute.call(make_post(b"{}")):
                pass


async def test_key_and_host_are_sent_where_they_are_known_and_redirects_are_not_followed() -> None:
    async with platform([307]) as (url, requests):
        async with (
            Chute(ChuteAddress(url=url.replace("127.0.0.1", "x.localhost"), key=KEY)) as chute,
            chute.call(make_post(b"{}")) as response,
        ):
            assert response.status == 307
        async with Chute(ChuteAddress(url=url)) as chute, chute.call(PublicCall(method="GET", path="/b")):
            pass
    first, second = requests
    assert (first.headers["Authorization"], first.headers["Host"]) == (
        f"Bearer {KEY}",
        url.replace("http://127.0.0.1", "x.localhost"),
    )
    assert "Authorization" not in second.headers
    assert (second.method, second.path_qs) == ("GET", "/b")


async def test_cancellation_ends_the_retries() -> None:
    async with platform([429]) as (url, _), Chute(ChuteAddress(url=url)) as chute:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(_call(chute), 0.5)


async def _call(chute: Chute) -> None:
    async with chute.call(make_post(b"{}")):
        pass


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:8000/", "http://[::1]:8000"])
def test_the_key_is_not_sent_to_this_machine(url: str) -> None:
    address = parse_chute_address(url, KEY)
    assert (address.key, address.is_local, address.url) == (None, True, url.rstrip("/"))


def test_a_localhost_subdomain_is_a_chute_of_the_emulator_on_this_machine() -> None:
    address = parse_chute_address("http://Tester-case.localhost:8000/", KEY)
    assert address == ChuteAddress(url="http://tester-case.localhost:8000", key=KEY)
    assert (address.is_local, address.is_emulated) == (True, True)
    assert not parse_chute_address("http://localhost:8000", KEY).is_emulated


def test_a_chute_of_the_emulator_is_not_called_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CHUTES_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="the key in the curl command"):
        resolve_chute_address("http://tester-case.localhost:8000")
    assert resolve_chute_address("http://127.0.0.1:8000").key is None


def test_the_key_is_sent_to_other_hosts_and_not_in_repr() -> None:
    address = parse_chute_address("https://tester-case.chutes.ai/", KEY)
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
def test_an_invalid_chute_url_is_rejected(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_chute_address(url, KEY)
    assert KEY not in str(caught.value)
