"""Routes of chutes: deployment, listing, sharing, deletion."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator.api.context import Caller, Platform, authenticate, platform_of
from chutes_wrappers.emulator.api.deployment_checks import NoGpuAvailable, deploy
from chutes_wrappers.emulator.api.paging import Paging
from chutes_wrappers.emulator.api.payloads import JsonObject, build_chute_payload, build_page
from chutes_wrappers.emulator.deployment_request import ChuteRequest
from chutes_wrappers.emulator.tables.chute_table import Chute

router = APIRouter(prefix="/chutes", tags=["chutes"])
_Caller = Annotated[Caller, Depends(authenticate("chutes"))]
_OPERATOR = "chutes"  # the platform's own user


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
    """Return a chute by its id, or its exact name."""
    platform = platform_of(request)
    chute = find_chute(platform, caller, chute_id_or_name)
    return build_chute_payload(platform, chute)


@router.delete("/{chute_id:path}")
async def delete(chute_id: str, request: Request, caller: _Caller) -> JsonObject:
    """Delete a chute by its id, and end its instances."""
    if not platform_rules.OBJECT_ID.match(chute_id):
        raise HTTPException(400, "Must use chute UUID to delete.")
    platform = platform_of(request)
    chute = platform.state.chutes.find_by_id(chute_id.lower())
    if chute is None or chute.user_id != caller.user.user_id:
        raise _build_not_found(chute_id)
    caller.require("delete", "chutes", chute.chute_id, chute.name)
    platform.state.chutes.remove(chute.chute_id)
    if platform.instances is not None:
        await platform.instances.end_instances(chute.chute_id)
    return {"chute_id": chute.chute_id, "deleted": True}


def find_chute(platform: Platform, caller: Caller, id_or_name: str) -> Chute:
    """Return the chute of this id or exactly this name, of any user. Raises 404 also when the caller cannot use that one.

    Of several with the name it is the platform's, else any (PLATFORM.md, section 5): here the oldest.
    """
    chutes, users = platform.state.chutes, platform.state.users
    chute = chutes.find_by_id(id_or_name.lower())
    if chute is None:
        same_name = [candidate for candidate in chutes.list_oldest_first() if candidate.name == id_or_name]
        operator = users.find_by_name(_OPERATOR)
        of_platform = (one for one in same_name if operator is not None and one.user_id == operator.user_id)
        chute = next(of_platform, None) or next(iter(same_name), None)
    if chute is None or not chutes.can_use(chute, caller.user.user_id):
        raise _build_not_found(id_or_name)
    return chute


def match_chute(platform: Platform, caller: Caller, id_or_pattern: str) -> Chute:
    """Return the chute of this id, else one that the caller can use and whose name matches, their own first. Raises 404.

    Case is ignored, and "_" and "%" are wildcards (PLATFORM.md, section 5).
    """
    chutes, user_id = platform.state.chutes, caller.user.user_id
    chute = chutes.find_by_id(id_or_pattern.lower()) or chutes.find_by_pattern(user_id, id_or_pattern)
    if chute is None:
        matches = (
            candidate
            for candidate in chutes.list_oldest_first()
            if platform_checks.is_name_pattern_match(id_or_pattern, candidate.name)
        )
        chute = next((candidate for candidate in matches if chutes.can_use(candidate, user_id)), None)
    if chute is None or not chutes.can_use(chute, user_id):
        raise _build_not_found(id_or_pattern)
    return chute


def match_own_chute(platform: Platform, caller: Caller, id_or_pattern: str) -> Chute:
    """Return the chute that ``match_chute`` returns. Raises 404 when it is not the caller's own."""
    chute = match_chute(platform, caller, id_or_pattern)
    if chute.user_id != caller.user.user_id:
        raise _build_not_found(id_or_pattern)
    return chute


def _build_not_found(id_or_name: str) -> HTTPException:
    return HTTPException(404, f"Chute {id_or_name!r} not found, or does not belong to you")


def _is_listed(platform: Platform, caller: Caller, chute: Chute, paging: Paging) -> bool:
    if not paging.is_match(chute.name) or not platform.state.chutes.can_use(chute, caller.user.user_id):
        return False
    return paging.include_public or not chute.public or chute.user_id == caller.user.user_id


def _resolve_share(platform: Platform, caller: Caller, share_request: ShareRequest) -> tuple[Chute, str, str]:
    chute = match_own_chute(platform, caller, share_request.chute_id_or_name)
    caller.require("write", "chutes", chute.chute_id, chute.name)
    users = platform.state.users
    recipient = users.find_by_id(share_request.user_id_or_name) or users.find_by_pattern(share_request.user_id_or_name)
    if recipient is None:
        raise HTTPException(404, f"User {share_request.user_id_or_name!r} not found")
    return chute, recipient.user_id, recipient.username
