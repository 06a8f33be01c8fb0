"""Rejection of bodies that are not valid JSON under ``chutes run --dev``, as on the platform."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from chutes_wrappers.runtime.call_shape import ASGIApp, Scope

_WITH_BODY = ("POST", "PUT", "PATCH")
_REJECTION = json.dumps({"detail": "the body must be JSON: an object, {} when there is nothing to send"}).encode()
# A larger body is not parsed twice: nobody typed it by hand.
MAX_CHECKED_BYTES = 1024**2
Receive = Callable[[], Awaitable[Any]]


class DevBodyMiddleware:
    """Return 400 for a body that is not valid JSON, for which the SDK's dev middleware returns a bare 500 (SDK entrypoint/run.py).

    It must run outside that middleware, so it is not a middleware of the chute: ``reject_invalid_bodies`` wraps it around
    all of them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Callable[[Any], Any]) -> None:
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        messages, is_complete = await _read_first_messages(receive)
        if not is_complete or _is_json(b"".join(message.get("body", b"") for message in messages)):
            await self._app(scope, _replay_messages(messages, receive), send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_REJECTION)).encode())]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": _REJECTION})


def reject_invalid_bodies(application: Any) -> None:
    """Wrap DevBodyMiddleware around a Starlette ``application`` that has not started, outside of middleware that is added later."""
    build = application.build_middleware_stack
    application.build_middleware_stack = lambda: DevBodyMiddleware(build())


async def _read_first_messages(receive: Receive) -> tuple[list[Any], bool]:
    """Return the messages of a body, and whether it is complete."""
    messages, size = [], 0
    while size <= MAX_CHECKED_BYTES:
        messages.append(await receive())
        if messages[-1]["type"] != "http.request":  # a disconnect, which the application handles
            return messages, False
        size += len(messages[-1].get("body", b""))
        if not messages[-1].get("more_body"):
            return messages, True
    return messages, False


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _replay_messages(messages: list[Any], receive: Receive) -> Receive:
    async def replay() -> Any:
        return messages.pop(0) if messages else await receive()

    return replay
