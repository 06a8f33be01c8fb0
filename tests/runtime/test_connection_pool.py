"""Unread bytes on kept connections, from a service that says what a test writes down."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from chutes_wrappers.runtime import connection_pool
from chutes_wrappers.runtime.connection_pool import CAN_SHARE, make_connector
from tests.upstreams.raw import serve_raw

can_share = pytest.mark.skipif(not CAN_SHARE, reason="this version of aiohttp shares no connections")
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
UNASKED = [
    RESPONSE,
    RESPONSE * 3,
    RESPONSE[:-3],
    b"HTTP/1.1 200 OK\r\nX: ",
    b"HTTP/1.1 2",
    b"H",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\npoison until the end",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n",
]
BODIES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "none": b"HTTP/1.1 204 No Content\r\n\r\n",
}


class Service:
    """Returns the target as the body. After the response to ``/first`` it sends ``unasked`` bytes, together or apart."""

    def __init__(self, first: bytes, unasked: bytes, *, is_together: bool) -> None:
        self.first, self.unasked, self.is_together = first, unasked, is_together
        self.may_send, self.sent = asyncio.Event(), asyncio.Semaphore(0)
        self.connections: list[list[bytes]] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets: list[bytes] = []
        self.connections.append(targets)
        while True:
            target = (await reader.readuntil(b"\r\n\r\n")).split()[1]
            targets.append(target)
            if not target.startswith(b"/first"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(target), target))
            elif self.is_together:
                writer.write(self.first + self.unasked)
            else:
                writer.write(self.first)
                await self.may_send.wait()
                writer.write(self.unasked)
                await writer.drain()
                self.sent.release()


@contextlib.asynccontextmanager
async def running(service: Service) -> AsyncIterator[aiohttp.ClientSession]:
    async with serve_raw(service.talk) as port, open_session(port) as session:
        yield session


def open_session(port: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=make_connector())


async def fetch(session: aiohttp.ClientSession, target: str, method: str = "GET") -> str:
    async with session.request(method, target, timeout=aiohttp.ClientTimeout(60)) as response:
        return await response.text()


@can_share
async def test_connections_are_shared() -> None:
    service = Service(b"", b"", is_together=True)
    async with running(service) as session:
        for number in range(20):
            assert await fetch(session, f"/{number}") == f"/{number}"
        assert len(service.connections) == 1
        targets = [f"/{number}" for number in range(8)]
        for _ in range(3):
            assert await asyncio.gather(*(fetch(session, target) for target in targets)) == targets
        assert len(service.connections) == 8


@pytest.mark.parametrize("first", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("unasked", UNASKED)
async def test_a_response_that_came_with_the_first_is_dropped_with_its_connection(first: bytes, unasked: bytes) -> None:
    service = Service(first, unasked, is_together=True)
    async with running(service) as session:
        # Some versions cannot read the first response when it has such a neighbour.
        with contextlib.suppress(aiohttp.ClientError):
            assert await fetch(session, "/first") in ("ok", "")
        assert await fetch(session, "/second") == "/second"
    assert [connection[0] for connection in service.connections] == [b"/first", b"/second"]


@pytest.mark.parametrize("first", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("unasked", [*UNASKED, b"no response at all", b"\0" * 100_000])
@pytest.mark.parametrize("is_read", [False, True])
async def test_bytes_that_came_before_a_connection_is_taken_drop_it(
    first: bytes, unasked: bytes, is_read: bool
) -> None:
    service = Service(first, unasked, is_together=False)
    async with running(service) as session:
        await fetch(session, "/first")
        service.may_send.set()
        await service.sent.acquire()
        for _ in range(5 if is_read else 0):  # turns of the loop in which the client reads the bytes
            await asyncio.sleep(0)
        assert await fetch(session, "/second") == "/second"
    assert [connection[0] for connection in service.connections] == [b"/first", b"/second"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + RESPONSE,  # the length is too short, or HEAD has a body
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + RESPONSE,
        b"HTTP/1.1 204 No Content\r\nContent-Length: 56\r\n\r\n" + RESPONSE,
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 56\r\n\r\n" + RESPONSE,
    ],
)
async def test_a_body_where_none_belongs_is_no_response(method: str, first: bytes) -> None:
    service = Service(first, b"", is_together=True)
    async with running(service) as session:
        with contextlib.suppress(aiohttp.ClientError):
            await fetch(session, "/first", method)
        assert await fetch(session, "/second") == "/second"
    assert [connection[0] for connection in service.connections] == [b"/first", b"/second"]


async def test_of_several_connections_only_those_with_unread_bytes_are_dropped() -> None:
    service = Service(BODIES["length"], RESPONSE, is_together=False)
    targets = ["/first/0", "/a", "/first/1", "/b", "/first/2"]
    async with running(service) as session:
        await asyncio.gather(*(fetch(session, target) for target in targets))
        service.may_send.set()
        for _ in range(3):
            await service.sent.acquire()
        again = [f"/again/{number}" for number in range(len(targets))]
        assert await asyncio.gather(*(fetch(session, target) for target in again)) == again
        if CAN_SHARE:
            reused = [targets for targets in service.connections if len(targets) == 2]
            assert sorted(targets[0] for targets in reused) == [b"/a", b"/b"]
    assert not any(targets[0].startswith(b"/first") and targets[1:] for targets in service.connections)


@can_share
async def test_a_dropped_connection_is_closed() -> None:
    closed = asyncio.Event()
    service = Service(BODIES["length"], RESPONSE, is_together=False)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await service.talk(reader, writer)
        finally:
            if service.connections[0] == [b"/first"]:
                closed.set()

    async with serve_raw(talk) as port, open_session(port) as session:
        await fetch(session, "/first")
        service.may_send.set()
        await service.sent.acquire()
        await fetch(session, "/second")
        await asyncio.wait_for(closed.wait(), 60)
        assert await fetch(session, "/third") == "/third"
    assert service.connections[1:] == [[b"/second", b"/third"]]


@can_share
async def test_a_connection_that_the_service_has_closed_is_not_taken() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(BODIES["length"])

    async with serve_raw(talk) as port, open_session(port) as session:
        for _ in range(10):
            async with session.post("/", data=b"x") as response:
                assert await response.text() == "ok"


class Renamed(aiohttp.BaseConnector):
    _get = None  # type: ignore[assignment]


class Synchronous(aiohttp.BaseConnector):
    def _get(self, key: object) -> None:  # type: ignore[override]
        """As in aiohttp 3.10.0."""


class Extended(aiohttp.BaseConnector):
    async def _get(self, key: object, traces: object, timeout: object) -> None:  # type: ignore[override]
        """As no version has it yet."""


@pytest.mark.parametrize("connector_class", [Renamed, Synchronous, Extended])
def test_a_version_that_takes_connections_differently_is_detected(connector_class: type[aiohttp.BaseConnector]) -> None:
    assert not connection_pool._can_check(connector_class)


async def test_without_the_check_no_connection_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_pool, "CAN_SHARE", False)
    service = Service(BODIES["length"], RESPONSE, is_together=True)
    async with running(service) as session:
        for target in ("/first", "/a", "/b"):
            await fetch(session, target)
    assert service.connections == [[b"/first"], [b"/a"], [b"/b"]]
