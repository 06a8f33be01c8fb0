"""The relay of a locked instance, compared with a direct connection: one call at a time, 64 at a time, and one large body.

    python benchmarks/relay.py

Both ends are in this process; the relay is a process of its own, as in a container.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chutes_wrappers.emulator import relay  # noqa: E402 - needs the path above
from tests.scenario import find_free_port  # noqa: E402

HOST = "127.0.0.1"
CALLS = 2000
CALLERS = 64
SMALL_BYTES = 200
LARGE_BYTES = 300 * 1024**2
PIECE = bytes(1024**2)


async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send as many bytes as each request of eight bytes asks for."""
    with contextlib.suppress(asyncio.IncompleteReadError), contextlib.closing(writer):
        while True:
            remaining = int.from_bytes(await reader.readexactly(8), "big")
            while remaining:
                piece = PIECE[:remaining]
                writer.write(piece)
                await writer.drain()
                remaining -= len(piece)


async def call(port: int, sizes: Sequence[int]) -> None:
    reader, writer = await asyncio.open_connection(HOST, port, limit=len(PIECE))
    with contextlib.closing(writer):
        for size in sizes:
            writer.write(size.to_bytes(8, "big"))
            remaining = size
            while remaining:
                remaining -= len(await reader.read(min(remaining, len(PIECE))))


async def measure(port: int) -> str:
    started = time.perf_counter()
    await call(port, [SMALL_BYTES] * CALLS)
    alone = time.perf_counter()
    await asyncio.gather(*(call(port, [SMALL_BYTES] * (CALLS // CALLERS)) for _ in range(CALLERS)))
    together = time.perf_counter()
    await call(port, [LARGE_BYTES])
    large = time.perf_counter()
    return (
        f"{(alone - started) / CALLS * 1000:.3f} ms a call, {CALLS / (together - alone):.0f} calls/s by {CALLERS}, "
        f"{LARGE_BYTES / 1024**2 / (large - together):.0f} MiB/s"
    )


@contextlib.asynccontextmanager
async def run_relay(target: int) -> AsyncIterator[int]:
    """Run a relay to the port ``target``, and yield its port."""
    port = find_free_port()
    argv = [sys.executable, "-I", "-S", str(relay.__file__), HOST, str(target), str(port)]
    process = await asyncio.create_subprocess_exec(*argv)
    try:
        await wait_until_listening(port)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def wait_until_listening(port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            return
        await asyncio.sleep(0.02)


async def main() -> None:
    server = await asyncio.start_server(respond, HOST, 0, limit=len(PIECE))
    target = int(server.sockets[0].getsockname()[1])
    async with run_relay(target) as port:
        for run in range(1, 3):
            print(f"run {run}: direct {await measure(target)}")
            print(f"run {run}: relay  {await measure(port)}")
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
