"""Chutes: what is deployed, and with whom it is shared."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from chutes_wrappers.emulator.api.context import Caller, Platform, authenticated, platform_of
from chutes_wrappers.emulator.api.deployment_checks import NoGpuLeft, deploy
from chutes_wrappers.emulator.api.paging import Paging
from chutes_wrappers.emulator.api.payloads import Answer, chute_answer, page_of
from chutes_wrappers.emulator.deployment_request import ChuteRequest
from chutes_wrappers.emulator.tables.chute_table import Chute

router = APIRouter(prefix="/chutes", tags=["chutes"])
_Caller = Annotated[Caller, Depends(authenticated("chutes"))]


class Share(BaseModel):
    """What ``chutes share`` sends (SDK ``entrypoint/share.py``)."""

    chute_id_or_name: str
    user_id_or_name: str


@router.post("/", response_model=None)
async def create(
    wanted: ChuteRequest, request: Request, caller: _Caller, accept_fee: bool = False
) -> Answer | Response:
    """Deploy a chute, or its next version."""
    platform = platform_of(request)
    caller.require("write", "chutes", wanted.name)
    try:
        chute = deploy(platform, caller.user, wanted, accept_fee=accept_fee)
    except NoGpuLeft:
        return PlainTextResponse("Internal Server Error", 500)
    if platform.instances is not None:
        await platform.instances.deployed(platform.state.record(chute))
    return chute_answer(platform, chute)


@router.get("/")
async def list_chutes(request: Request, caller: _Caller, paging: Annotated[Paging, Depends()]) -> Answer:
    """The caller's chutes, those that are shared with them, and the public ones where wanted; cords are told once each."""
    caller.require("read", "chutes")
    platform = platform_of(request)
    seen = [chute for chute in platform.state.chutes.every() if _is_listed(platform, caller, chute, paging)]
    answers = [chute_answer(platform, chute, with_cords=False) for chute in seen]
    page = page_of(answers, paging.page, paging.limit)
    shown = {item["cord_ref_id"] for item in page["items"]}
    return {**page, "cord_refs": {one.cord_ref_id: one.definition["cords"] for one in seen if one.cord_ref_id in shown}}


@router.post("/share")
async def share(wanted: Share, request: Request, caller: _Caller) -> dict[str, str]:
    """Let another user see and call a chute."""
    platform = platform_of(request)
    chute, user_id, username = _shared(platform, caller, wanted)
    platform.state.chutes.share(chute.chute_id, user_id)
    return {"status": f"Successfully shared chute {chute.name} with {username}"}


@router.post("/unshare")
async def unshare(wanted: Share, request: Request, caller: _Caller) -> dict[str, str]:
    """Let them do so no more."""
    platform = platform_of(request)
    chute, user_id, username = _shared(platform, caller, wanted)
    if not platform.state.chutes.unshare(chute.chute_id, user_id):
        raise HTTPException(404, f"Chute {chute.name} is not shared with {username}")
    return {"status": f"Successfully unshared chute {chute.name} with {username}"}


@router.get("/{chute_id_or_name:path}")
async def get(chute_id_or_name: str, request: Request, caller: _Caller) -> Answer:
    """One chute, by its id or name."""
    platform = platform_of(request)
    chute = found_chute(platform, caller, chute_id_or_name)
    caller.require("read", "chutes", chute.chute_id, chute.name)
    return chute_answer(platform, chute)


@router.delete("/{chute_id_or_name:path}")
async def delete(chute_id_or_name: str, request: Request, caller: _Caller) -> Answer:
    """Delete a chute, and end its instances."""
    platform = platform_of(request)
    chute = own_chute(platform, caller, chute_id_or_name)
    caller.require("delete", "chutes", chute.chute_id, chute.name)
    platform.state.chutes.remove(chute.chute_id)
    if platform.instances is not None:
        await platform.instances.removed(chute.chute_id)
    return {"chute_id": chute.chute_id, "deleted": True}


def found_chute(platform: Platform, caller: Caller, id_or_name: str) -> Chute:
    """The chute that the caller means and may see: their own of that name first; 404 without one."""
    chutes, user_id = platform.state.chutes, caller.user.user_id
    chute = chutes.by_id(id_or_name) or chutes.named(user_id, id_or_name)
    if chute is None:
        same_name = (one for one in chutes.every() if one.name.lower() == id_or_name.lower())
        chute = next((one for one in same_name if chutes.may_use(one, user_id)), None)
    if chute is None or not chutes.may_use(chute, user_id):
        raise HTTPException(404, f"Chute {id_or_name!r} not found, or does not belong to you")
    return chute


def own_chute(platform: Platform, caller: Caller, id_or_name: str) -> Chute:
    """As ``found_chute``, of the caller's own only."""
    chute = found_chute(platform, caller, id_or_name)
    if chute.user_id != caller.user.user_id:
        raise HTTPException(404, f"Chute {id_or_name!r} not found, or does not belong to you")
    return chute


def _is_listed(platform: Platform, caller: Caller, chute: Chute, paging: Paging) -> bool:
    if not paging.wants(chute.name) or not platform.state.chutes.may_use(chute, caller.user.user_id):
        return False
    return paging.include_public or not chute.public or chute.user_id == caller.user.user_id


def _shared(platform: Platform, caller: Caller, wanted: Share) -> tuple[Chute, str, str]:
    chute = own_chute(platform, caller, wanted.chute_id_or_name)
    caller.require("write", "chutes", chute.chute_id, chute.name)
    users = platform.state.users
    other = users.by_id(wanted.user_id_or_name) or users.by_name(wanted.user_id_or_name)
    if other is None:
        raise HTTPException(404, f"User {wanted.user_id_or_name!r} not found")
    return chute, other.user_id, other.username
