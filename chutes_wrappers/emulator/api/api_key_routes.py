"""Routes of API keys."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel

from chutes_wrappers.core import platform_rules
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

    name: str
    admin: bool
    scopes: list[NewScope] = []


@router.post("/")
async def create(new_key: NewKey, request: Request, caller: _Caller) -> JsonObject:
    """Create a key. Its secret is in this response only."""
    caller.require("write", "api_keys")
    _check(new_key)
    state = platform_of(request).state
    with state.transaction():
        if any(key.name == new_key.name for key in state.api_keys.list_by_user(caller.user.user_id)):
            raise HTTPException(409, "An API key already exists with this name")
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
    keys = platform_of(request).state.api_keys.list_by_user(caller.user.user_id)
    return build_page([build_key_payload(key) for key in keys if paging.is_match(key.name)], paging.page, paging.limit)


@router.get("/{key_id}")
async def get(key_id: str, request: Request, caller: _Caller) -> JsonObject:
    """Return one key of the caller by its id; a name is not found, although the SDK's help offers it."""
    key = platform_of(request).state.api_keys.find(caller.user.user_id, key_id)
    if key is None or key.api_key_id != key_id:
        raise HTTPException(404, f"API key with id {key_id} not found or doesn't belong to you")
    return build_key_payload(key)


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


def _check(new_key: NewKey) -> None:
    if not platform_rules.API_KEY_NAME.match(new_key.name):
        raise HTTPException(
            400,
            "Invalid request: API key name should start with alphanumeric character and contain up to 32 total allowed "
            "characters (letters, numbers, dashes, underscores)",
        )
    if any(scope.object_type not in platform_rules.API_KEY_OBJECT_TYPES for scope in new_key.scopes):
        types = ", ".join(platform_rules.API_KEY_OBJECT_TYPES)
        raise HTTPException(400, f"Invalid request: Invalid object_type, must be one of {types}")
