"""Admission of requests with a body: unknown callers are rejected before their body is read.

Any local program can reach the port.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers

from chutes_wrappers.core.program import NAMES
from chutes_wrappers.emulator.page.page_access import CALL_PREFIX
from chutes_wrappers.runtime.call_shape import ASGIApp, Scope
from chutes_wrappers.runtime.guarded_app import refuse

REGISTRATION_PATH = "/users/register"
# These identify the account by a fingerprint, which the route checks (PLATFORM.md, section 5).
_FINGERPRINT_PATHS = ("/users/login", "/users/change_bt_auth")
MAX_ACCOUNT_BYTES = 64 * 1024
_JSON = "application/json"


class Registration:
    """The registration token, valid until registration is closed. Write it only to files of mode 600."""

    def __init__(self, token: str) -> None:
        self.token = token
        self._is_closed = False

    def close(self) -> None:
        """Reject every registration from now on."""
        self._is_closed = True

    def find_refusal(self, token: str) -> tuple[int, str] | None:
        """Return status and reason when a registration with ``token`` is rejected, else None (api, PLATFORM.md section 4)."""
        if self._is_closed:
            return (
                403,
                "Registration is closed: --emulate has its own user. "
                f"To register others, start {NAMES.emulator} --config FILE",
            )
        if not token:
            return (
                400,
                "Missing registration token in URL query params, please ensure you have upgraded to chutes>=0.3.33 and try again.",
            )
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            return 403, "Invalid registration token: the file of --config holds it, in [emulator] registration_token"
        return None


class Admission:
    """ASGI middleware: a request with a body needs a known hotkey, a known API key, the registration token, or a small body.

    ``find_caller_problem`` gets the headers (lower-case names) and returns why the caller is unknown, or None. Calls of the
    page are let through: the page checks its own secret first (``page/page_access.py``).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        registration: Registration,
        find_caller_problem: Callable[[Mapping[str, str]], str | None],
    ) -> None:
        self._app = app
        self._registration = registration
        self._find_caller_problem = find_caller_problem

    async def __call__(self, scope: Scope, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        """Admit or reject one request."""
        if scope["type"] != "http" or scope["path"].startswith(f"{CALL_PREFIX}/"):
            await self._app(scope, receive, send)
        elif scope["path"] == REGISTRATION_PATH and scope["method"] == "POST":
            await self._admit_registration(scope, receive, send)
        elif scope["path"] in _FINGERPRINT_PATHS and scope["method"] == "POST":
            await self._admit_small_body(scope, receive, send)
        elif _has_body(headers := Headers(scope=scope)) and (problem := self._find_caller_problem(headers)):
            await _refuse(send, 401, problem)
        else:
            await self._app(scope, receive, send)

    async def _admit_registration(self, scope: Scope, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if refusal := self._registration.find_refusal(query.get("token", [""])[-1]):
            await _refuse(send, *refusal)
        else:
            await self._admit_small_body(scope, receive, send)

    async def _admit_small_body(self, scope: Scope, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        messages: list[Any] = []
        size = 0
        while not messages or (messages[-1]["type"] == "http.request" and messages[-1].get("more_body")):
            messages.append(await receive())
            size += len(messages[-1].get("body", b""))
            if size > MAX_ACCOUNT_BYTES:
                await _refuse(
                    send, 413, f"The body has more than {MAX_ACCOUNT_BYTES:,} bytes: send the account's fields only"
                )
                return

        async def replay() -> Any:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)


def _has_body(headers: Mapping[str, str]) -> bool:
    return headers.get("content-length", "0").strip() != "0" or "transfer-encoding" in headers


async def _refuse(send: Callable[[Any], Any], status: int, detail: str) -> None:
    await refuse(send, status, json.dumps({"detail": detail}), _JSON)
