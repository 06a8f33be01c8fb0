"""The server on this machine, with a fake transport, compared byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.local_guard import parse_allow_list
from chutes_wrappers.host.forwarding import client_connection
from chutes_wrappers.host.forwarding.server import ForwardingServer
from chutes_wrappers.host.forwarding.transport import ForwardedResponse, ForwardingError
from chutes_wrappers.runtime.tunnel_frames import Head, TunnelCall
from tests.host.forwarding.fake_transport import NAME, FakeTransport, open_connection, send_requests


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


LOOPBACK_HOSTS = ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here"))]


async def test_the_response_is_exactly_the_transports_bytes() -> None:
    response = await send_requests(FakeTransport(), b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert response == b"HTTP/1.1 200 Fine\r\nX-A: 1\r\nx-a: \xe9\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


async def test_the_call_equals_the_clients_request() -> None:
    transport = FakeTransport()
    await send_requests(
        transport,
        b"pUt //A%2f?b&c=%zz HTTP/1.1\r\nhOst: localhost:1\r\nX: 1\r\nX: \xe9\r\ncontent-length: 3\r\nConnection: close\r\n\r\nabc",
    )
    (call,) = transport.calls
    assert (call.port, call.method, call.target, call.body) == (8020, "pUt", "//A%2f?b&c=%zz", b"abc")
    assert call.headers[:4] == (("hOst", "localhost:1"), ("X", "1"), ("X", "\xe9"), ("content-length", "3"))


async def test_a_connection_serves_several_requests() -> None:
    transport = FakeTransport()
    first, last = (
        b"GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    response = await send_requests(transport, first, last)
    assert response.count(b"HTTP/1.1 200") == 2
    assert [call.target for call in transport.calls] == ["/1", "/2"]


async def test_pipelined_requests_are_served_in_order() -> None:
    transport = FakeTransport()
    last = b"GET /3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    await send_requests(
        transport,
        b"POST /1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nxGET /2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        + last,
    )
    assert [(call.target, call.body) for call in transport.calls] == [("/1", b"x"), ("/2", b""), ("/3", b"")]


async def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    transport = FakeTransport()
    async with open_connection(transport) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert b"200 Fine" in await reader.readuntil(b"ok")
    assert transport.calls[0].body == b"hi"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_response_of_unknown_length_fits_the_clients_http_version(version: bytes) -> None:
    transport = FakeTransport(Head(status=200))
    response = await send_requests(
        transport, b"GET / HTTP/%s\r\nHost: localhost\r\nConnection: close\r\n\r\n" % version
    )
    assert response.endswith(b"ok" if version == b"1.0" else b"2\r\nok\r\n0\r\n\r\n")


@pytest.mark.parametrize(("request_line", "status"), [(b"HEAD / HTTP/1.1", 200), (b"GET / HTTP/1.1", 304)])
async def test_a_response_without_a_body_has_no_body(request_line: bytes, status: int) -> None:
    transport = FakeTransport(Head(status=status, headers=(("Content-Length", "2"),)))
    response = await send_requests(transport, request_line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b"Content-Length: 2\r\n" in response
    assert response.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "request_", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX : y\r\n\r\n"]
)
async def test_an_invalid_request_is_a_400(request_: bytes) -> None:
    assert (await send_requests(FakeTransport(), request_)).startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_a_body_beyond_the_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_connection, "LARGEST_BODY_BYTES", 2**20)
    response = await send_requests(
        FakeTransport(), b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2**20 + b"x"
    )
    assert response.startswith(b"HTTP/1.1 413")
    assert b"1 MiB" in response


async def test_a_forwarding_error_is_returned_and_the_connection_stays_open() -> None:
    class Refusing(FakeTransport):
        @contextlib.asynccontextmanager
        async def send(self, call: TunnelCall) -> AsyncIterator[ForwardedResponse]:
            if call.target == "/no":
                raise ForwardingError(502, "no way")
            async with super().send(call) as response:
                yield response

    last = b"GET /yes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    responses = await send_requests(Refusing(), b"GET /no HTTP/1.1\r\nHost: localhost\r\n\r\n", last)
    assert responses.startswith(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\n")
    assert b"no way\n" in responses
    assert responses.endswith(b"ok")


@pytest.mark.parametrize("reason", [ForwardingError(502, "lost"), None])
async def test_a_truncated_response_closes_the_connection(reason: ForwardingError | None) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"o"
        if reason:
            raise reason

    async with open_connection(FakeTransport(pieces=pieces)) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\no")
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 60) == b""


async def test_a_client_disconnect_ends_its_call() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    transport = FakeTransport(pieces=pieces)
    async with open_connection(transport) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await asyncio.wait_for(transport.left.wait(), 60)


async def test_the_end_of_the_server_ends_its_calls() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    transport = FakeTransport(pieces=pieces)
    async with ForwardingServer(0, 8020, transport, lambda problem: None, browser_name=NAME) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
    assert transport.left.is_set()
    writer.close()


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
async def test_a_port_in_use_is_reported_with_the_flag(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)) as caught:
            async with ForwardingServer(port, 8020, FakeTransport(), lambda problem: None, browser_name=NAME):
                pass
    assert caught.value.next_step is not None
    assert "--listen" in caught.value.next_step


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
async def test_no_other_user_can_listen_where_a_browser_looks_for_the_name(host: str) -> None:
    async with ForwardingServer(0, 8020, FakeTransport(), lambda problem: None, browser_name=NAME) as server:
        reader, writer = await asyncio.open_connection(host, server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: case.localhost\r\nConnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.1 200")
        writer.close()


FOREIGN = [b"Host: evil.example", b"Host: localhost\r\nOrigin: http://evil.example", b"Host: localhost\r\nOrigin: null"]


@pytest.mark.parametrize(
    "head", [*FOREIGN, b"Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors"]
)
@pytest.mark.parametrize("line", [b"POST /paid", b"GET /paid", b"OPTIONS *", b"GET http://localhost/paid"])
async def test_a_page_of_another_site_cannot_call_the_paid_chute(line: bytes, head: bytes) -> None:
    transport = FakeTransport()
    response = await send_requests(transport, line + b" HTTP/1.1\r\n" + head + b"\r\nContent-Length: 400000000\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 403 Forbidden")
    assert b"may not" in response or b"--allow-host" in response
    assert transport.calls == []


async def test_a_rejected_head_has_no_body() -> None:
    response = await send_requests(
        FakeTransport(), b"HEAD / HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n"
    )
    assert response.startswith(b"HTTP/1.1 403")
    assert response.endswith(b"\r\n\r\n")


async def test_a_websocket_of_another_site_is_rejected() -> None:
    upgrade = b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert (await send_requests(FakeTransport(), b"GET / HTTP/1.1\r\n" + FOREIGN[1] + upgrade)).startswith(
        b"HTTP/1.1 403"
    )


@pytest.mark.parametrize(
    "head",
    [
        b"Host: 127.0.0.1:1",
        b"Host: localhost:18020\r\nOrigin: http://localhost:5173\r\nSec-Fetch-Site: same-site",
        b"Host: case.localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document",
        b"Host: box.example:8020\r\nOrigin: http://box.example:8020",
        b"Host: localhost\r\nOrigin: https://app.example",
    ],
)
async def test_front_ends_of_this_machine_and_what_is_allowed_call_it(head: bytes) -> None:
    transport = FakeTransport()
    allowed = parse_allow_list(["box.example"], ["https://app.example"])
    async with ForwardingServer(0, 8020, transport, lambda problem: None, allowed, browser_name=NAME) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\n" + head + b"\r\nConnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.1 200")
        writer.close()
    assert len(transport.calls) == 1
