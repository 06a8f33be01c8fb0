from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from chutes_wrappers.runtime.disconnects import DisconnectMiddleware

GONE = {"type": "http.disconnect"}


class Server:
    """The messages of a server for one caller; ``asked`` counts the calls of ``receive``."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.asked = 0
        for message in messages:
            self.queue.put_nowait(message)

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        return await self.queue.get()


async def run(server: Server, application: Any) -> None:
    async def send(message: Any) -> None: ...

    await DisconnectMiddleware(application)({"type": "http"}, server.receive, send)


async def poll(receive: Any) -> Any:
    """Poll like Starlette's ``is_disconnected``: without waiting."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        return await receive()
    return None


async def test_a_cancelled_receive_loses_no_message() -> None:
    server = Server()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        assert await poll(receive) is None
        waiting = asyncio.create_task(receive())
        await asyncio.sleep(0)
        server.queue.put_nowait(GONE)
        assert await asyncio.wait_for(waiting, 60) == GONE
        assert await poll(receive) == GONE
        assert await receive() == GONE

    await run(server, application)
    assert server.asked == 1


async def test_messages_of_a_body_are_received_once_and_in_order() -> None:
    body: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b"},
    ]
    server = Server(*body, GONE)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        assert [await receive(), await receive(), await receive()] == [*body, GONE]

    await run(server, application)


async def test_every_waiter_gets_the_disconnect() -> None:
    server = Server()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        waiting = [asyncio.create_task(receive()) for _ in range(3)]
        await asyncio.sleep(0)
        server.queue.put_nowait(GONE)
        assert await asyncio.gather(*waiting) == [GONE] * 3

    await run(server, application)


async def test_a_servers_failure_is_raised_in_the_application() -> None:
    class Broken(Server):
        async def receive(self) -> dict[str, Any]:
            raise OSError("broken")

    async def application(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(OSError, match="broken"):
            await receive()

    await run(Broken(), application)


async def test_a_pending_receive_is_cancelled_at_the_end() -> None:
    before = asyncio.all_tasks()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        assert await poll(receive) is None
        assert asyncio.all_tasks() - before

    await run(Server(), application)
    await asyncio.wait(asyncio.all_tasks() - before or [asyncio.ensure_future(asyncio.sleep(0))], timeout=20)
    assert asyncio.all_tasks() == before


async def test_other_connections_are_passed_on_as_they_are() -> None:
    received: list[Any] = []

    async def application(*arguments: Any) -> None:
        received.extend(arguments)

    async def nothing(*arguments: Any) -> None: ...

    await DisconnectMiddleware(application)({"type": "websocket"}, nothing, nothing)
    assert received == [{"type": "websocket"}, nothing, nothing]
