"""Middleware that gives every call to a cord the same shape: ``{"json": body, "params": query}``, as in production."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from chutes_wrappers.runtime.running_call import RunningCall

Call = tuple[str, str]  # method and public path
Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class CordCalls:
    """The calls to a set of cords: by ``public`` method and path under ``chutes run --dev``, by ``internal`` path on the platform."""

    def __init__(self, *, public: Iterable[Call], internal: Iterable[str]) -> None:
        self._public = set(public)
        self._internal = frozenset(internal)

    def has_public(self, scope: Scope) -> bool:
        """Return whether ``scope`` is a call to one of the cords in a dev run."""
        return scope["type"] == "http" and (scope["method"], scope["path"]) in self._public

    def has_internal(self, scope: Scope) -> bool:
        """Return whether ``scope`` is a call to one of the cords on the platform."""
        return scope["type"] == "http" and scope["path"] in self._internal

    def remove_public(self, call: Call) -> None:
        """Remove a public call that another handler serves from now on."""
        self._public.discard(call)


class CallShapeMiddleware:
    """Convert ``calls`` with another shape to that of production (PLATFORM.md, section 3): a GET has the body ``{}``.

    It runs inside the SDK's middleware, which stores the decoded body in the request's state (SDK entrypoint/run.py).
    ``chutes run --dev`` drops the query string. The last value of a repeated key is used. An end-to-end encrypted call is
    the bare body.
    """

    def __init__(self, app: ASGIApp, calls: CordCalls) -> None:
        self._app = app
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        state = scope.setdefault("state", {})
        if self._calls.has_public(scope):
            query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
            state["decrypted"] = _build_call(state.get("decrypted"), dict(query))
        elif self._calls.has_internal(scope) and state.get("e2e"):
            state["decrypted"] = _build_call(state.get("decrypted"), {})
        await self._app(scope, receive, send)


class AbandonMiddleware:
    """Cancel the work of ``calls`` whose caller has disconnected. It runs inside CallShapeMiddleware.

    The cords get a RunningCall in ``call["running"]``.
    """

    def __init__(self, app: ASGIApp, calls: CordCalls) -> None:
        self._app = app
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        is_ours = self._calls.has_public(scope) or self._calls.has_internal(scope)
        call = scope.get("state", {}).get("decrypted") if is_ours else None
        if not isinstance(call, dict):
            await self._app(scope, receive, send)
            return
        running = call["running"] = RunningCall()
        try:
            await self._app(scope, receive, send)
        finally:
            running.abandon()


def _build_call(body: Any, query: dict[str, str]) -> dict[str, Any]:
    return {"json": {} if body is None else body, "params": query}
