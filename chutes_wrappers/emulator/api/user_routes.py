"""Routes of users: ping, registration, and the caller's account."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.api.context import Caller, authenticate, platform_of
from chutes_wrappers.emulator.api.payloads import JsonObject, format_time
from chutes_wrappers.emulator.signatures import Unauthorized, is_address, verify_signature
from chutes_wrappers.emulator.tables.user_table import User

router = APIRouter(tags=["users"])


class RegistrationRequest(BaseModel):
    """The request body of ``chutes register`` (SDK ``entrypoint/register.py``)."""

    username: str
    coldkey: str


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
    if not platform_rules.USERNAME.match(registration.username):
        raise HTTPException(400, "Invalid username: 3-15 characters, alphanumeric and underscore only")
    if not is_address(registration.coldkey):
        raise HTTPException(400, "Invalid coldkey")
    with state.transaction():
        if state.users.find_by_name(registration.username) is not None:
            raise HTTPException(409, f"Username {registration.username} already exists, sorry!")
        if state.users.find_by_hotkey(signer.hotkey) is not None:
            raise HTTPException(409, "This hotkey is already registered to a user!")
        user, fingerprint = state.users.add(
            username=registration.username,
            hotkey=signer.hotkey,
            coldkey=registration.coldkey,
            balance=platform.new_accounts.balance,
            permissions=platform.new_accounts.permissions,
        )
    return {**_build_user_payload(user), "fingerprint": fingerprint}


@router.get("/users/me")
async def get_me(caller: Annotated[Caller, Depends(authenticate("me"))]) -> JsonObject:
    """Return the caller's account, balance and permissions."""
    return _build_user_payload(caller.user)


def _build_user_payload(user: User) -> dict[str, Any]:
    can_publish = user.permissions >> platform_rules.PUBLIC_CHUTES_BIT & 1
    return {
        "user_id": user.user_id,
        "username": user.username,
        "hotkey": user.hotkey,
        "coldkey": user.coldkey,
        "payment_address": user.payment_address,
        "balance": user.balance,
        "permissions_bitmask": user.permissions,
        "permissions": [platform_rules.PUBLIC_CHUTES_PERMISSION] if can_publish else [],
        "created_at": format_time(user.created_at),
    }
