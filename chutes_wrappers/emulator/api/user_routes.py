"""Registration, and who I am."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.api.context import Caller, authenticated, platform_of
from chutes_wrappers.emulator.api.payloads import Answer, moment
from chutes_wrappers.emulator.signatures import Unauthorized, is_address, signer
from chutes_wrappers.emulator.tables.user_table import User

router = APIRouter(tags=["users"])


class Registration(BaseModel):
    """What ``chutes register`` sends (SDK ``entrypoint/register.py``)."""

    username: str
    coldkey: str


@router.get("/ping")
async def ping() -> dict[str, str]:
    """Whether the platform is there."""
    return {"message": "pong"}


@router.post("/users/register")
async def register(wanted: Registration, request: Request) -> Answer:
    """Register the hotkey that signed; its token was checked before (``emulator/admission.py``)."""
    platform = platform_of(request)
    state = platform.state
    try:
        signed = signer(request.headers, body=await request.body(), purpose="register", now=state.now())
    except Unauthorized as problem:
        raise HTTPException(401, str(problem)) from problem
    if not platform_rules.USERNAME.match(wanted.username):
        raise HTTPException(400, "Invalid username: 3-15 characters, alphanumeric and underscore only")
    if not is_address(wanted.coldkey):
        raise HTTPException(400, "Invalid coldkey")
    with state.transaction():
        if state.users.by_name(wanted.username) is not None:
            raise HTTPException(409, f"Username {wanted.username} already exists, sorry!")
        if state.users.by_hotkey(signed.hotkey) is not None:
            raise HTTPException(409, "This hotkey is already registered to a user!")
        user, fingerprint = state.users.add(
            username=wanted.username,
            hotkey=signed.hotkey,
            coldkey=wanted.coldkey,
            balance=platform.new_accounts.balance,
            permissions=platform.new_accounts.permissions,
        )
    return {**_answer(user), "fingerprint": fingerprint}


@router.get("/users/me")
async def me(caller: Annotated[Caller, Depends(authenticated("me"))]) -> Answer:
    """Who asks, and what they have and may."""
    return _answer(caller.user)


def _answer(user: User) -> dict[str, Any]:
    may_publish = user.permissions >> platform_rules.PUBLIC_CHUTES_BIT & 1
    return {
        "user_id": user.user_id,
        "username": user.username,
        "hotkey": user.hotkey,
        "coldkey": user.coldkey,
        "payment_address": user.payment_address,
        "balance": user.balance,
        "permissions_bitmask": user.permissions,
        "permissions": [platform_rules.PUBLIC_CHUTES_PERMISSION] if may_publish else [],
        "created_at": moment(user.created_at),
    }
