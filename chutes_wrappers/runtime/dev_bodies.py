"""Bodies that are no JSON, under ``chutes run --dev``: refused as the platform refuses them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from chutes_wrappers.runtime.call_shape import ASGIApp, Scope

_WITH_BODY = ("POST", "PUT", "PATCH")
_REFUSAL = json.dumps({"detail": "the body must be JSON: an object, {} when there is nothing to send"}).encode()
Receive = Callable[[], Awaitable[Any]]


class DevBodyMiddleware:
    """Answer 400 to a body that is no JSON, where the SDK's dev middleware ends in a bare 500 (SDK entrypoint/run.py).

    It runs outside of that one, so it is no middleware of the chute's: ``refuse_bad_bodies`` puts it around all of them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Callable[[Any], Any]) -> None:
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        body = await _whole_body(receive)
        if body is None:  # the caller is gone
            return
        if _is_json(body):
            await self._app(scope, _replayed(body, receive), send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_REFUSAL)).encode())]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": _REFUSAL})


def refuse_bad_bodies(application: Any) -> None:
    """Put DevBodyMiddleware around a Starlette ``application`` that has not started: outside what is added to it later."""
    build = application.build_middleware_stack
    application.build_middleware_stack = lambda: DevBodyMiddleware(build())


async def _whole_body(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return messages.pop() if messages else await receive()

    return replay
