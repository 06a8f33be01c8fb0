"""Routes of chutes: deployment, listing, sharing, deletion."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from chutes_wrappers.emulator.api.context import Caller, Platform, authenticate, platform_of
from chutes_wrappers.emulator.api.deployment_checks import NoGpuAvailable, deploy
from chutes_wrappers.emulator.api.paging import Paging
from chutes_wrappers.emulator.api.payloads import JsonObject, build_chute_payload, build_page
from chutes_wrappers.emulator.deployment_request import ChuteRequest
from chutes_wrappers.emulator.tables.chute_table import Chute

router = APIRouter(prefix="/chutes", tags=["chutes"])
_Caller = Annotated[Caller, Depends(authenticate("chutes"))]


class ShareRequest(BaseModel):
    """The request body of ``chutes share`` (SDK ``entrypoint/share.py``)."""

    chute_id_or_name: str
    user_id_or_name: str


@router.post("/", response_model=None)
async def create(
    deployment: ChuteRequest, request: Request, caller: _Caller, accept_fee: bool = False
) -> JsonObject | Response:
    """Deploy a new chute, or the next version of one."""
    platform = platform_of(request)
    caller.require("write", "chutes", deployment.name)
    try:
        chute = deploy(platform, caller.user, deployment, accept_fee=accept_fee)
    except NoGpuAvailable:
        return PlainTextResponse("Internal Server Error", 500)
    if platform.instances is not None:
        await platform.instances.replace_instances(platform.state.build_record(chute))
    return build_chute_payload(platform, chute)


@router.get("/")
async def list_chutes(request: Request, caller: _Caller, paging: Annotated[Paging, Depends()]) -> JsonObject:
    """List the chutes that the caller can use; public ones only on request. Equal lists of cords are returned once."""
    platform = platform_of(request)
    chutes = [chute for chute in platform.state.chutes.list_all() if _is_listed(platform, caller, chute, paging)]
    payloads = [build_chute_payload(platform, chute, with_cords=False) for chute in chutes]
    page = build_page(payloads, paging.page, paging.limit)
    shown_ref_ids = {item["cord_ref_id"] for item in page["items"]}
    return {
        **page,
        "cord_refs": {
            chute.cord_ref_id: chute.definition["cords"] for chute in chutes if chute.cord_ref_id in shown_ref_ids
        },
    }


@router.post("/share")
async def share(share_request: ShareRequest, request: Request, caller: _Caller) -> dict[str, str]:
    """Share a chute: another user can see and call it."""
    platform = platform_of(request)
    chute, user_id, username = _resolve_share(platform, caller, share_request)
    platform.state.chutes.share(chute.chute_id, user_id)
    return {"status": f"Successfully shared chute {chute.name} with {username}"}


@router.post("/unshare")
async def unshare(share_request: ShareRequest, request: Request, caller: _Caller) -> dict[str, str]:
    """Stop sharing a chute with a user."""
    platform = platform_of(request)
    chute, user_id, username = _resolve_share(platform, caller, share_request)
    if not platform.state.chutes.unshare(chute.chute_id, user_id):
        raise HTTPException(404, f"Chute {chute.name} is not shared with {username}")
    return {"status": f"Successfully unshared chute {chute.name} with {username}"}


@router.get("/{chute_id_or_name:path}")
async def get(chute_id_or_name: str, request: Request, caller: _Caller) -> JsonObject:
    """Return a chute by its id or name."""
    platform = platform_of(request)
    chute = find_chute(platform, caller, chute_id_or_name)
    return build_chute_payload(platform, chute)


@router.delete("/{chute_id_or_name:path}")
async def delete(chute_id_or_name: str, request: Request, caller: _Caller) -> JsonObject:
    """Delete a chute, and end its instances."""
    platform = platform_of(request)
    chute = find_own_chute(platform, caller, chute_id_or_name)
    caller.require("delete", "chutes", chute.chute_id, chute.name)
    platform.state.chutes.remove(chute.chute_id)
    if platform.instances is not None:
        await platform.instances.end_instances(chute.chute_id)
    return {"chute_id": chute.chute_id, "deleted": True}


def find_chute(platform: Platform, caller: Caller, id_or_name: str) -> Chute:
    """Return the chute of this id or name that the caller can use, their own first. Raises 404 when there is none."""
    chutes, user_id = platform.state.chutes, caller.user.user_id
    chute = chutes.find_by_id(id_or_name) or chutes.find_by_name(user_id, id_or_name)
    if chute is None:
        same_name = (candidate for candidate in chutes.list_all() if candidate.name.lower() == id_or_name.lower())
        chute = next((candidate for candidate in same_name if chutes.can_use(candidate, user_id)), None)
    if chute is None or not chutes.can_use(chute, user_id):
        raise HTTPException(404, f"Chute {id_or_name!r} not found, or does not belong to you")
    return chute


def find_own_chute(platform: Platform, caller: Caller, id_or_name: str) -> Chute:
    """Return the caller's own chute of this id or name. Raises 404 when there is none."""
    chute = find_chute(platform, caller, id_or_name)
    if chute.user_id != caller.user.user_id:
        raise HTTPException(404, f"Chute {id_or_name!r} not found, or does not belong to you")
    return chute


def _is_listed(platform: Platform, caller: Caller, chute: Chute, paging: Paging) -> bool:
    if not paging.is_match(chute.name) or not platform.state.chutes.can_use(chute, caller.user.user_id):
        return False
    return paging.include_public or not chute.public or chute.user_id == caller.user.user_id


def _resolve_share(platform: Platform, caller: Caller, share_request: ShareRequest) -> tuple[Chute, str, str]:
    chute = find_own_chute(platform, caller, share_request.chute_id_or_name)
    caller.require("write", "chutes", chute.chute_id, chute.name)
    users = platform.state.users
    recipient = users.find_by_id(share_request.user_id_or_name) or users.find_by_name(share_request.user_id_or_name)
    if recipient is None:
        raise HTTPException(404, f"User {share_request.user_id_or_name!r} not found")
    return chute, recipient.user_id, recipient.username
