"""Routes of chutes: deployment, listing, changes, sharing, deletion."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import PlainTextResponse
from pydantic import AfterValidator, BaseModel

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator.api.context import (
    Caller,
    Platform,
    authenticate,
    authenticate_if_known,
    platform_of,
)
from chutes_wrappers.emulator.api.deployment_checks import check_mutable, deploy
from chutes_wrappers.emulator.api.paging import Paging
from chutes_wrappers.emulator.api.payloads import JsonObject, build_chute_payload, build_page
from chutes_wrappers.emulator.deployment_request import ChuteRequest, limit_length, limit_number
from chutes_wrappers.emulator.tables.chute_table import Chute
from chutes_wrappers.emulator.tables.user_table import DailyAction

router = APIRouter(prefix="/chutes", tags=["chutes"])
_Caller = Annotated[Caller, Depends(authenticate("chutes"))]
_AnyCaller = Annotated[Caller | None, Depends(authenticate_if_known("chutes"))]
_OPERATOR = "chutes"  # the platform's own user
_NOT_FOUND = "Chute not found, or does not belong to you"
_RANGES = platform_rules.CHUTE_RANGES


class ShareRequest(BaseModel):
    """The request body of ``chutes share`` (SDK ``entrypoint/share.py``)."""

    chute_id_or_name: str
    user_id_or_name: str


class ChangeRequest(BaseModel):
    """What can be changed without a new version (api, PLATFORM.md, section 5). None changes nothing."""

    tagline: Annotated[str | None, AfterValidator(limit_length("text-length", platform_rules.MAX_TAGLINE_LENGTH))] = (
        None
    )
    readme: Annotated[str | None, AfterValidator(limit_length("text-length", platform_rules.MAX_README_LENGTH))] = None
    tool_description: str | None = None
    logo_id: str | None = None
    max_instances: Annotated[int | None, AfterValidator(limit_number(*_RANGES["max_instances"]))] = None
    scaling_threshold: Annotated[float | None, AfterValidator(limit_number(*_RANGES["scaling_threshold"]))] = None
    shutdown_after_seconds: Annotated[int | None, AfterValidator(limit_number(*_RANGES["shutdown_after_seconds"]))] = (
        None
    )
    disabled: bool | None = None


@router.post("/")
async def create(deployment: ChuteRequest, request: Request, caller: _Caller, accept_fee: bool = False) -> JsonObject:
    """Deploy a new chute, which is cold, or the next version of one."""
    platform = platform_of(request)
    caller.require("write", "chutes", deployment.name)
    chute = deploy(platform, caller.user, deployment, accept_fee=accept_fee)
    if platform.instances is not None and not chute.is_disabled:
        await platform.instances.update(platform.state.build_record(chute))
    return build_chute_payload(platform, chute)


@router.get("/")
async def list_chutes(request: Request, caller: _AnyCaller, paging: Annotated[Paging, Depends()]) -> JsonObject:
    """List the chutes that the caller can use; public ones only on request, but without an account public ones only.

    Equal lists of cords are returned once.
    """
    platform = platform_of(request)
    key = ("chutes", caller.user.user_id if caller else "", paging)
    if (stale := platform.memory.recall(key)) is not None:
        return dict(stale)
    chutes = [chute for chute in platform.state.chutes.list_all() if _is_listed(platform, caller, chute, paging)]
    page = build_page(
        [build_chute_payload(platform, chute, with_cords=False) for chute in chutes], paging.page, paging.limit
    )
    shown_ref_ids = {item["cord_ref_id"] for item in page["items"]}
    page["cord_refs"] = {
        chute.cord_ref_id: chute.definition["cords"] for chute in chutes if chute.cord_ref_id in shown_ref_ids
    }
    platform.memory.remember(key, page, platform.memory.limits.chute_list_s)
    return page


@router.post("/share")
async def share(share_request: ShareRequest, request: Request, caller: _Caller) -> dict[str, str]:
    """Share a chute: another user can see and call it."""
    platform = platform_of(request)
    chute, user_id, username = _resolve_share(platform, caller, share_request)
    if user_id == caller.user.user_id:
        raise HTTPException(400, "Cannot share a chute with yourself")
    platform.state.chutes.share(chute.chute_id, user_id)
    return {"status": f"Successfully shared chute {chute.name} with {username}"}


@router.post("/unshare")
async def unshare(share_request: ShareRequest, request: Request, caller: _Caller) -> dict[str, str]:
    """Stop sharing a chute with a user; also when it was not shared."""
    platform = platform_of(request)
    chute, user_id, username = _resolve_share(platform, caller, share_request)
    platform.state.chutes.unshare(chute.chute_id, user_id)
    return {"status": f"Successfully unshared chute {chute.name} with {username}"}


@router.get("/code/{chute_id}")
async def get_code(chute_id: str, request: Request, caller: _AnyCaller) -> PlainTextResponse:
    """Return the source of a chute's module as text."""
    chute = platform_of(request).state.chutes.find_by_id(chute_id.lower())
    if chute is None or not _can_use(platform_of(request), caller, chute):
        raise HTTPException(404, _NOT_FOUND)
    return PlainTextResponse(chute.definition["code"])


@router.get("/{chute_id_or_name:path}")
async def get(chute_id_or_name: str, request: Request, caller: _AnyCaller) -> JsonObject:
    """Return a chute by its id, or its exact name."""
    platform = platform_of(request)
    return build_chute_payload(platform, find_chute(platform, caller, chute_id_or_name))


@router.put("/{chute_id_or_name:path}")
async def change(chute_id_or_name: str, changes: ChangeRequest, request: Request, caller: _Caller) -> JsonObject:
    """Change a deployed chute without a new version. ``disabled`` ends its instances, and closes or opens it for calls."""
    platform = platform_of(request)
    chute = find_chute(platform, caller, chute_id_or_name)
    if chute.user_id != caller.user.user_id:
        raise HTTPException(404, _NOT_FOUND)
    caller.require("write", "chutes", chute.chute_id, chute.name)
    check_mutable(platform, chute)
    # shutdown_after_seconds is validated and ignored, and texts cannot be cleared (PLATFORM.md, section 5).
    values = changes.model_dump(exclude={"shutdown_after_seconds"})
    chute = platform.state.chutes.change(
        chute, {name: value for name, value in values.items() if value not in (None, "")}
    )
    if platform.instances is not None:
        platform.instances.register(platform.state.build_record(chute))
        if chute.is_disabled:
            await platform.instances.end_instances(chute.chute_id, "the chute was disabled")
    return build_chute_payload(platform, chute)


@router.delete("/{chute_id:path}")
async def delete(chute_id: str, request: Request, caller: _Caller) -> JsonObject:
    """Delete a chute by its id, and end its instances.

    It counts for the day's limit of deployments (PLATFORM.md, section 4); nothing says that a deletion is refused itself.
    """
    platform = platform_of(request)
    if not platform_rules.OBJECT_ID.match(chute_id):
        platform.reject("delete-by-id", 400, "Must use chute UUID to delete.")
        chute_id = match_own_chute(platform, caller, chute_id).chute_id  # overruled
    chute = platform.state.chutes.find_by_id(chute_id.lower())
    if chute is None or chute.user_id != caller.user.user_id:
        raise HTTPException(404, _NOT_FOUND)
    caller.require("delete", "chutes", chute.chute_id, chute.name)
    with platform.state.transaction():
        platform.state.users.record_action(caller.user.user_id, DailyAction.CHUTE)
        platform.state.chutes.remove(chute.chute_id)
    if platform.instances is not None:
        await platform.instances.remove(chute.chute_id)
    return {"chute_id": chute.chute_id, "deleted": True}


def find_chute(platform: Platform, caller: Caller | None, id_or_name: str) -> Chute:
    """Return the chute of this id or exactly this name (or ``USER/NAME``), of any user. Raises 404 also when the caller cannot use that one.

    Of several with the name it is the platform's, else any (PLATFORM.md, section 5): here the oldest.
    """
    memory, key = platform.memory, ("missing chute", id_or_name)
    chute = None if memory.recall(key) else _find_exactly(platform, id_or_name)
    if chute is None:
        memory.remember(key, True, memory.limits.missing_chute_s)
    if chute is None or not _can_use(platform, caller, chute):
        raise HTTPException(404, _NOT_FOUND)
    return chute


def match_chute(platform: Platform, caller: Caller, id_or_pattern: str) -> Chute:
    """Return the chute of this id, else one that the caller can use and whose name matches, their own first. Raises 404.

    Case is ignored, "_" and "%" are wildcards, and the owner's name may come first, with a "/" (PLATFORM.md, section 5).
    """
    chutes, user_id = platform.state.chutes, caller.user.user_id
    chute = chutes.find_by_id(id_or_pattern.lower()) or chutes.find_by_pattern(user_id, id_or_pattern)
    if chute is None:
        matches = (each for each in chutes.list_oldest_first() if _is_match(platform, id_or_pattern, each))
        chute = next((candidate for candidate in matches if chutes.can_use(candidate, user_id)), None)
    if chute is None or not chutes.can_use(chute, user_id):
        raise HTTPException(404, _NOT_FOUND)
    return chute


def match_own_chute(platform: Platform, caller: Caller, id_or_pattern: str) -> Chute:
    """Return the chute that ``match_chute`` returns. Raises 404 when it is not the caller's own."""
    chute = match_chute(platform, caller, id_or_pattern)
    if chute.user_id != caller.user.user_id:
        raise HTTPException(404, _NOT_FOUND)
    return chute


def build_missing_target(id_or_pattern: str) -> HTTPException:
    """Return the error of the routes that name a chute in their body: shares and secrets."""
    return HTTPException(404, f"Did not find target chute {id_or_pattern[:200]}, or it does not belong to you")


def _find_exactly(platform: Platform, id_or_name: str) -> Chute | None:
    chutes, operator = platform.state.chutes, platform.state.users.find_by_name(_OPERATOR)
    if (chute := chutes.find_by_id(id_or_name.lower())) is not None:
        return chute
    same_name = [candidate for candidate in chutes.list_oldest_first() if candidate.name == id_or_name]
    of_platform = (one for one in same_name if operator is not None and one.user_id == operator.user_id)
    return next(of_platform, None) or next(iter(same_name), None) or _find_of_user(platform, id_or_name)


def _find_of_user(platform: Platform, full_name: str) -> Chute | None:
    """Return the chute of ``USER/NAME``; observed in 2025, and no newer source says otherwise."""
    username, _, name = full_name.partition("/")
    owner = platform.state.users.find_by_name(username)
    own = (chute for chute in platform.state.chutes.list_oldest_first() if owner and chute.user_id == owner.user_id)
    return next((chute for chute in own if chute.name == name), None)


def _is_match(platform: Platform, pattern: str, chute: Chute) -> bool:
    owner = platform.state.users.find_by_id(chute.user_id)
    username, _, rest = pattern.partition("/")
    return platform_checks.is_name_pattern_match(pattern, chute.name) or (
        owner is not None
        and owner.username.lower() == username.lower()
        and platform_checks.is_name_pattern_match(rest, chute.name)
    )


def _can_use(platform: Platform, caller: Caller | None, chute: Chute) -> bool:
    return platform.state.chutes.can_use(chute, caller.user.user_id) if caller is not None else chute.public


def _is_listed(platform: Platform, caller: Caller | None, chute: Chute, paging: Paging) -> bool:
    if not paging.is_match(chute.name) or not _can_use(platform, caller, chute):
        return False
    return caller is None or paging.include_public or not chute.public or chute.user_id == caller.user.user_id


def _resolve_share(platform: Platform, caller: Caller, share_request: ShareRequest) -> tuple[Chute, str, str]:
    try:
        chute = match_own_chute(platform, caller, share_request.chute_id_or_name)
    except HTTPException as error:
        raise build_missing_target(share_request.chute_id_or_name) from error
    caller.require("write", "chutes", chute.chute_id, chute.name)
    users = platform.state.users
    recipient = users.find_by_id(share_request.user_id_or_name) or users.find_by_pattern(share_request.user_id_or_name)
    if recipient is None:
        raise HTTPException(404, "Could not find target user to share with")
    return chute, recipient.user_id, recipient.username
