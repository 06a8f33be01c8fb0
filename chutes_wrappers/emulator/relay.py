"""The program of a relay: it forwards every connection to one instance. ``python relay.py HOST PORT LISTENING_PORT``.

An instance whose network is locked is only in an internal network, which this machine may not reach (Docker Desktop). A relay
is in that network and in the engine's default one, where its port is published. This file is copied into a container of the
instance's image, which has Python, and imports the standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator

_BUFFER_BYTES = 1024**2
_BACKLOG = 1024


async def start_relay(target: tuple[str, int], listener: tuple[str, int]) -> asyncio.Server:
    """Forward connections of ``listener`` to ``target`` in both directions, until the returned server is closed."""

    # asyncio keeps only weak references to tasks, and drops its own to this one when the client is gone.
    running: set[asyncio.Task[None] | None] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer.transport), _hold(asyncio.current_task(), running):
            try:
                target_reader, target_writer = await asyncio.open_connection(*target, limit=_BUFFER_BYTES)
            except OSError:
                writer.transport.abort()
                return
            with contextlib.closing(target_writer.transport):
                await asyncio.gather(_copy(reader, target_writer, writer), _copy(target_reader, writer, target_writer))

    return await asyncio.start_server(forward, *listener, limit=_BUFFER_BYTES, backlog=_BACKLOG)


@contextlib.contextmanager
def _hold(task: asyncio.Task[None] | None, running: set[asyncio.Task[None] | None]) -> Iterator[None]:
    running.add(task)
    try:
        yield
    finally:
        running.discard(task)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, other: asyncio.StreamWriter) -> None:
    """Copy one direction to its end, which the other direction may outlive. An error ends both connections."""
    try:
        while piece := await source.read(_BUFFER_BYTES):
            target.write(piece)
            await target.drain()
        target.write_eof()
    except OSError:
        target.transport.abort()
        other.transport.abort()


async def _main(host: str, port: str, listening_port: str) -> None:
    server = await start_relay((host, int(port)), ("0.0.0.0", int(listening_port)))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
