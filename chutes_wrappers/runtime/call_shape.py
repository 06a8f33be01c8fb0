"""One shape for the calls that reach a cord: ``{"json": body, "params": query}``, as production delivers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Set
from typing import Any
from urllib.parse import parse_qsl

from chutes_wrappers.runtime.running_call import RunningCall

Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class CallShapeMiddleware:
    """Give calls that come otherwise production's shape (PLATFORM.md, section 3): a GET has the body ``{}``.

    It runs inside the SDK's own middleware, which has left the decoded body in the request's state (SDK entrypoint/run.py).
    ``chutes run --dev`` serves ``public``, pairs of method and public path, and drops the query, of whose repeated keys the
    last wins. An end-to-end encrypted call to one of the ``internal`` paths is the bare body.
    """

    def __init__(self, app: ASGIApp, public: Set[tuple[str, str]], internal: Set[str]) -> None:
        self._app = app
        self._public = public
        self._internal = internal

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        if scope["type"] == "http":
            state = scope.setdefault("state", {})
            if (scope["method"], scope["path"]) in self._public:
                query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
                state["decrypted"] = _shaped(state.get("decrypted"), dict(query))
            elif scope["path"] in self._internal and state.get("e2e"):
                state["decrypted"] = _shaped(state.get("decrypted"), {})
        await self._app(scope, receive, send)


class AbandonMiddleware:
    """End the work of a call whose caller has gone. It runs inside CallShapeMiddleware.

    The cords of ``public`` (method and path, under ``--dev``) and ``internal`` find a RunningCall in ``call["running"]``.
    """

    def __init__(self, app: ASGIApp, public: Set[tuple[str, str]], internal: Set[str]) -> None:
        self._app = app
        self._public = public
        self._internal = internal

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        is_ours = scope["type"] == "http" and (
            (scope["method"], scope["path"]) in self._public or scope["path"] in self._internal
        )
        call = scope.get("state", {}).get("decrypted") if is_ours else None
        if not isinstance(call, dict):
            await self._app(scope, receive, send)
            return
        running = call["running"] = RunningCall()
        try:
            await self._app(scope, receive, send)
        finally:
            running.abandon()


def _shaped(body: Any, query: dict[str, str]) -> dict[str, Any]:
    return {"json": {} if body is None else body, "params": query}
