"""A forwarder in front of a fake transport, and requests to it as bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from chutes_wrappers.core.local_guard import AllowList
from chutes_wrappers.host.forwarding.server import ForwardingServer
from chutes_wrappers.host.forwarding.transport import ForwardedResponse
from chutes_wrappers.runtime.tunnel_frames import Head, TunnelCall

NAME = "case.localhost"
ALLOWED = AllowList(hosts=frozenset({"box.example"}))
OTHERS = {18080: 8080}
OK = Head(status=200, reason="Fine", headers=(("X-A", "1"), ("x-a", "\xe9"), ("Content-Length", "2")))


class FakeTransport:
    """Returns ``head`` and ``pieces`` and records the calls; ``left`` is set when a call ends early."""

    def __init__(self, head: Head = OK, pieces: Callable[[], AsyncIterator[bytes]] | None = None) -> None:
        self.head = head
        self.calls: list[TunnelCall] = []
        self.left = asyncio.Event()
        self.local_port = 0
        self._pieces = pieces or self._two_bytes

    @contextlib.asynccontextmanager
    async def send(self, call: TunnelCall) -> AsyncIterator[ForwardedResponse]:
        self.calls.append(call)
        try:
            yield ForwardedResponse(head=self.head, pieces=self._pieces())
        except BaseException:
            self.left.set()
            raise

    async def _two_bytes(self) -> AsyncIterator[bytes]:
        yield b"ok"


@contextlib.asynccontextmanager
async def open_connection(
    transport: FakeTransport, problems: list[str] | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to a forwarder of port 8020, whose reported lines go to ``problems``."""
    report = ([] if problems is None else problems).append
    async with ForwardingServer(0, 8020, transport, report, ALLOWED, browser_name=NAME, other_ports=OTHERS) as server:
        transport.local_port = server.port
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        yield reader, writer
        writer.close()


async def send_requests(transport: FakeTransport, *requests: bytes, problems: list[str] | None = None) -> bytes:
    """Send ``requests``, with the forwarder's port for PORT, and return all bytes until it closes the connection."""
    async with open_connection(transport, problems) as (reader, writer):
        for request in requests:
            writer.write(request.replace(b"PORT", str(transport.local_port).encode()))
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 60)
