"""Hostile responses and cookies of browsers, at the forwarder with a fake transport."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
from collections.abc import AsyncIterator

import pytest
from hypothesis import given

from chutes_wrappers.host.forwarding.transport import ForwardedResponse
from chutes_wrappers.runtime.tunnel_frames import Head, Header, TunnelCall
from tests.host.forwarding.fake_transport import OK, FakeTransport, open_connection, send_requests
from tests.host.forwarding.test_response_heads import HEADS, INVALID

FIRST = b"GET /first HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: localhost:PORT\r\nConnection: close\r\n\r\n"
BROWSER = b"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
NAVIGATION = b"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
COOKIES = Head(status=200, headers=(("Set-Cookie", "s=1"), ("Clear-Site-Data", '"*"'), ("Content-Length", "2")))


class Changing(FakeTransport):
    """Returns its own head for ``/first``, and a valid one for other targets."""

    @contextlib.asynccontextmanager
    async def send(self, call: TunnelCall) -> AsyncIterator[ForwardedResponse]:
        async with super().send(call) as response:
            yield response if call.target == "/first" else ForwardedResponse(head=OK, pieces=response.pieces)


class Failing(FakeTransport):
    """Raises an error that nobody expects, for ``/first``."""

    @contextlib.asynccontextmanager
    async def send(self, call: TunnelCall) -> AsyncIterator[ForwardedResponse]:
        if call.target == "/first":
            raise LookupError("no such\nthing \ud800")
        async with super().send(call) as response:
            yield response


@pytest.mark.parametrize(("parts", "reason"), INVALID)
async def test_an_invalid_head_is_a_502_and_the_connection_stays_open(parts: dict[str, object], reason: str) -> None:
    problems: list[str] = []
    transport = Changing(Head(**{"status": 200, **parts}))  # type: ignore[arg-type]  # they are invalid
    responses = await send_requests(transport, FIRST, LAST, problems=problems)
    assert responses.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert reason.encode() in responses
    assert b"HTTP/1.1 200 Fine\r\n" in responses
    assert responses.endswith(b"ok")
    (problem,) = problems
    assert problem.startswith("GET /first: the chute's response is not valid HTTP/1.1: ")
    assert problem.isprintable()


@given(head=HEADS)
def test_every_head_is_a_response_that_a_client_can_read(head: Head) -> None:
    async def empty() -> AsyncIterator[bytes]:
        pieces: tuple[bytes, ...] = ()
        for piece in pieces:
            yield piece

    data = asyncio.run(
        send_requests(Changing(head, empty), FIRST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    )
    response = http.client.HTTPResponse(_Socket(data))  # type: ignore[arg-type]  # it needs makefile only
    response.begin()
    assert response.status in {502, head.status}
    with contextlib.suppress(http.client.IncompleteRead):
        response.read()


class _Socket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


async def test_an_unexpected_error_is_a_500_and_a_line() -> None:
    problems: list[str] = []
    responses = await send_requests(Failing(), FIRST, LAST, problems=problems)
    assert responses.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"LookupError: no such\nthing ?" in responses
    assert responses.endswith(b"ok")
    assert problems == ["GET /first: this request failed: LookupError: no such thing ?"]


async def test_connect_is_rejected_before_the_chute_is_called() -> None:
    transport = FakeTransport()
    response = await send_requests(transport, b"CONNECT app.example:443 HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 501 ")
    assert transport.calls == []


def get_values(headers: tuple[Header, ...], name: str) -> list[str]:
    return [value for key, value in headers if key.lower() == name]


@pytest.mark.parametrize(
    ("host", "client", "is_stripped"),
    [
        *(
            (host, BROWSER, True)
            for host in (b"127.0.0.1:PORT", b"localhost:PORT", b"[::1]:PORT", b"other.localhost:1")
        ),
        *((host, BROWSER, False) for host in (b"case.localhost:PORT", b"case.localhost", b"box.example:PORT")),
        (b"127.0.0.1:PORT", b"User-Agent: curl/8\r\n", False),
        (b"127.0.0.1:PORT", b"Sec-Fetch-Mode: cors\r\n", False),
    ],
)
async def test_a_browsers_cookies_are_forwarded_under_the_chutes_own_name_only(
    host: bytes, client: bytes, is_stripped: bool
) -> None:
    transport = FakeTransport(COOKIES)
    request = b"GET / HTTP/1.1\r\nHost: %s\r\n%sCookie: c=1\r\ncookie: d=2\r\nConnection: close\r\n\r\n" % (
        host,
        client,
    )
    response = await send_requests(transport, request)
    assert get_values(transport.calls[0].headers, "cookie") == ([] if is_stripped else ["c=1", "d=2"])
    assert (b"Set-Cookie" not in response, b"Clear-Site-Data" not in response) == (is_stripped, is_stripped)
    assert response.endswith(b"ok")


async def test_a_navigation_to_a_bare_address_is_redirected_and_not_forwarded() -> None:
    transport = FakeTransport()
    head = b"POST /a%2Fb?c=d HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nCookie: c=1\r\n" + NAVIGATION
    response = await send_requests(transport, head + b"Content-Length: 3\r\nConnection: close\r\n\r\nabc")
    assert response.startswith(b"HTTP/1.1 307 Temporary Redirect\r\n")
    assert f"\r\nLocation: http://case.localhost:{transport.local_port}/a%2Fb?c=d\r\n".encode() in response
    assert b"\r\nCache-Control: no-store\r\n" in response
    assert transport.calls == []


async def send_form(transport: FakeTransport, *forms: tuple[bytes, bytes]) -> list[int]:
    """Send a navigation by POST for each host and origin, and return the statuses."""
    statuses = []
    async with open_connection(transport) as (reader, writer):
        for host, origin in forms:
            head = b"POST /form HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\n%sContent-Length: 0\r\n\r\n" % (
                host,
                origin,
                NAVIGATION,
            )
            writer.write(head.replace(b"PORT", str(transport.local_port).encode()))
            received = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            length = int(received.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            statuses.append(int(received.split(b" ")[1]))
            if b"connection: close" in received.lower():
                break
    return statuses


async def test_a_form_keeps_its_origin_over_the_redirect_once() -> None:
    transport = FakeTransport()
    bare, opaque = (b"localhost:PORT", b"http://localhost:5173"), (b"case.localhost:PORT", b"null")
    assert await send_form(transport, bare, opaque, opaque) == [307, 200, 403]
    assert get_values(transport.calls[0].headers, "origin") == ["http://localhost:5173"]


async def test_no_form_of_a_foreign_page_is_redirected() -> None:
    transport = FakeTransport()
    assert await send_form(transport, (b"localhost:PORT", b"http://evil.example")) == [403]
    assert await send_form(transport, (b"case.localhost:PORT", b"null")) == [403]
    assert transport.calls == []


async def test_addresses_are_converted_in_both_directions() -> None:
    transport = FakeTransport(
        Head(status=302, headers=(("Location", "http://127.0.0.1:8080/x"), ("Content-Length", "2")))
    )
    response = await send_requests(
        transport,
        b"GET / HTTP/1.1\r\nHost: case.localhost:PORT\r\nOrigin: http://case.localhost:18080\r\nConnection: close\r\n\r\n",
    )
    assert get_values(transport.calls[0].headers, "host") == ["127.0.0.1:8020"]
    assert get_values(transport.calls[0].headers, "origin") == ["http://127.0.0.1:8080"]
    assert b"\r\nLocation: http://case.localhost:18080/x\r\n" in response


@pytest.mark.parametrize(("version", "length"), [(b"1.1", b"Content-Length: 4\r\n"), (b"1.0", b"")])
async def test_a_request_whose_end_is_not_certain_is_refused_with_what_follows(version: bytes, length: bytes) -> None:
    transport = FakeTransport()
    response = await send_requests(
        transport,
        b"POST /a HTTP/%s\r\nHost: localhost:PORT\r\n%sTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (version, length)
        + b"GET /smuggled HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n",
    )
    assert response.startswith(b"HTTP/1.1 400 ")
    assert b"its end is not certain" in response
    assert transport.calls == []
