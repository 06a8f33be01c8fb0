"""The instance's end of the tunnel, on its real loopback server, in front of services that say what a test writes down."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
from collections.abc import AsyncIterator, Sequence

import aiohttp
import orjson
import pytest

from chutes_wrappers.runtime import http1, startup, tunnel
from chutes_wrappers.runtime.loopback import LoopbackServer
from chutes_wrappers.runtime.tunnel import make_tunnel_handler
from chutes_wrappers.runtime.tunnel_frames import (
    Data,
    End,
    Failure,
    Frame,
    Head,
    TunnelCall,
    Wait,
    decode,
    iter_call_pieces,
)
from tests.scenario import find_free_port
from tests.upstreams.raw import serve_full_backlog, serve_raw, serve_reply

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextlib.asynccontextmanager
async def tunnel_to(*ports: int) -> AsyncIterator[Tunnel]:
    server = LoopbackServer()
    server.add_handler("/t", make_tunnel_handler(ports))
    await server.start()
    async with aiohttp.ClientSession(read_bufsize=2**20) as session:
        yield Tunnel(session, f"http://127.0.0.1:{server.port}/t")
    await server.stop()


class Tunnel:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    @contextlib.asynccontextmanager
    async def lines(self, call: TunnelCall) -> AsyncIterator[AsyncIterator[Frame]]:
        async with self._session.post(self._url, data=io.BytesIO(b"".join(iter_call_pieces(call)))) as answer:
            assert answer.status == 200, await answer.text()
            yield (decode(line) async for line in answer.content)

    async def read_response(self, port: int, method: str = "GET", target: str = "/", body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> tuple[Head, bytes]:  # fmt: skip
        call = TunnelCall(port=port, method=method, target=target, headers=tuple(headers), body=body)
        async with self.lines(call) as lines:
            head, *data, end = [frame async for frame in lines]
        assert isinstance(head, Head)
        assert end == End()
        return head, b"".join(frame.data for frame in data if isinstance(frame, Data))

    async def read_failure(self, port: int, **call: object) -> str:
        wanted = {"port": port, "method": "GET", "target": "/", **call}
        async with self._session.post(self._url, data=orjson.dumps(wanted)) as answer:
            assert answer.status == 200
            *_, last = [decode(line) async for line in answer.content]
        assert isinstance(last, Failure)
        return last.error

    async def read_rejection(self, body: bytes) -> tuple[int, str]:
        async with self._session.post(self._url, data=body) as answer:
            return answer.status, (await answer.json())["error"]


async def test_status_reason_headers_and_bytes_come_back_unchanged() -> None:
    reply = b"HTTP/1.1 418 I'm a \xe9\r\nSet-Cookie: a=1\r\nX-B: \xe9 \xff\r\nset-COOKIE: b=2\r\nContent-Length: 256\r\n\r\n"
    async with serve_reply(reply + bytes(range(256))) as port, tunnel_to(port) as through:
        head, body = await through.read_response(port)
    assert (head.status, head.reason) == (418, "I'm a \xe9")
    assert head.headers == (
        ("Set-Cookie", "a=1"),
        ("X-B", "\xe9 \xff"),
        ("set-COOKIE", "b=2"),
        ("Content-Length", "256"),
    )
    assert body == bytes(range(256))


async def test_the_request_is_the_clients_own() -> None:
    received: list[bytes] = []
    headers = [
        ("hOST", "localhost:18020"),
        ("Cookie", "a=1"),
        ("X-Two", "1"),
        ("X-Two", "\xe9"),
        ("Accept-Encoding", "br"),
    ]
    async with serve_reply(OK, received) as port, tunnel_to(port) as through:
        await through.read_response(port, "DELETE", "//A/b%2F%20%zz;x?q=%C3%A9&&r", headers=headers)
    assert received == [
        b"DELETE //A/b%2F%20%zz;x?q=%C3%A9&&r HTTP/1.1\r\nHost: localhost:18020\r\nCookie: a=1\r\nX-Two: 1\r\nX-Two: \xe9\r\n"
        b"Accept-Encoding: br\r\nConnection: close\r\n\r\n"
    ]


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.evil.example:80"])
async def test_a_foreign_host_reaches_the_service_which_may_refuse_it(host: str) -> None:
    received: list[bytes] = []
    async with serve_reply(OK, received) as port, tunnel_to(port) as through:
        await through.read_response(port, headers=[("Host", host)])
    assert received[0].startswith(b"GET / HTTP/1.1\r\nHost: %s\r\n" % host.encode())


async def test_without_a_host_the_service_is_named() -> None:
    received: list[bytes] = []
    async with serve_reply(OK, received) as port, tunnel_to(port) as through:
        await through.read_response(port)
    assert b"Host: 127.0.0.1:%d\r\n" % port in received[0]


async def test_two_hosts_are_rejected() -> None:
    async with serve_reply(OK, []) as port, tunnel_to(port) as through:
        error = await through.read_failure(port, headers=[["Host", "127.0.0.1"], ["host", "localhost"]])
    assert "more than one Host" in error


@pytest.mark.parametrize(
    ("headers", "framed"),
    [
        ((), b"Content-Length: 5\r\n"),
        ([("Content-Length", "99")], b"Content-Length: 5\r\n"),
        ([("Transfer-Encoding", "chunked")], b"Transfer-Encoding: chunked\r\n"),
        ([("Transfer-Encoding", "chunked"), ("Content-Length", "5")], b"Transfer-Encoding: chunked\r\n"),
    ],
)
async def test_a_body_is_framed_once_as_the_client_framed_it(headers: list[tuple[str, str]], framed: bytes) -> None:
    received: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        end = b"0\r\n\r\n" if b"chunked" in received[0] else b"hello"
        assert b"hello" in await reader.readuntil(end)
        writer.write(OK)

    async with serve_raw(talk) as port, tunnel_to(port) as through:
        await through.read_response(port, "POST", body=b"hello", headers=headers)
    assert received[0].lower().count(b"content-length") + received[0].lower().count(b"transfer-encoding") == 1
    assert framed in received[0]


@pytest.mark.parametrize(
    ("method", "reply", "body"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/\r\nContent-Length: 0\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", b"no"),
        ("GET", b"HTTP/1.1 426 Upgrade\r\nContent-Length: 0\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        ("GET", b"HTTP/1.0 200 OK\r\n\r\nuntil it closes", b"until it closes"),
        ("GET", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", b"\x1f\x8b"),
    ],
)
async def test_every_kind_of_response_ends_where_http_defines_it(method: str, reply: bytes, body: bytes) -> None:
    async with serve_reply(reply) as port, tunnel_to(port) as through:
        head, got = await through.read_response(port, method)
    assert str(head.status).encode() in reply
    assert ("Content-Length" in dict(head.headers)) == (b"Content-Length" in reply)
    assert got == body


async def test_each_piece_is_a_line_before_the_next_exists() -> None:
    go_on = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\none")
        await go_on.wait()
        writer.write(b"two")

    call = TunnelCall(port=0, method="GET", target="/")
    async with serve_raw(talk) as port, tunnel_to(port) as through:
        call = TunnelCall(port=port, method="GET", target="/")
        async with through.lines(call) as lines:
            assert isinstance(await anext(lines), Head)
            assert await anext(lines) == Data(b"one")
            go_on.set()
            assert [frame async for frame in lines] == [Data(b"two"), End()]


async def test_keepalives_are_sent_and_a_disconnect_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "KEEPALIVE_INTERVAL_S", 0.05)
    ended = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()

    async with serve_raw(talk) as port, tunnel_to(port) as through:
        async with through.lines(TunnelCall(port=port, method="GET", target="/")) as lines:
            assert await anext(lines) == Wait()
            assert await anext(lines) == Wait()
            assert not ended.is_set()
        await asyncio.wait_for(ended.wait(), 60)


async def test_a_call_ends_with_a_reason_before_the_platform_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "CALL_TIMEOUT_S", 0.2)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serve_raw(talk) as port, tunnel_to(port) as through:
        assert "1800 s" in await through.read_failure(port)


async def test_a_service_may_answer_while_the_body_is_still_coming() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        left = 20_000_000
        while left:
            piece = await reader.read(2**16)
            left -= len(piece)
            writer.write(piece)
            await writer.drain()

    async with serve_raw(talk) as port, tunnel_to(port) as through:
        _, body = await through.read_response(port, "POST", body=b"0123456789" * 2_000_000)
    assert body == b"0123456789" * 2_000_000


async def test_the_response_to_a_rejected_large_body_is_read() -> None:
    async with (
        serve_reply(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno") as port,
        tunnel_to(port) as through,
    ):
        head, body = await through.read_response(port, "POST", body=b"x" * 1000)
    assert (head.status, body) == (413, b"no")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
    ],
)
async def test_a_truncated_response_is_reported(reply: bytes) -> None:
    async with serve_reply(reply) as port, tunnel_to(port) as through:
        assert re.search("aborted|closed|cannot be read", await through.read_failure(port))


async def test_a_call_that_contradicts_itself_fails_alone() -> None:
    async with serve_reply(OK) as port, tunnel_to(port) as through:
        assert "cannot be sent" in await through.read_failure(port, headers=[["Transfer-Encoding", "gzip"]])
        assert (await through.read_response(port))[1] == b"ok"


async def test_an_invalid_call_is_a_400(unused_tcp_port: int) -> None:
    async with tunnel_to(unused_tcp_port) as through:
        for body in (b"", b"{}", b"\xff", b'{"port": 22, "method": "GET", "target": "/"}'):
            assert (await through.read_rejection(body))[0] == 400


async def test_a_refused_connection_is_a_429_during_startup_and_a_503_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(startup, "_ready", set())
    port = find_free_port()
    call = orjson.dumps({"port": port, "method": "GET", "target": "/"})
    async with tunnel_to(port) as through:
        assert (await through.read_rejection(call))[0] == 429
        monkeypatch.setattr(startup, "_ready", {port})
        status, error = await through.read_rejection(call)
    assert status == 503
    assert str(port) in error


async def test_a_service_that_has_answered_and_is_gone_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "_ready", set())
    reply = b"HTTP/1.1 204 No Content\r\n\r\n"
    port = find_free_port()
    call = orjson.dumps({"port": port, "method": "GET", "target": "/"})
    async with tunnel_to(port) as through:
        assert (await through.read_rejection(call))[0] == 429
        async with serve_reply(reply, port=port):
            assert (await through.read_response(port))[0].status == 204
        assert (await through.read_rejection(call))[0] == 503


async def test_a_call_to_a_busy_service_is_a_429(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "_CONNECT_TIMEOUT_S", 0.02)
    with serve_full_backlog() as port:
        monkeypatch.setattr(startup, "_ready", {port})
        async with tunnel_to(port) as through:
            status, error = await through.read_rejection(orjson.dumps({"port": port, "method": "GET", "target": "/"}))
    assert (status, "the service is busy" in error) == (429, True)
