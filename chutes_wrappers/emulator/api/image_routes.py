"""Images: their upload, their builds, and what builds say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.datastructures import UploadFile

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.api.context import Caller, Platform, authenticated, platform_of
from chutes_wrappers.emulator.api.paging import Paging
from chutes_wrappers.emulator.api.payloads import Answer, image_answer, page_of
from chutes_wrappers.emulator.builds import sdk_version
from chutes_wrappers.emulator.deployment_request import image_problem
from chutes_wrappers.emulator.tables.image_table import Image, Upload, image_id_of
from chutes_wrappers.emulator.tables.user_table import Counted

router = APIRouter(prefix="/images", tags=["images"])
_Caller = Annotated[Caller, Depends(authenticated("images"))]
_LONGEST_FIELD = 64 * 1024**2
# SDK entrypoint/build.py: what stands for no logo.
_NO_LOGO = "__none__"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What ``chutes build`` uploads (SDK ``entrypoint/build.py``). The pickled ``image`` that comes with it is never read."""

    name: str
    tag: str
    readme: str
    public: bool
    logo_id: str | None
    upload: Upload


@router.post("/", status_code=202, response_model=None)
async def create(request: Request, caller: _Caller) -> Answer | Response:
    """Take an image to be built; it is built when its turn comes."""
    caller.require("write", "images")
    platform = platform_of(request)
    submitted = await _submission(request)
    if problem := image_problem(submitted.name, submitted.tag):
        raise HTTPException(400, problem)
    if len(submitted.tag) < platform_rules.IMAGE_TAG_LENGTH[0]:
        # The platform's own answer, which says nothing (PLATFORM.md, section 4).
        return PlainTextResponse("Internal Server Error", 500)
    if len(submitted.readme) > platform_rules.LONGEST_README:
        raise HTTPException(400, f"The readme is longer than {platform_rules.LONGEST_README} characters")
    image = _admitted(platform, caller, submitted)
    platform.builds.submit(image.image_id)
    return image_answer(platform, image)


@router.get("/")
async def list_images(request: Request, caller: _Caller, paging: Annotated[Paging, Depends()]) -> Answer:
    """The caller's images, and the public ones where wanted."""
    caller.require("read", "images")
    platform = platform_of(request)
    seen = platform.state.images.visible(caller.user.user_id, include_public=paging.include_public)
    wanted = [image_answer(platform, image) for image in seen if paging.wants(image.name)]
    return page_of(wanted, paging.page, paging.limit)


@router.get("/{image_id_or_name:path}/logs")
async def logs(image_id_or_name: str, request: Request, caller: _Caller, offset: int = 0) -> Response:
    """What the build says: events behind ``offset`` until it is over, a text after that."""
    platform = platform_of(request)
    image = found_image(platform, caller, image_id_or_name)
    caller.require("read", "images", image.image_id, image_id_or_name)
    if image.is_settled:
        return PlainTextResponse("\n".join(line.line for line in platform.state.images.log_of(image.image_id)))
    return StreamingResponse(_events(platform, image, offset), media_type="text/event-stream")


@router.get("/{image_id_or_name:path}")
async def get(image_id_or_name: str, request: Request, caller: _Caller) -> Answer:
    """One image, by its id or as ``[user/]name:tag``."""
    platform = platform_of(request)
    image = found_image(platform, caller, image_id_or_name)
    caller.require("read", "images", image.image_id, image_id_or_name)
    return image_answer(platform, image)


@router.delete("/{image_id_or_name:path}")
async def delete(image_id_or_name: str, request: Request, caller: _Caller) -> Answer:
    """Forget an image that no chute uses."""
    platform = platform_of(request)
    image = found_image(platform, caller, image_id_or_name)
    caller.require("delete", "images", image.image_id, image_id_or_name)
    state = platform.state
    with state.transaction():
        if image.user_id != caller.user.user_id:
            raise HTTPException(404, _not_found(image_id_or_name))
        if state.chutes.using(image.image_id):
            raise HTTPException(409, "Image is in use by one or more chutes")
        if not image.is_settled:
            raise HTTPException(409, "Image is being built")
        state.images.remove(image.image_id)
    await asyncio.to_thread(platform.builds.remove, image)
    return {"image_id": image.image_id, "deleted": True}


def found_image(platform: Platform, caller: Caller, id_or_name: str) -> Image:
    """The image that the caller means and may see; 404 without one."""
    images, users = platform.state.images, platform.state.users
    image = images.by_id(id_or_name)
    if image is None:
        username, separator, rest = id_or_name.rpartition("/")
        name, _, tag = rest.partition(":")
        owner = users.by_name(username) if separator else caller.user
        image = images.named(owner.user_id, name, tag) if owner is not None else None
    if image is None or not (image.public or image.user_id == caller.user.user_id):
        raise HTTPException(404, _not_found(id_or_name))
    return image


def _not_found(id_or_name: str) -> str:
    return f"Image {id_or_name!r} not found, or does not belong to you"


def _admitted(platform: Platform, caller: Caller, submitted: Submission) -> Image:
    """The image, remembered; or why it is not taken: 409, 402, 429."""
    state, user = platform.state, caller.user
    with state.transaction():
        if state.images.named(user.user_id, submitted.name, submitted.tag) is not None:
            raise HTTPException(409, f"Image with name={submitted.name} and tag={submitted.tag} already exists")
        if user.balance < platform_rules.LOWEST_BUILD_BALANCE:
            lowest = f"${platform_rules.LOWEST_BUILD_BALANCE:g}"
            raise HTTPException(
                402, f"You must have a balance of >= {lowest} to create images; it is ${user.balance:.2f}"
            )
        if state.users.today(user.user_id, Counted.BUILD) >= platform_rules.BUILDS_A_DAY:
            raise HTTPException(429, f"You may only build {platform_rules.BUILDS_A_DAY} images per day")
        image = Image(
            image_id=image_id_of(user.username, submitted.name, submitted.tag),
            user_id=user.user_id,
            name=submitted.name,
            tag=submitted.tag,
            readme=submitted.readme,
            public=submitted.public,
            logo_id=submitted.logo_id,
            status=platform_rules.IMAGE_PENDING,
            reference=None,
            sdk_version=sdk_version(),
            created_at=state.now(),
        )
        state.images.add(image, submitted.upload)
        state.users.count(user.user_id, Counted.BUILD)
    return image


async def _submission(request: Request) -> Submission:
    async with request.form(max_part_size=_LONGEST_FIELD) as form:
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        context = form.get("build_context")
        missing = [name for name in ("name", "tag", "dockerfile") if name not in texts]
        if not isinstance(context, UploadFile):
            missing.append("build_context")
        if missing or not isinstance(context, UploadFile):
            raise HTTPException(422, [_missing(name) for name in missing])
        return Submission(
            name=texts["name"],
            tag=texts["tag"],
            readme=texts.get("readme", ""),
            public=texts.get("public", "").lower() == "true",
            logo_id=None if texts.get("logo_id", _NO_LOGO) == _NO_LOGO else texts["logo_id"],
            upload=Upload(dockerfile=texts["dockerfile"], build_context=await context.read()),
        )


def _missing(name: str) -> Mapping[str, object]:
    return {"type": "missing", "loc": ["body", name], "msg": "Field required", "input": None}


async def _events(platform: Platform, image: Image, after: int) -> AsyncIterator[str]:
    async for line in platform.builds.follow(image.image_id, after):
        yield f"data: {json.dumps({'log': line.line, 'offset': line.position})}\n\n"
    yield "DONE\n"
