"""The context of the routes: the platform behind the API, and the authenticated caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

from fastapi import HTTPException, Request

from chutes_wrappers.emulator.builds import Builds
from chutes_wrappers.emulator.instances import Instances
from chutes_wrappers.emulator.rejection import raise_unless_overruled
from chutes_wrappers.emulator.signatures import (
    HOTKEY_HEADER,
    REFUSED_KEY,
    UNKNOWN_KEY,
    UNSIGNED,
    Unauthorized,
    UnknownCaller,
    build_unknown_hotkey_text,
    parse_api_key,
    verify_signature,
)
from chutes_wrappers.emulator.staleness import StaleMemory
from chutes_wrappers.emulator.state import State
from chutes_wrappers.emulator.tables.key_table import ApiKey
from chutes_wrappers.emulator.tables.user_table import User

_ACTIONS = {"GET": "read", "DELETE": "delete"}


@dataclass(frozen=True, kw_only=True)
class NewAccounts:
    """Defaults for new users: the balance in dollars, and the bit mask of permissions.

    ``coldkey_tao`` is free on each coldkey; None: it cannot be asked for, and the platform lets the registration through.
    ``registrations_per_day`` are possible from one address; None: any number.
    """

    balance: float = 100.0
    permissions: int = 0
    coldkey_tao: float | None = None
    registrations_per_day: int | None = None


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Everything behind the API. ``instances`` is None when the emulator runs no instances."""

    state: State
    builds: Builds
    instances: Instances | None
    new_accounts: NewAccounts
    memory: StaleMemory

    @staticmethod
    def reject(rule: str, status: int, detail: str) -> None:
        """Raise the API's error for a request that violates ``rule``; only log it when the user overruled the rule.

        A 500 is a bare "Internal Server Error", whatever ``detail`` says.
        """
        raise_unless_overruled(rule, HTTPException(status, detail))

    def find_key(self, secret: str) -> ApiKey | None:
        """Return the key with this secret, or None. A deleted key can be found a while longer (staleness)."""
        if (key := self.state.api_keys.find_by_secret(secret)) is not None:
            self.memory.remember(("key", secret), key, self.memory.limits.deleted_key_s)
            return key
        stale: ApiKey | None = self.memory.recall(("key", secret))
        return stale


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The authenticated user of a request. ``key`` is None for a signed request."""

    user: User
    key: ApiKey | None

    def require(self, action: str, object_type: str, *names: str) -> None:
        """Raise 401 when the caller's key does not permit ``action`` on the object that ``names`` identify."""
        if self.key is not None and not self.key.is_allowed_to(action, object_type, *names):
            raise HTTPException(401, REFUSED_KEY)


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


def authenticate_if_known(purpose: str) -> Callable[[Request], Awaitable[Caller | None]]:
    """Return a dependency like ``authenticate``. It returns None without a signature, or with the hotkey of no account."""

    async def identify(request: Request) -> Caller | None:
        try:
            return _identify_caller(request, await request.body(), purpose)
        except UnknownCaller:
            return None
        except Unauthorized as problem:
            raise HTTPException(401, str(problem)) from problem

    return identify


def find_caller_problem(platform: Platform, headers: Mapping[str, str]) -> str | None:
    """Return why the platform does not know the caller in these headers, or None. A signature is not verified."""
    try:
        secret = parse_api_key(headers)
    except Unauthorized as problem:
        return str(problem)
    if secret is not None:
        return None if platform.find_key(secret) else UNKNOWN_KEY
    hotkey = headers.get(HOTKEY_HEADER)
    if not hotkey:
        return UNSIGNED
    return None if platform.state.users.find_by_hotkey(hotkey) else build_unknown_hotkey_text(hotkey)


def _identify_caller(request: Request, body: bytes, purpose: str) -> Caller:
    platform = platform_of(request)
    state = platform.state
    if (secret := parse_api_key(request.headers)) is not None:
        key = platform.find_key(secret)
        owner = state.users.find_by_id(key.user_id) if key is not None else None
        if key is None or owner is None:
            raise Unauthorized(UNKNOWN_KEY)
        if not key.can_ever(_ACTIONS.get(request.method, "write")):
            raise Unauthorized(REFUSED_KEY)
        return Caller(user=owner, key=key)
    signer = verify_signature(request.headers, body=body, purpose=purpose, now=state.now())
    user = state.users.find_by_hotkey(signer.hotkey)
    if user is None or signer.user_id not in (None, user.user_id):
        raise UnknownCaller(build_unknown_hotkey_text(signer.hotkey))
    return Caller(user=user, key=None)
