from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.local_guard import LocalGuard
from chutes_wrappers.runtime.guarded_app import GuardedApp, refuse

NEAR = [(b"host", b"localhost:8000")]
FOREIGN = [(b"host", b"evil.example")]


async def run_connection(scope: dict[str, Any]) -> tuple[list[Any], bool]:
    """What is sent for one connection, and whether the application has seen it."""
    messages: list[Any] = []
    received: list[Any] = []

    async def receive() -> Any:
        pytest.fail("a refused request is not read")

    async def send(message: Any) -> None:
        messages.append(message)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        received.append(scope)

    await GuardedApp(application, LocalGuard(loopback_origins=False))(scope, receive, send)
    return messages, received == [scope]


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "http", "method": "POST", "headers": NEAR},
        {"type": "websocket", "headers": NEAR},
        {"type": "lifespan"},
    ],
)
async def test_accepted_requests_reach_the_application(scope: dict[str, Any]) -> None:
    assert await run_connection(scope) == ([], True)


async def test_a_refused_request_is_a_403_with_the_reason_and_ends_the_connection() -> None:
    messages, is_seen = await run_connection({"type": "http", "method": "GET", "headers": FOREIGN})
    assert not is_seen
    start, body = messages
    assert (start["type"], start["status"], body["type"]) == ("http.response.start", 403, "http.response.body")
    assert b"'evil.example' is not this machine" in body["body"]
    assert dict(start["headers"]) == {
        b"content-type": b"text/plain; charset=utf-8",
        b"content-length": str(len(body["body"])).encode(),
        b"connection": b"close",
    }


async def test_a_refused_websocket_is_closed_with_the_reason() -> None:
    (message,), is_seen = await run_connection({"type": "websocket", "headers": FOREIGN})
    assert not is_seen
    assert message["type"] == "websocket.close"
    assert "'evil.example'" in message["reason"]


async def test_a_link_of_a_foreign_page_may_get_and_not_post() -> None:
    link = [
        *NEAR,
        (b"sec-fetch-site", b"cross-site"),
        (b"sec-fetch-mode", b"navigate"),
        (b"sec-fetch-dest", b"document"),
    ]
    assert (await run_connection({"type": "http", "method": "GET", "headers": link}))[1]
    assert not (await run_connection({"type": "http", "method": "POST", "headers": link}))[1]


async def test_headers_are_any_bytes() -> None:
    messages, _ = await run_connection({"type": "http", "method": "GET", "headers": [(b"host", b"\xff")]})
    assert messages[0]["status"] == 403


async def test_a_refusal_can_be_of_another_status_and_type() -> None:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await refuse(send, 400, "ü", "application/json")
    assert messages[0]["status"] == 400
    assert messages[0]["headers"][:2] == [(b"content-type", b"application/json"), (b"content-length", b"2")]
    assert messages[1]["body"] == "ü".encode()
