"""Routes of API keys."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from chutes_wrappers.emulator.api.context import Caller, Platform, authenticate, platform_of
from chutes_wrappers.emulator.api.paging import Paging
from chutes_wrappers.emulator.api.payloads import JsonObject, build_key_payload, build_page
from chutes_wrappers.emulator.tables.key_table import ApiKey, Scope

router = APIRouter(prefix="/api_keys", tags=["api_keys"])
_Caller = Annotated[Caller, Depends(authenticate("api_keys"))]


class NewScope(BaseModel):
    """One permission of a key (SDK ``entrypoint/api_key.py``)."""

    object_type: str
    object_id: str | None = None
    action: Literal["read", "write", "delete", "invoke"] | None = None


class NewKey(BaseModel):
    """The request body of ``chutes keys create``."""

    name: str = Field(min_length=1, max_length=128)
    admin: bool = False
    scopes: list[NewScope] = []


@router.post("/")
async def create(new_key: NewKey, request: Request, caller: _Caller) -> JsonObject:
    """Create a key. Its secret is in this response only."""
    caller.require("write", "api_keys")
    state = platform_of(request).state
    with state.transaction():
        if any(key.name == new_key.name for key in state.api_keys.list_by_user(caller.user.user_id)):
            raise HTTPException(409, f"API key with name={new_key.name} already exists")
        key, secret = state.api_keys.add(
            user_id=caller.user.user_id,
            name=new_key.name,
            admin=new_key.admin,
            scopes=[Scope(**scope.model_dump()) for scope in new_key.scopes],
        )
    return {**build_key_payload(key), "secret_key": secret}


@router.get("/")
async def list_keys(request: Request, caller: _Caller, paging: Annotated[Paging, Depends()]) -> JsonObject:
    """List the caller's keys."""
    caller.require("read", "api_keys")
    keys = platform_of(request).state.api_keys.list_by_user(caller.user.user_id)
    return build_page([build_key_payload(key) for key in keys if paging.is_match(key.name)], paging.page, paging.limit)


@router.get("/{name_or_id}")
async def get(name_or_id: str, request: Request, caller: _Caller) -> JsonObject:
    """Return one key of the caller."""
    caller.require("read", "api_keys", name_or_id)
    return build_key_payload(_find_own_key(platform_of(request), caller, name_or_id))


@router.delete("/{name_or_id}")
async def delete(name_or_id: str, request: Request, caller: _Caller) -> JsonObject:
    """Delete a key."""
    caller.require("delete", "api_keys", name_or_id)
    platform = platform_of(request)
    key = _find_own_key(platform, caller, name_or_id)
    platform.state.api_keys.remove(key.api_key_id)
    return {"api_key_id": key.api_key_id, "deleted": True}


def _find_own_key(platform: Platform, caller: Caller, name_or_id: str) -> ApiKey:
    key = platform.state.api_keys.find(caller.user.user_id, name_or_id)
    if key is None:
        raise HTTPException(404, "API key not found, or does not belong to you")
    return key
