"""Routes of images: upload, listing, build logs, deletion."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.datastructures import UploadFile

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator.api.context import Caller, Platform, authenticate, platform_of
from chutes_wrappers.emulator.api.paging import Paging
from chutes_wrappers.emulator.api.payloads import JsonObject, build_image_payload, build_page
from chutes_wrappers.emulator.tables.image_table import Image, Images, Upload
from chutes_wrappers.emulator.tables.user_table import DailyAction, User

router = APIRouter(prefix="/images", tags=["images"])
_Caller = Annotated[Caller, Depends(authenticate("images"))]
_MAX_FIELD_BYTES = 64 * 1024**2
# SDK entrypoint/build.py: the value that means "no logo".
_NO_LOGO = "__none__"
_SDK_VERSION_HEADER = "X-Chutes-Version"
_REQUIRED_FIELDS = ("username", "name", "tag", "readme", "dockerfile")
_NOT_FOUND = "Image not found, or does not belong to you"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """The form of ``chutes build`` (SDK ``entrypoint/build.py``). Its pickled ``image`` field is never read."""

    username: str
    name: str
    tag: str
    readme: str
    public: bool
    logo_id: str | None
    upload: Upload


@router.post("/", status_code=202)
async def create(request: Request, caller: _Caller) -> JsonObject:
    """Accept an image, and queue its build."""
    caller.require("write", "images")
    platform = platform_of(request)
    submission = await _parse_submission(request)
    image = _admit_image(platform, caller.user, submission, sdk_version=request.headers.get(_SDK_VERSION_HEADER, ""))
    platform.builds.submit(image.image_id)
    return build_image_payload(platform, image)


@router.get("/")
async def list_images(request: Request, caller: _Caller, paging: Annotated[Paging, Depends()]) -> JsonObject:
    """List the caller's images; public ones of others only on request."""
    platform = platform_of(request)
    images = platform.state.images.list_visible(caller.user.user_id, include_public=paging.include_public)
    payloads = [build_image_payload(platform, image) for image in images if paging.is_match(image.name)]
    return build_page(payloads, paging.page, paging.limit)


@router.get("/{image_id:path}/logs")
async def get_logs(image_id: str, request: Request, caller: _Caller, offset: int = 0) -> Response:
    """Return the build log: events after ``offset`` while the build runs, plain text when it is finished. Knows ids only."""
    platform = platform_of(request)
    image = platform.state.images.find_by_id(image_id)
    if image is None or not _can_see(image, caller.user):
        raise HTTPException(404, _NOT_FOUND)
    if image.is_build_finished:
        return PlainTextResponse("\n".join(line.line for line in platform.state.images.read_log(image.image_id)))
    return StreamingResponse(_stream_events(platform, image, offset), media_type="text/event-stream")


@router.get("/{image_id_or_name:path}")
async def get(image_id_or_name: str, request: Request, caller: _Caller) -> JsonObject:
    """Return an image by its id or as ``[user/]name:tag``."""
    platform = platform_of(request)
    image = find_image(platform, caller.user, image_id_or_name)
    if image is None:
        raise HTTPException(404, _NOT_FOUND)
    return build_image_payload(platform, image)


@router.delete("/{image_id_or_name:path}")
async def delete(image_id_or_name: str, request: Request, caller: _Caller) -> JsonObject:
    """Delete an image that no chute uses."""
    platform = platform_of(request)
    image = find_image(platform, caller.user, image_id_or_name)
    if image is None or image.user_id != caller.user.user_id:
        raise HTTPException(404, _NOT_FOUND)
    caller.require("delete", "images", image.image_id, image_id_or_name)
    state = platform.state
    with state.transaction():
        if state.chutes.list_by_image(image.image_id):
            raise HTTPException(409, "Image is in use by one or more chutes")
        if not image.is_build_finished:
            raise HTTPException(409, "Image is being built")
        state.images.remove(image.image_id)
    await asyncio.to_thread(platform.builds.remove, image)
    return {"image_id": image.image_id, "deleted": True}


def find_image(platform: Platform, user: User, id_or_name: str) -> Image | None:
    """Return the image that a user can see by its id, or by exactly its ``[user/]name:tag``; or None."""
    images, users = platform.state.images, platform.state.users
    image = images.find_by_id(id_or_name.lower()) or _find_named(images, user, id_or_name)
    if image is None and "/" in id_or_name:
        username, _, rest = id_or_name.partition("/")
        owner = users.find_by_name(username)
        image = _find_named(images, owner, rest) if owner is not None else None
    return image if image is not None and _can_see(image, user) else None


def _find_named(images: Images, owner: User, text: str) -> Image | None:
    name, _, tag = text.rpartition(":")
    image = images.find_by_name(owner.user_id, name, tag)
    return image if image is not None and (image.name, image.tag) == (name, tag) else None


def _can_see(image: Image, user: User) -> bool:
    return image.public or image.user_id == user.user_id


def _admit_image(platform: Platform, user: User, submission: Submission, *, sdk_version: str) -> Image:
    """Check and store an image, in the API's order. Raises 401, 429, 400, 402, 409, or 500 (api, section 4)."""
    state = platform.state
    if submission.username.lower() != user.username.lower():
        platform.reject("username", 401, "Cannot make images for users other than yourself!")
    with state.transaction():
        if state.users.count_today(user.user_id, DailyAction.BUILD) >= platform_rules.MAX_BUILDS_PER_DAY:
            detail = f"You may only build {platform_rules.MAX_BUILDS_PER_DAY} images per day"
            platform.reject("build-limit", 429, detail)
        if not platform_checks.is_supported_sdk(sdk_version):
            minimum = ".".join(map(str, platform_rules.MIN_SDK_VERSION))
            platform.reject(
                "sdk-version", 400, f"Unable to build with chutes {sdk_version[:50]!r}: it must be >= {minimum}"
            )
        if user.balance < platform_rules.MIN_BUILD_BALANCE:
            detail = f"You must have a balance of >= ${platform_rules.MIN_BUILD_BALANCE:g} to create images."
            platform.reject("build-balance", 402, detail)
        _check_is_new(platform, user, submission)
        _check_names(platform, submission)
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
            sdk_version=platform_rules.PLATFORM_SDK_VERSION,
            created_at=state.now(),
        )
        state.images.add(image, submission.upload)
        state.users.record_action(user.user_id, DailyAction.BUILD)
    return image


def _check_is_new(platform: Platform, user: User, submission: Submission) -> None:
    """Reject an image of the same name and tag in any case: it is one image for the platform. Overruled, it is replaced."""
    images = platform.state.images
    if (existing := images.find_by_name(user.user_id, submission.name, submission.tag)) is not None:
        name, tag = submission.name, submission.tag
        platform.reject(
            "image-exists", 409, f"Image with name={name!r} and tag={tag!r} aready exists"
        )  # the API's spelling
        images.remove(existing.image_id)


def _check_names(platform: Platform, submission: Submission) -> None:
    """Reject a name or tag, as the API does: it gives no reason."""
    for rule, pattern, text, (shortest, longest) in (
        ("image-name", platform_rules.API_IMAGE_NAME, submission.name, platform_rules.IMAGE_NAME_LENGTH),
        ("image-tag", platform_rules.IMAGE_NAME, submission.tag, platform_rules.IMAGE_TAG_LENGTH),
    ):
        if not pattern.match(text) or not shortest <= len(text) <= longest:
            platform.reject(rule, 500, f"{text[:100]!r} is not a valid name")


async def _parse_submission(request: Request) -> Submission:
    async with request.form(max_part_size=_MAX_FIELD_BYTES) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        context = form.get("build_context")
        missing = [name for name in _REQUIRED_FIELDS if name not in fields]
        if not isinstance(context, UploadFile):
            missing.append("build_context")
        if missing or not isinstance(context, UploadFile):
            raise HTTPException(422, [_build_missing_field_error(name) for name in missing])
        return Submission(
            username=fields["username"],
            name=fields["name"],
            tag=fields["tag"],
            readme=fields["readme"],
            public=fields.get("public", "").lower() == "true",
            logo_id=None if fields.get("logo_id", _NO_LOGO) == _NO_LOGO else fields["logo_id"],
            upload=Upload(dockerfile=fields["dockerfile"], build_context=await context.read()),
        )


def _build_missing_field_error(name: str) -> Mapping[str, object]:
    return {"type": "missing", "loc": ["body", name], "msg": "Field required", "input": None}


async def _stream_events(platform: Platform, image: Image, after: int) -> AsyncGenerator[str, None]:
    async for line in platform.builds.follow(image.image_id, after):
        yield f"data: {json.dumps({'log': line.line, 'offset': line.position})}\n\n"
    yield "DONE\n"
    memory = platform.memory
    while memory.limits.log_dot_s:  # as on the platform, the stream does not end (section 5)
        await memory.clock.sleep(memory.limits.log_dot_s)
        yield ".\n"
