"""The relay, between real sockets."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from chutes_wrappers.emulator.relay import start_relay

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_HOST = "127.0.0.1"
_TIMEOUT_S = 60


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


@asynccontextmanager
async def relay_to(handler: Handler) -> AsyncIterator[int]:
    """Yield the port of a relay to a server with this handler."""
    target = await asyncio.start_server(handler, _HOST, 0)
    relay = await start_relay((_HOST, port_of(target)), (_HOST, 0))
    try:
        yield port_of(relay)
    finally:
        relay.close()
        target.close()


async def connect(port: int) -> Streams:
    return await asyncio.open_connection(_HOST, port)


async def within(work: Awaitable[bytes]) -> bytes:
    return await asyncio.wait_for(work, _TIMEOUT_S)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def test_large_bodies_arrive_unchanged_in_both_directions_after_a_half_close() -> None:
    body = bytes(range(256)) * 40_000

    async def respond_after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await reader.read(-1)
        writer.write(hashlib.sha256(received).digest() + received)
        await writer.drain()
        await close(writer)

    async with relay_to(respond_after_the_end) as port:
        reader, writer = await connect(port)
        writer.write(body)
        writer.write_eof()
        assert await within(reader.read(-1)) == hashlib.sha256(body).digest() + body
        await close(writer)


async def test_a_piece_of_a_stream_arrives_before_the_next_is_sent() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        await close(writer)

    async with relay_to(echo) as port:
        connections = [await connect(port) for _ in range(64)]
        for number, (reader, writer) in enumerate(connections):
            for piece in (f"{number} a\n", f"{number} b\n"):
                writer.write(piece.encode())
                assert await within(reader.readline()) == piece.encode()
        for reader, writer in connections:
            writer.write_eof()
            assert await within(reader.read(-1)) == b""
            await close(writer)


async def test_a_client_that_leaves_ends_the_connection_to_the_instance() -> None:
    ended = asyncio.Event()

    async def stream_without_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except OSError:
            ended.set()
        writer.transport.abort()

    async with relay_to(stream_without_end) as port:
        reader, writer = await connect(port)
        await within(reader.readexactly(10))
        writer.transport.abort()
        await asyncio.wait_for(ended.wait(), _TIMEOUT_S)


async def test_an_instance_that_does_not_listen_closes_the_connection() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, _HOST, 0)
    port = port_of(server)
    server.close()
    await server.wait_closed()
    relay = await start_relay((_HOST, port), (_HOST, 0))
    reader, writer = await connect(port_of(relay))
    with suppress(ConnectionResetError):
        assert await within(reader.read(-1)) == b""
    writer.transport.abort()
    relay.close()


async def test_a_connection_whose_client_is_gone_lasts_until_the_instance_ends_it() -> None:
    problems = list[str]()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context["message"]))
    has_ended, release, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def respond_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.write(b"first")
        has_ended.set()
        await release.wait()
        await close(writer)
        closed.set()

    async with relay_to(respond_late) as port:
        reader, writer = await connect(port)
        writer.write_eof()
        await within(reader.readexactly(5))
        await asyncio.wait_for(has_ended.wait(), _TIMEOUT_S)
        reset_connection(writer)
        # The relay reads the reset after its event loop has run a few times.
        for _ in range(20):
            await asyncio.sleep(0.01)
        gc.collect()
        assert problems == []
        release.set()
        await asyncio.wait_for(closed.wait(), _TIMEOUT_S)
    assert problems == []


def reset_connection(writer: asyncio.StreamWriter) -> None:
    """Close a connection as a client that crashes: with a reset."""
    opened = writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
