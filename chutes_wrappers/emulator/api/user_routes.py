"""Routes of users: ping, registration, and the caller's account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.api.context import Caller, Platform, authenticate, platform_of
from chutes_wrappers.emulator.api.payloads import JsonObject, format_time
from chutes_wrappers.emulator.signatures import Unauthorized, verify_signature
from chutes_wrappers.emulator.tables.user_table import DailyAction, User

router = APIRouter(tags=["users"])


class RegistrationRequest(BaseModel):
    """The request body of ``chutes register`` (SDK ``entrypoint/register.py``)."""

    username: str
    coldkey: str


class LoginRequest(BaseModel):
    """The request body of a login on the website."""

    fingerprint: str = Field(repr=False)


class KeysRequest(BaseModel):
    """The keys of a wallet for an account of the website; either can be left out (api, PLATFORM.md, section 5)."""

    coldkey: str | None = None
    hotkey: str | None = None


@router.get("/ping")
async def ping() -> dict[str, str]:
    """Return pong: the platform is reachable."""
    return {"message": "pong"}


@router.post("/users/register")
async def register(registration: RegistrationRequest, request: Request) -> JsonObject:
    """Register the hotkey that signed the request. ``emulator/admission.py`` has checked the token."""
    platform = platform_of(request)
    state = platform.state
    try:
        signer = verify_signature(request.headers, body=await request.body(), purpose="register", now=state.now())
    except Unauthorized as problem:
        raise HTTPException(401, str(problem)) from problem
    with state.transaction():
        _check_registration(
            platform, registration, signer.hotkey, address=request.client.host if request.client else ""
        )
        user, fingerprint = state.users.add(
            username=registration.username,
            hotkey=signer.hotkey,
            coldkey=registration.coldkey,
            balance=platform.new_accounts.balance,
            permissions=platform.new_accounts.permissions,
        )
        state.users.record_action(request.client.host if request.client else "", DailyAction.REGISTRATION)
    return {**_build_identity(user), "api_key": None, "fingerprint": fingerprint}


def _check_registration(platform: Platform, registration: RegistrationRequest, hotkey: str, *, address: str) -> None:
    """Raise 400, 409, 429 or 402 for a registration that the API rejects (api, section 4)."""
    users, accounts = platform.state.users, platform.new_accounts
    if not platform_rules.USERNAME.match(registration.username):
        detail = "Username must be 3-15 characters and contain only alphanumeric/underscore/dash characters"
        platform.reject("username", 400, detail)
    if users.find_by_name(registration.username) is not None:
        detail = f"Username {registration.username} already exists, sorry! Please choose another."
        raise HTTPException(409, detail)
    if users.find_by_hotkey(hotkey) is not None:
        raise HTTPException(409, "This hotkey is already registered to a user!")
    limit = accounts.registrations_per_day
    if limit is not None and users.count_today(address, DailyAction.REGISTRATION) >= limit:
        raise HTTPException(429, f"At most {limit} accounts can be registered from one address per day")
    deposit = platform_rules.REGISTRATION_DEPOSIT_TAO
    if accounts.coldkey_tao is not None and accounts.coldkey_tao < deposit:
        detail = (
            f"The coldkey {registration.coldkey[:100]} needs {deposit} TAO that are free: it has {accounts.coldkey_tao}"
        )
        platform.reject("registration-deposit", 402, detail)


@router.get("/users/me")
async def get_me(caller: Annotated[Caller, Depends(authenticate("me"))]) -> JsonObject:
    """Return the caller's account, balance and permissions."""
    return _build_user_payload(caller.user)


@router.post("/users/login")
async def login(fingerprint_login: LoginRequest, request: Request) -> JsonObject:
    """Return the account of a fingerprint. Needs no signature; its body is limited (``emulator/admission.py``)."""
    return _build_identity(_find_by_fingerprint(request, fingerprint_login.fingerprint))


@router.post("/users/change_bt_auth")
async def change_keys(keys: KeysRequest, request: Request) -> JsonObject:
    """Give the account of the fingerprint in ``Authorization`` another coldkey, another hotkey, or both."""
    user = _find_by_fingerprint(request, request.headers.get("authorization", ""))
    users = platform_of(request).state.users
    with platform_of(request).state.transaction():
        owner = users.find_by_hotkey(keys.hotkey) if keys.hotkey else None
        if owner is not None and owner.user_id != user.user_id:
            raise HTTPException(409, "This hotkey is already registered to a user!")
        users.set_keys(user.user_id, hotkey=keys.hotkey or user.hotkey, coldkey=keys.coldkey or user.coldkey)
    return _build_identity(users.find_by_id(user.user_id) or user)


def _find_by_fingerprint(request: Request, fingerprint: str) -> User:
    user = platform_of(request).state.users.find_by_fingerprint(fingerprint)
    if user is None:
        raise HTTPException(401, "Invalid fingerprint")
    return user


def _build_user_payload(user: User) -> JsonObject:
    can_publish = user.permissions >> platform_rules.PUBLIC_CHUTES_BIT & 1
    return {
        **_build_identity(user),
        "balance": user.balance,
        "permissions_bitmask": user.permissions,
        "permissions": [platform_rules.PUBLIC_CHUTES_PERMISSION] if can_publish else [],
    }


def _build_identity(user: User) -> JsonObject:
    return {
        "user_id": user.user_id,
        "username": user.username,
        "hotkey": user.hotkey,
        "coldkey": user.coldkey,
        "payment_address": user.payment_address,
        "logo_id": None,
        "logo": None,
        "created_at": format_time(user.created_at),
    }
