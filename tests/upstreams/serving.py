"""An aiohttp application on a loopback port, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web


@contextmanager
def serve_application(application: web.Application) -> Iterator[int]:
    """Serve ``application`` until the context ends; yields its port. A handler whose client leaves is cancelled."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=5)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    port = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
