"""Requests to a service that redirects and sets cookies, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from chutes_wrappers.runtime.upstream import ReusedConnectionLost, Upstream, UpstreamRequest
from tests.upstreams.raw import serve_raw, serve_reply


class Redirector:
    """Redirects every path but ``/there`` to ``location``; ``received`` has the requests, head and body."""

    def __init__(self, location: bytes, status: int = 302) -> None:
        self.location, self.status = location, status
        self.received: list[bytes] = []
        self.port = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if b"Content-Length: 4" in request:
            request += await reader.readexactly(4)
        self.received.append(request)
        begin = b"HTTP/1.1 200 OK\r\n"
        if b" /there" not in request:
            location = self.location.replace(b"PORT", str(self.port).encode())
            begin = f"HTTP/1.1 {self.status} X\r\n".encode() + b"Location: " + location + b"\r\n"
        writer.write(begin + b"Set-Cookie: who=me\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Upstream]:
        upstream = Upstream()
        async with serve_raw(self.talk) as self.port:
            yield upstream
            await upstream.close()

    async def send(self, upstream: Upstream, method: str = "GET") -> int:
        body = None if method == "GET" else b"body"
        headers = {"Content-Type": "text/x-note"} if body else {}
        request = UpstreamRequest(
            port=self.port, method=method, target="/here", headers=headers, make_data=lambda: body
        )
        async with upstream.send(request, 5) as response:
            return response.status


@pytest.mark.parametrize(
    "location",
    [
        b"/there",
        b"there",
        b"http://localhost:PORT/there",
        b"//0.0.0.0:PORT/there",
        b"http://[::1]:PORT/there",
        b"http://localhost/there",
        b"//127.0.0.2/there",
    ],
)
async def test_a_redirect_within_the_service_is_followed(location: bytes) -> None:
    service = Redirector(location)
    async with service.serving() as upstream:
        assert await service.send(upstream) == 200
    assert [request.split()[1] for request in service.received] == [b"/here", b"/there"]


@pytest.mark.parametrize(
    "location",
    [
        b"http://127.0.0.1:1/there",
        b"http://localhost:80/there",
        b"http://example.invalid:PORT/there",
        b"//example.invalid:PORT/there",
        b"https://127.0.0.1:PORT/there",
        b"//[bad",
        b"http://127.0.0.1:99999/there",
    ],
)
async def test_a_redirect_to_another_service_is_the_response(location: bytes) -> None:
    service = Redirector(location)
    async with service.serving() as upstream:
        assert await service.send(upstream) == 302
    assert len(service.received) == 1


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"////x:99999/there", b"//x:99999/there"),
        (b"/there/a b%zz%20?q=%C3%A9&r=a+b", b"/there/a%20b%25zz%20?q=%C3%A9&r=a+b"),
        (b"/there/\xe9", b"/there/%C3%A9"),
        ("/there/é".encode(), b"/there/%C3%A9"),
    ],
)
async def test_an_unusual_location_is_resolved_like_a_browser_does(location: bytes, target: bytes) -> None:
    service = Redirector(location)
    async with service.serving() as upstream:
        await service.send(upstream)
    assert service.received[1].split()[1] == target


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_redirects_that_browsers_follow_with_a_get_become_one(method: str, status: int) -> None:
    service = Redirector(b"/there", status)
    async with service.serving() as upstream:
        assert await service.send(upstream, method) == 200
    becomes_get = status == 303 or (method == "POST" and status in (301, 302))
    onward = service.received[1]
    assert onward.startswith(b"GET " if becomes_get else method.encode())
    assert (b"text/x-note" in onward, onward.endswith(b"\r\n\r\nbody")) == (not becomes_get, not becomes_get)


async def test_cookies_of_one_call_do_not_reach_another() -> None:
    service = Redirector(b"/there")
    async with service.serving() as upstream:
        await service.send(upstream)
        await service.send(upstream)
    assert len(service.received) == 4
    assert not any(b"cookie" in request.lower() for request in service.received)


class Closer:
    """Answers the first request of a connection, and closes it unannounced once the next has come."""

    def __init__(self, instead: bytes = b"") -> None:
        self.instead = instead
        self.methods: list[bytes] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.methods.append((await reader.readuntil(b"\r\n\r\n")).split()[0])
        if self.instead:
            writer.write(self.instead)
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")


async def status(upstream: Upstream, port: int, method: str) -> int:
    async with upstream.send(UpstreamRequest(port=port, method=method, target="/"), 5) as response:
        return response.status


async def test_an_idempotent_call_that_loses_a_reused_connection_is_retried() -> None:
    service, upstream = Closer(), Upstream()
    async with serve_raw(service.talk) as port:
        assert [await status(upstream, port, "GET") for _ in range(4)] == [200] * 4
        await asyncio.gather(*(status(upstream, port, "GET") for _ in range(5)))
        assert await status(upstream, port, "PUT") == 200  # no matter how many kept connections are closed
        await upstream.close()


async def test_a_post_that_loses_a_reused_connection_is_not_repeated_and_later_posts_use_new_connections() -> None:
    service, upstream = Closer(), Upstream()
    async with serve_raw(service.talk) as port:
        assert await status(upstream, port, "POST") == 200
        with pytest.raises(ReusedConnectionLost):
            await status(upstream, port, "POST")
        assert [await status(upstream, port, "POST") for _ in range(5)] == [200] * 5
        await upstream.close()
    assert service.methods == [b"POST"] * 6


async def test_a_post_without_a_response_is_sent_once() -> None:
    accepted: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method = (await reader.readuntil(b"\r\n\r\n")).split()[0]
        if method == b"GET":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            with contextlib.suppress(asyncio.IncompleteReadError):
                method = (await reader.readuntil(b"\r\n\r\n")).split()[0]
        accepted.append(method)

    upstream = Upstream()
    async with serve_raw(take) as port:
        await asyncio.gather(*(status(upstream, port, "GET") for _ in range(8)))
        with pytest.raises(ReusedConnectionLost):
            await status(upstream, port, "POST")
        await upstream.close()
    assert accepted.count(b"POST") == 1


async def test_a_call_that_loses_a_new_connection_is_not_retried() -> None:
    service, upstream = Closer(b"HTTP/1.1 2"), Upstream()
    async with serve_raw(service.talk) as port:
        with pytest.raises(aiohttp.ClientError):
            await status(upstream, port, "POST")
        await upstream.close()
    assert len(service.methods) == 1


class Poisoner:
    """Sends a response that nobody asked for on the first connection, when the first caller has its own; it closes any other."""

    def __init__(self, next_response: bytes) -> None:
        self.next_response = next_response
        self.connections = 0
        self.has_first_caller_response, self.has_sent_poison = asyncio.Event(), asyncio.Event()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        if self.connections > 1:
            writer.write(self.next_response)
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await self.has_first_caller_response.wait()
        writer.write(b"HTTP/1.1 418 Poison\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        self.has_sent_poison.set()
        await reader.read()

    async def send_poison(self) -> None:
        self.has_first_caller_response.set()
        await self.has_sent_poison.wait()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_response_that_nobody_asked_for_is_not_that_of_the_next_caller(method: str) -> None:
    service, upstream = Poisoner(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"), Upstream()
    async with serve_raw(service.talk) as port:
        assert await status(upstream, port, method) == 200
        await service.send_poison()
        assert await status(upstream, port, method) == 201
        await upstream.close()
    assert service.connections == 2


async def test_a_new_connection_after_one_with_unread_bytes_does_not_count_as_reused() -> None:
    service, upstream = Poisoner(b""), Upstream()
    async with serve_raw(service.talk) as port:
        assert await status(upstream, port, "POST") == 200
        await service.send_poison()
        with pytest.raises(aiohttp.ServerDisconnectedError):  # not ReusedConnectionLost: the connection was new
            await status(upstream, port, "POST")
        await upstream.close()


@pytest.mark.parametrize(
    ("method", "headers", "body", "lines"),
    [
        ("GET", {}, None, []),
        ("POST", {}, None, ["Content-Length: 0"]),
        ("copy", {"X-A": "1"}, None, ["X-A: 1"]),
        ("DELETE", {}, None, []),
        ("DELETE", {"Content-Type": "a/b"}, b"x", ["Content-Type: a/b", "Content-Length: 1"]),
        ("GET", {"Content-Type": "a/b;v=2"}, b"x", ["Content-Type: a/b;v=2", "Content-Length: 1"]),
    ],
)
async def test_the_service_gets_the_methods_and_headers_of_the_call_and_no_others(
    method: str, headers: dict[str, str], body: bytes | None, lines: list[str]
) -> None:
    received: list[bytes] = []
    upstream = Upstream()
    async with serve_reply(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", received) as port:
        request = UpstreamRequest(port=port, method=method, target="/a", headers=headers, make_data=lambda: body)
        async with upstream.send(request, 60):
            pass
        await upstream.close()
    first, host, *others = received[0].decode().split("\r\n")
    assert (first, host, others) == (f"{method} /a HTTP/1.1", f"Host: 127.0.0.1:{port}", [*lines, "", ""])
