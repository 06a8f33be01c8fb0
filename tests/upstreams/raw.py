"""A TCP server on loopback whose HTTP bytes a test writes by hand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serve_raw(talk: Talk, port: int = 0) -> AsyncIterator[int]:
    """Runs ``talk`` for each connection, which it closes afterwards; yields the port."""

    conversations: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None
        conversations.add(own)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await talk(reader, writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        if conversations:
            await asyncio.wait(conversations, timeout=60)


@contextlib.asynccontextmanager
async def serve_reply(reply: bytes, received: list[bytes] | None = None, *, port: int = 0) -> AsyncIterator[int]:
    """Send ``reply`` to every request, whose head is appended to ``received``; yields the port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if received is not None:
            received.append(head)
        writer.write(reply)

    async with serve_raw(talk, port) as found:
        yield found


@contextlib.contextmanager
def serve_full_backlog() -> Iterator[int]:
    """The port of a service so busy that its queue holds no further connection: each waits."""
    with contextlib.ExitStack() as open_:
        service = open_.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(2):  # a queue of none has room for one
            waiting = open_.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(service.getsockname())
        yield service.getsockname()[1]
