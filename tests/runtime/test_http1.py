"""One exchange with a service, byte for byte."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from chutes_wrappers.runtime import http1
from chutes_wrappers.runtime.http1 import InvalidCall, ServiceDisconnected, connect
from chutes_wrappers.runtime.tunnel_frames import Head, Header, TunnelCall
from tests.scenario import find_free_port
from tests.upstreams.raw import serve_full_backlog, serve_raw, serve_reply

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


async def run_exchange(
    reply: bytes, *, method: str = "GET", headers: tuple[Header, ...] = ()
) -> tuple[Head, bytes, bytes]:
    """Return head and body of a service's response, and the head of the request that it received."""
    received: list[bytes] = []
    async with serve_reply(reply, received) as port, connect(port) as exchange:
        head = await exchange.start(TunnelCall(port=port, method=method, target="/a?b", headers=headers))
        body = b"".join([piece async for piece in exchange.iter_body()])
    return head, body, received[0].replace(str(port).encode(), b"PORT")


async def capture_request(headers: tuple[Header, ...] = (), body: bytes = b"") -> bytes:
    """Everything that a service is sent, up to the end of the body."""
    sent = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent.extend(await reader.readuntil(b"\r\n\r\n"))
        if b"chunked" in sent:
            sent.extend(await reader.readuntil(b"0\r\n\r\n"))
        else:
            sent.extend(await reader.readexactly(len(body)))
        writer.write(OK)

    async with serve_raw(talk) as port, connect(port) as exchange:
        await exchange.start(TunnelCall(port=port, method="POST", target="/", headers=headers, body=body))
        assert [piece async for piece in exchange.iter_body()] == [b"hi"]
    return bytes(sent).replace(str(port).encode(), b"PORT")


async def test_without_headers_the_service_is_named_and_the_connection_ends() -> None:
    head, body, received = await run_exchange(OK)
    assert received == b"GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nConnection: close\r\n\r\n"
    assert (head, body) == (Head(status=200, reason="OK", headers=(("Content-Length", "2"),)), b"hi")


async def test_headers_are_passed_unchanged_after_the_clients_host() -> None:
    _, _, received = await run_exchange(OK, headers=(("X-B", "\xe9"), ("hOsT", "there"), ("x-A", "1"), ("X-B", "2")))
    lines = received.split(b"\r\n")
    assert lines[1:-2] == [b"Host: there", b"X-B: \xe9", b"x-A: 1", b"X-B: 2", b"Connection: close"]


@pytest.mark.parametrize(
    ("headers", "body", "framed"),
    [
        ((), b"abc", b"Host: 127.0.0.1:PORT\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"),
        ((("Content-Length", "99"), ("A", "b")), b"abc",
         b"Host: 127.0.0.1:PORT\r\nContent-Length: 3\r\nA: b\r\nConnection: close\r\n\r\nabc"),
        ((("content-length", "9"),), b"", b"Host: 127.0.0.1:PORT\r\ncontent-length: 0\r\nConnection: close\r\n\r\n"),
        ((), b"", b"Host: 127.0.0.1:PORT\r\nConnection: close\r\n\r\n"),
        ((("Transfer-Encoding", "chunked"), ("Content-Length", "9")), b"abc",
         b"Host: 127.0.0.1:PORT\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    ],
)  # fmt: skip
async def test_a_body_has_the_length_that_is_sent_where_the_client_gave_one(
    headers: tuple[Header, ...], body: bytes, framed: bytes
) -> None:
    assert await capture_request(headers, body) == b"POST / HTTP/1.1\r\n" + framed


async def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 4096
    assert (await capture_request(body=body)).endswith(b"\r\n\r\n" + body)


async def test_hop_by_hop_headers_and_informational_responses_are_dropped() -> None:
    reply = (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 201 M\xe9de\r\nSet-Cookie: a\r\nX-\x41: \xff\r\nConnection: x-gone\r\nX-Gone: 1\r\nset-cookie: b\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n2\r\nyz\r\n0\r\n\r\n"
    )
    head, body, _ = await run_exchange(reply)
    assert head == Head(status=201, reason="Méde", headers=(("Set-Cookie", "a"), ("X-A", "\xff"), ("set-cookie", "b")))
    assert body == b"xyz"


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"not HTTP\r\n\r\n"])
async def test_a_missing_head_is_a_service_disconnect(reply: bytes) -> None:
    with pytest.raises(ServiceDisconnected, match="the service"):
        await run_exchange(reply)


async def test_a_body_without_its_end_is_broken() -> None:
    with pytest.raises(ServiceDisconnected, match="the service aborted its response"):
        await run_exchange(OK[:-1])


@pytest.mark.parametrize(("size", "is_taken"), [(1, True), (200 * 1024, True), (600 * 1024, False)])
async def test_a_head_is_bounded(size: int, is_taken: bool) -> None:
    reply = b"HTTP/1.1 200 OK\r\nX: " + b"x" * size + b"\r\nContent-Length: 0\r\n\r\n"
    if is_taken:
        head, _, _ = await run_exchange(reply)
        assert head.headers[0] == ("X", "x" * size)
    else:
        with pytest.raises(ServiceDisconnected):
            await run_exchange(reply)


@pytest.mark.parametrize(
    ("headers", "reply"),
    [
        ((("Host", "a"), ("host", "b")), "more than one Host header"),
        ((("Transfer-Encoding", "gzip"),), "the call cannot be sent"),
    ],
)
async def test_a_call_that_contradicts_itself_is_not_sent(headers: tuple[Header, ...], reply: str) -> None:
    with pytest.raises(InvalidCall, match=reply):
        await run_exchange(OK, headers=headers)


async def test_a_refused_connection_is_an_os_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        async with connect(find_free_port()):
            pass


async def test_connecting_to_a_busy_service_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "_CONNECT_TIMEOUT_S", 0.2)
    with serve_full_backlog() as port, pytest.raises(TimeoutError, match=r"no connection within 0\.2 s"):
        async with connect(port):
            pass


async def test_leaving_ends_the_connection_while_the_body_is_still_sent() -> None:
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            pass
        gone.set()

    before = asyncio.all_tasks()
    async with serve_raw(talk) as port:
        async with connect(port) as exchange:
            call = TunnelCall(port=port, method="POST", target="/", body=bytes(64 * 1024**2))
            assert (await exchange.start(call)).status == 200
        await asyncio.wait_for(gone.wait(), 20)
    assert all(task.done() for task in asyncio.all_tasks() - before)


async def test_a_connection_that_the_service_resets_is_broken() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK[:-1])
        await writer.drain()
        await asked_for_more.wait()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    asked_for_more = asyncio.Event()
    async with serve_raw(talk) as port, connect(port) as exchange:
        await exchange.start(TunnelCall(port=port, method="GET", target="/"))
        pieces = exchange.iter_body()
        assert await anext(pieces) == b"h"
        asked_for_more.set()
        with pytest.raises(ServiceDisconnected, match="reset"):
            await anext(pieces)
