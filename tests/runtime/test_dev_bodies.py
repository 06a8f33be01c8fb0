from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.runtime.dev_bodies import DevBodyMiddleware


async def exchange(method: str, chunks: list[bytes], *, leaves: bool = False) -> tuple[list[Any], list[Any]]:
    """What the application behind the middleware receives, and what is sent, for one request."""
    incoming = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if not leaves:
        incoming.append({"type": "http.request", "body": b""})
    incoming.append({"type": "http.disconnect"})
    received: list[Any] = []
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        received.extend([await receive(), await receive()])

    await DevBodyMiddleware(application)({"type": "http", "method": method}, receive, send)
    return received, sent


@pytest.mark.parametrize("chunks", [[], [b"not json"], [b"\xff\xfe{"], [b"a=1&b=2"], [b"[" * 100_000]])
async def test_a_body_that_is_no_json_is_a_400_with_the_reason(chunks: list[bytes]) -> None:
    received, sent = await exchange("POST", chunks)
    assert received == []
    assert sent[0]["status"] == 400
    assert b"must be JSON" in sent[1]["body"]


async def test_a_json_body_is_passed_on_whole_and_then_whatever_comes() -> None:
    received, sent = await exchange("PUT", [b'{"a": ', b"1}"])
    assert received == [{"type": "http.request", "body": b'{"a": 1}', "more_body": False}, {"type": "http.disconnect"}]
    assert sent == []


async def test_a_get_is_left_alone() -> None:
    received, _ = await exchange("GET", [])
    assert received[0] == {"type": "http.request", "body": b""}


async def test_nothing_is_said_to_a_caller_who_is_gone() -> None:
    assert await exchange("POST", [b"{"], leaves=True) == ([], [])
