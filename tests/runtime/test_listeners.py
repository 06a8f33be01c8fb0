"""No server of ours lets a small piece wait for the acknowledgement of the piece before."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from chutes_wrappers.runtime.listeners import open_listener
from chutes_wrappers.runtime.loopback import LoopbackServer
from tests.accepted_sockets import sends_small_pieces_immediately
from tests.host.forwarding.fake_transport import FakeTransport, open_connection

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def check(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    writer.write(REQUEST)
    await reader.readuntil(b"\r\n\r\n")
    return sends_small_pieces_immediately(writer.get_extra_info("socket"))


def test_an_accepted_connection_has_the_option() -> None:
    with open_listener("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with accepted:
            assert sends_small_pieces_immediately(client)


async def test_the_forwarder_has_the_option() -> None:
    async with open_connection(FakeTransport()) as (reader, writer):
        assert await check(reader, writer)


async def test_the_loopback_server_of_an_instance_has_the_option() -> None:
    server = LoopbackServer()
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    with contextlib.closing(writer):
        assert await check(reader, writer)
    await server.stop()
