"""The context of the routes: the platform behind the API, and the authenticated caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from fastapi import HTTPException, Request
from loguru import logger

from chutes_wrappers.core.overruled_rules import is_overruled
from chutes_wrappers.emulator.builds import Builds
from chutes_wrappers.emulator.instances import Instances
from chutes_wrappers.emulator.signatures import UNKNOWN_HOTKEY, Unauthorized, parse_api_key, verify_signature
from chutes_wrappers.emulator.state import State
from chutes_wrappers.emulator.tables.key_table import ApiKey
from chutes_wrappers.emulator.tables.user_table import User

_ACTIONS = {"GET": "read", "DELETE": "delete"}
# The platform's text for every key that it refuses (PLATFORM.md, section 5: the status is 401, not 403).
_REFUSED_KEY = "Invalid token or user not found"


@dataclass(frozen=True, kw_only=True)
class NewAccounts:
    """Defaults for new users: the balance in dollars, and the bit mask of permissions."""

    balance: float = 100.0
    permissions: int = 0


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Everything behind the API. ``instances`` is None when the emulator runs no instances."""

    state: State
    builds: Builds
    instances: Instances | None
    new_accounts: NewAccounts

    @staticmethod
    def reject(rule: str, status: int, detail: str) -> None:
        """Raise the API's error for a request that violates ``rule``; only log it when the user overruled the rule.

        A 500 is a bare "Internal Server Error", whatever ``detail`` says.
        """
        if not is_overruled(rule):
            raise HTTPException(status, detail)
        logger.warning("rule {} was overruled: the platform would respond {}: {}", rule, status, detail)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The authenticated user of a request. ``key`` is None for a signed request."""

    user: User
    key: ApiKey | None

    def require(self, action: str, object_type: str, *names: str) -> None:
        """Raise 401 when the caller's key does not permit ``action`` on the object that ``names`` identify."""
        if self.key is not None and not self.key.is_allowed_to(action, object_type, *names):
            raise HTTPException(401, _REFUSED_KEY)


def platform_of(request: Request) -> Platform:
    """Return the platform that serves a request."""
    return cast(Platform, request.app.state.platform)


def authenticate(purpose: str) -> Callable[[Request], Awaitable[Caller]]:
    """Return a dependency that authenticates the caller, else raises 401. Without a body, ``purpose`` must be signed.

    A key without any scope for the request's action is refused first, so that it cannot find out which objects exist.
    """

    async def identify(request: Request) -> Caller:
        body = await request.body()
        try:
            return _identify_caller(request, body, purpose)
        except Unauthorized as problem:
            raise HTTPException(401, str(problem)) from problem

    return identify


def _identify_caller(request: Request, body: bytes, purpose: str) -> Caller:
    state = platform_of(request).state
    if (secret := parse_api_key(request.headers)) is not None:
        key = state.api_keys.find_by_secret(secret)
        owner = state.users.find_by_id(key.user_id) if key is not None else None
        if owner is None:
            raise Unauthorized("Invalid API key")
        if key is not None and not key.can_ever(_ACTIONS.get(request.method, "write")):
            raise Unauthorized(_REFUSED_KEY)
        return Caller(user=owner, key=key)
    signer = verify_signature(request.headers, body=body, purpose=purpose, now=state.now())
    user = state.users.find_by_hotkey(signer.hotkey)
    if user is None or signer.user_id not in (None, user.user_id):
        raise Unauthorized(UNKNOWN_HOTKEY)
    return Caller(user=user, key=None)
