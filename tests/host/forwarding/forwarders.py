"""A forwarder in a thread, for blocking clients."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator

from chutes_wrappers.host.forwarding.chute_client import Chute, parse_chute_address
from chutes_wrappers.host.forwarding.server import ForwardingServer
from chutes_wrappers.host.forwarding.transport import Transport

BROWSER_NAME = "case.localhost"
TransportFactory = Callable[[Chute], Transport]


@contextlib.asynccontextmanager
async def forwarder(
    url: str, service_port: int, create_transport: TransportFactory, browser_name: str = BROWSER_NAME
) -> AsyncIterator[int]:
    """The local port of a forwarder to the chute at ``url``."""
    problems: list[str] = []
    async with (
        Chute(parse_chute_address(url, None)) as chute,
        ForwardingServer(
            0, service_port, create_transport(chute), problems.append, browser_name=browser_name
        ) as server,
    ):
        yield server.port


@contextlib.contextmanager
def forwarder_thread(
    url: str, service_port: int, create_transport: TransportFactory, browser_name: str = BROWSER_NAME
) -> Iterator[int]:
    """The same, for tests without an event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = forwarder(url, service_port, create_transport, browser_name)
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(60)
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
