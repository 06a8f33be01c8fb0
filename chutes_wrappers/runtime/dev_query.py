"""Query parameters in ``chutes run --dev``, which production carries and the SDK's dev middleware drops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class DevQueryMiddleware:
    """Hand calls to passthrough cords on in production's shape: ``{"json": body, "params": query}``.

    It runs inside the SDK's DevMiddleware, which has left the decoded body in the request's state (SDK entrypoint/run.py);
    production sends this shape itself (PLATFORM.md, section 3): a GET has the body ``{}``, of repeated keys the last wins.
    ``cords`` are the (method, public path) pairs that it applies to.
    """

    def __init__(self, app: ASGIApp, cords: frozenset[tuple[str, str]]) -> None:
        self._app = app
        self._cords = cords

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        if scope["type"] == "http" and (scope["method"], scope["path"]) in self._cords:
            state = scope.setdefault("state", {})
            query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
            body = state.get("decrypted")
            state["decrypted"] = {"json": {} if body is None else body, "params": dict(query)}
        await self._app(scope, receive, send)
