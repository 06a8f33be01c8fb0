"""Secrets: variables for a chute's instances. Their values are never told again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from chutes_wrappers.emulator.api.context import Caller, Platform, authenticated, platform_of
from chutes_wrappers.emulator.api.paging import Paging
from chutes_wrappers.emulator.api.payloads import Answer, page_of, secret_answer
from chutes_wrappers.emulator.tables.secret_table import Secret

router = APIRouter(prefix="/secrets", tags=["secrets"])
_Caller = Annotated[Caller, Depends(authenticated("secrets"))]
_NOT_FOUND = "Secret not found, or does not belong to you"


class NewSecret(BaseModel):
    """What ``chutes secrets create`` sends; ``purpose`` is a chute's id or name."""

    purpose: str = Field(min_length=1)
    key: str = Field(min_length=1)
    value: str = Field(repr=False)


@router.post("/")
async def create(wanted: NewSecret, request: Request, caller: _Caller) -> Any:
    """Remember a secret, also for a chute that is still to be deployed. Instances get it from their next start on."""
    caller.require("write", "secrets")
    platform = platform_of(request)
    state, user_id = platform.state, caller.user.user_id
    with state.transaction():
        if any(
            (one.purpose.lower(), one.key) == (wanted.purpose.lower(), wanted.key) for one in state.secrets.of(user_id)
        ):
            raise HTTPException(409, f"Secret with purpose={wanted.purpose} and key={wanted.key} already exists")
        secret = state.secrets.add(user_id=user_id, purpose=wanted.purpose, key=wanted.key, value=wanted.value)
    return secret_answer(secret)


@router.get("/")
async def list_secrets(request: Request, caller: _Caller, paging: Annotated[Paging, Depends()]) -> Answer:
    """The caller's secrets."""
    caller.require("read", "secrets")
    own = platform_of(request).state.secrets.of(caller.user.user_id)
    return page_of([dict(secret_answer(secret)) for secret in own], paging.page, paging.limit)


@router.get("/{secret_id}")
async def get(secret_id: str, request: Request, caller: _Caller) -> Any:
    """One of them."""
    caller.require("read", "secrets", secret_id)
    return secret_answer(_own(platform_of(request), caller, secret_id))


@router.delete("/{secret_id}")
async def delete(secret_id: str, request: Request, caller: _Caller) -> Answer:
    """Forget one."""
    caller.require("delete", "secrets", secret_id)
    platform = platform_of(request)
    secret = _own(platform, caller, secret_id)
    platform.state.secrets.remove(secret.secret_id)
    return {"secret_id": secret.secret_id, "deleted": True}


def _own(platform: Platform, caller: Caller, secret_id: str) -> Secret:
    for secret in platform.state.secrets.of(caller.user.user_id):
        if secret.secret_id == secret_id:
            return secret
    raise HTTPException(404, _NOT_FOUND)
