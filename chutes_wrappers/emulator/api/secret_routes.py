"""Routes of secrets: variables for a chute's instances. Values are never returned."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from chutes_wrappers.core import platform_checks
from chutes_wrappers.emulator.api.chute_routes import build_missing_target, match_chute
from chutes_wrappers.emulator.api.context import Caller, Platform, authenticate, platform_of
from chutes_wrappers.emulator.api.paging import Paging
from chutes_wrappers.emulator.api.payloads import JsonObject, build_page, build_secret_payload
from chutes_wrappers.emulator.tables.secret_table import Secret

router = APIRouter(prefix="/secrets", tags=["secrets"])
_Caller = Annotated[Caller, Depends(authenticate("secrets"))]
_NOT_FOUND = "Secret not found, or does not belong to you"


class NewSecret(BaseModel):
    """The request body of ``chutes secrets create``. ``purpose`` is the id or name of a chute."""

    purpose: str
    key: str
    value: str = Field(repr=False)


@router.post("/")
async def create(new_secret: NewSecret, request: Request, caller: _Caller) -> JsonObject:
    """Store a secret under the id of the chute that matches. The chute's instances get it when they start."""
    caller.require("write", "secrets")
    platform = platform_of(request)
    state, user_id = platform.state, caller.user.user_id
    if platform_checks.is_banned_secret(new_secret.key) and not platform_checks.is_exceptable_secret(new_secret.key):
        platform.reject("secret-name", 403, f"Banned secret key: {new_secret.key[:200]}")
    purpose = _resolve_purpose(platform, caller, new_secret.purpose)
    with state.transaction():
        if any(
            (secret.purpose.lower(), secret.key) == (purpose.lower(), new_secret.key)
            for secret in state.secrets.list_by_user(user_id)
        ):
            raise HTTPException(409, "A secret already exists for this purpose with this key.")
        secret = state.secrets.add(user_id=user_id, purpose=purpose, key=new_secret.key, value=new_secret.value)
    # The platform returns the value here, too; nobody needs to read what they have just sent.
    return {**build_secret_payload(secret), "user_id": user_id}


@router.get("/")
async def list_secrets(request: Request, caller: _Caller, paging: Annotated[Paging, Depends()]) -> JsonObject:
    """List the caller's secrets."""
    secrets = platform_of(request).state.secrets.list_by_user(caller.user.user_id)
    return build_page([build_secret_payload(secret) for secret in secrets], paging.page, paging.limit)


@router.get("/{secret_id}")
async def get(secret_id: str, request: Request, caller: _Caller) -> JsonObject:
    """Return one secret of the caller."""
    return build_secret_payload(_find_own_secret(platform_of(request), caller, secret_id))


@router.delete("/{secret_id}")
async def delete(secret_id: str, request: Request, caller: _Caller) -> JsonObject:
    """Delete a secret."""
    caller.require("delete", "secrets", secret_id)
    platform = platform_of(request)
    secret = _find_own_secret(platform, caller, secret_id)
    platform.state.secrets.remove(secret.secret_id)
    return {"secret_id": secret.secret_id, "status": "deleted"}


def _resolve_purpose(platform: Platform, caller: Caller, purpose: str) -> str:
    """Return the id of the chute that matches ``purpose``, as the platform lists it. Raises 404 unless that is overruled."""
    try:
        return match_chute(platform, caller, purpose).chute_id
    except HTTPException:
        missing = build_missing_target(purpose)
        platform.reject("secret-chute", missing.status_code, missing.detail)
        return purpose


def _find_own_secret(platform: Platform, caller: Caller, secret_id: str) -> Secret:
    for secret in platform.state.secrets.list_by_user(caller.user.user_id):
        if secret.secret_id == secret_id:
            return secret
    raise HTTPException(404, _NOT_FOUND)
