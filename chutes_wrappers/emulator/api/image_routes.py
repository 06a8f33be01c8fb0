"""Routes of images: upload, listing, build logs, deletion."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.datastructures import UploadFile

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator.api.context import Caller, Platform, authenticate, platform_of
from chutes_wrappers.emulator.api.paging import Paging
from chutes_wrappers.emulator.api.payloads import JsonObject, build_image_payload, build_page
from chutes_wrappers.emulator.builds import get_sdk_version
from chutes_wrappers.emulator.deployment_request import find_image_problem
from chutes_wrappers.emulator.tables.image_table import Image, Upload
from chutes_wrappers.emulator.tables.user_table import DailyAction

router = APIRouter(prefix="/images", tags=["images"])
_Caller = Annotated[Caller, Depends(authenticate("images"))]
_MAX_FIELD_BYTES = 64 * 1024**2
# SDK entrypoint/build.py: the value that means "no logo".
_NO_LOGO = "__none__"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """The form of ``chutes build`` (SDK ``entrypoint/build.py``). Its pickled ``image`` field is never read."""

    name: str
    tag: str
    readme: str
    public: bool
    logo_id: str | None
    upload: Upload


@router.post("/", status_code=202, response_model=None)
async def create(request: Request, caller: _Caller) -> JsonObject | Response:
    """Accept an image, and queue its build."""
    caller.require("write", "images")
    platform = platform_of(request)
    submission = await _parse_submission(request)
    if problem := find_image_problem(submission.name, submission.tag):
        raise HTTPException(400, problem)
    if len(submission.tag) < platform_rules.IMAGE_TAG_LENGTH[0]:
        # As on the platform, which gives no reason (PLATFORM.md, section 4).
        return PlainTextResponse("Internal Server Error", 500)
    if len(submission.readme) > platform_rules.MAX_README_LENGTH:
        raise HTTPException(400, f"The readme is longer than {platform_rules.MAX_README_LENGTH} characters")
    image = _admit_image(platform, caller, submission)
    platform.builds.submit(image.image_id)
    return build_image_payload(platform, image)


@router.get("/")
async def list_images(request: Request, caller: _Caller, paging: Annotated[Paging, Depends()]) -> JsonObject:
    """List the caller's images; public ones of others only on request."""
    platform = platform_of(request)
    images = platform.state.images.list_visible(caller.user.user_id, include_public=paging.include_public)
    payloads = [build_image_payload(platform, image) for image in images if paging.is_match(image.name)]
    return build_page(payloads, paging.page, paging.limit)


@router.get("/{image_id_or_name:path}/logs")
async def get_logs(image_id_or_name: str, request: Request, caller: _Caller, offset: int = 0) -> Response:
    """Return the build log: events after ``offset`` while the build runs, plain text when it is finished."""
    platform = platform_of(request)
    image = find_image(platform, caller, image_id_or_name)
    if image.is_build_finished:
        return PlainTextResponse("\n".join(line.line for line in platform.state.images.read_log(image.image_id)))
    return StreamingResponse(_stream_events(platform, image, offset), media_type="text/event-stream")


@router.get("/{image_id_or_name:path}")
async def get(image_id_or_name: str, request: Request, caller: _Caller) -> JsonObject:
    """Return an image by its id or as ``[user/]name:tag``."""
    platform = platform_of(request)
    image = find_image(platform, caller, image_id_or_name)
    return build_image_payload(platform, image)


@router.delete("/{image_id_or_name:path}")
async def delete(image_id_or_name: str, request: Request, caller: _Caller) -> JsonObject:
    """Delete an image that no chute uses."""
    platform = platform_of(request)
    image = find_image(platform, caller, image_id_or_name)
    caller.require("delete", "images", image.image_id, image_id_or_name)
    state = platform.state
    with state.transaction():
        if image.user_id != caller.user.user_id:
            raise HTTPException(404, _format_not_found(image_id_or_name))
        if state.chutes.list_by_image(image.image_id):
            raise HTTPException(409, "Image is in use by one or more chutes")
        if not image.is_build_finished:
            raise HTTPException(409, "Image is being built")
        state.images.remove(image.image_id)
    await asyncio.to_thread(platform.builds.remove, image)
    return {"image_id": image.image_id, "deleted": True}


def find_image(platform: Platform, caller: Caller, id_or_name: str) -> Image:
    """Return the image of this id or name that the caller can see. Raises 404 when there is none."""
    images, users = platform.state.images, platform.state.users
    image = images.find_by_id(id_or_name)
    if image is None:
        username, separator, rest = id_or_name.rpartition("/")
        name, _, tag = rest.partition(":")
        owner = users.find_by_name(username) if separator else caller.user
        image = images.find_by_name(owner.user_id, name, tag) if owner is not None else None
    if image is None or not (image.public or image.user_id == caller.user.user_id):
        raise HTTPException(404, _format_not_found(id_or_name))
    return image


def _format_not_found(id_or_name: str) -> str:
    return f"Image {id_or_name!r} not found, or does not belong to you"


def _admit_image(platform: Platform, caller: Caller, submission: Submission) -> Image:
    """Check and store an image. Raises 409, 402 or 429."""
    state, user = platform.state, caller.user
    with state.transaction():
        if state.images.find_by_name(user.user_id, submission.name, submission.tag) is not None:
            raise HTTPException(409, f"Image with name={submission.name} and tag={submission.tag} already exists")
        if user.balance < platform_rules.MIN_BUILD_BALANCE:
            minimum = f"${platform_rules.MIN_BUILD_BALANCE:g}"
            raise HTTPException(
                402, f"You must have a balance of >= {minimum} to create images; it is ${user.balance:.2f}"
            )
        if state.users.count_today(user.user_id, DailyAction.BUILD) >= platform_rules.MAX_BUILDS_PER_DAY:
            raise HTTPException(429, f"You may only build {platform_rules.MAX_BUILDS_PER_DAY} images per day")
        image = Image(
            image_id=platform_checks.compute_image_id(user.username, submission.name, submission.tag),
            user_id=user.user_id,
            name=submission.name,
            tag=submission.tag,
            readme=submission.readme,
            public=submission.public,
            logo_id=submission.logo_id,
            status=platform_rules.IMAGE_PENDING,
            reference=None,
            sdk_version=get_sdk_version(),
            created_at=state.now(),
        )
        state.images.add(image, submission.upload)
        state.users.record_action(user.user_id, DailyAction.BUILD)
    return image


async def _parse_submission(request: Request) -> Submission:
    async with request.form(max_part_size=_MAX_FIELD_BYTES) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        context = form.get("build_context")
        missing = [name for name in ("name", "tag", "dockerfile") if name not in fields]
        if not isinstance(context, UploadFile):
            missing.append("build_context")
        if missing or not isinstance(context, UploadFile):
            raise HTTPException(422, [_build_missing_field_error(name) for name in missing])
        return Submission(
            name=fields["name"],
            tag=fields["tag"],
            readme=fields.get("readme", ""),
            public=fields.get("public", "").lower() == "true",
            logo_id=None if fields.get("logo_id", _NO_LOGO) == _NO_LOGO else fields["logo_id"],
            upload=Upload(dockerfile=fields["dockerfile"], build_context=await context.read()),
        )


def _build_missing_field_error(name: str) -> Mapping[str, object]:
    return {"type": "missing", "loc": ["body", name], "msg": "Field required", "input": None}


async def _stream_events(platform: Platform, image: Image, after: int) -> AsyncIterator[str]:
    async for line in platform.builds.follow(image.image_id, after):
        yield f"data: {json.dumps({'log': line.line, 'offset': line.position})}\n\n"
    yield "DONE\n"
