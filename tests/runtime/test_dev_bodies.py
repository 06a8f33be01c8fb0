from __future__ import annotations

import json
from typing import Any

import pytest

from chutes_wrappers.runtime.dev_bodies import MAX_CHECKED_BYTES, DevBodyMiddleware


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
async def test_an_invalid_json_body_is_a_400_with_the_reason(chunks: list[bytes]) -> None:
    received, sent = await exchange("POST", chunks)
    assert received == []
    assert sent[0]["status"] == 400
    assert b"must be JSON" in sent[1]["body"]


async def test_a_json_body_and_later_messages_are_passed_on_unchanged() -> None:
    received, sent = await exchange("PUT", [b'{"a": 1}'])
    assert received == [
        {"type": "http.request", "body": b'{"a": 1}', "more_body": True},
        {"type": "http.request", "body": b""},
    ]
    assert sent == []


async def test_a_large_body_is_passed_on_unchecked() -> None:
    received, sent = await exchange("POST", [b"x" * MAX_CHECKED_BYTES, b"y"])
    assert [message["body"][:1] for message in received] == [b"x", b"y"]
    assert sent == []


async def test_a_get_is_unchanged() -> None:
    received, _ = await exchange("GET", [])
    assert received[0] == {"type": "http.request", "body": b""}


async def test_a_disconnect_is_passed_to_the_application() -> None:
    received, sent = await exchange("POST", [b"{"], leaves=True)
    assert received[-1] == {"type": "http.disconnect"}
    assert sent == []


async def test_a_rejection_is_json_with_its_content_length() -> None:
    _, (start, body) = await exchange("POST", [b"no"])
    assert start["headers"] == [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body["body"])).encode()),
    ]
    assert list(json.loads(body["body"])) == ["detail"]


async def test_up_to_a_mebibyte_is_checked() -> None:
    assert MAX_CHECKED_BYTES == 1024**2
    _, sent = await exchange("POST", [b"x" * MAX_CHECKED_BYTES])
    assert sent[0]["status"] == 400


@pytest.mark.parametrize("scope", [{"type": "websocket"}, {"type": "lifespan"}, {"type": "http", "method": "HEAD"}])
async def test_requests_without_a_body_are_passed_on_unchanged(scope: dict[str, Any]) -> None:
    received: list[Any] = []

    async def application(*arguments: Any) -> None:
        received.extend(arguments)

    async def nothing(*arguments: Any) -> None: ...

    await DevBodyMiddleware(application)(scope, nothing, nothing)
    assert received == [scope, nothing, nothing]
