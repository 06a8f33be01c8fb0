"""Routes of logos."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from starlette.datastructures import UploadFile

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator.api.context import Caller, authenticate, platform_of
from chutes_wrappers.emulator.api.payloads import JsonObject

router = APIRouter(prefix="/logos", tags=["logos"])


@router.post("/")
async def upload(request: Request, caller: Annotated[Caller, Depends(authenticate("logos"))]) -> JsonObject:
    """Store a logo (SDK ``entrypoint/_shared.py``: ``upload_logo``)."""
    caller.require("write", "logos")
    async with request.form() as form:
        logo = form.get("logo")
        if not isinstance(logo, UploadFile):
            raise HTTPException(400, platform_rules.LOGO_MESSAGE)
        content, platform = await logo.read(), platform_of(request)
        if platform_checks.find_logo_problem(content, logo.content_type or "") is not None:
            platform.reject("logo-file", 400, platform_rules.LOGO_MESSAGE)
        logo_record = platform.state.logos.add(
            user_id=caller.user.user_id, media_type=str(logo.content_type), content=content
        )
    return {"logo_id": logo_record.logo_id, "path": f"/logos/{logo_record.logo_id}"}


@router.get("/{logo_id}")
async def get(logo_id: str, request: Request) -> Response:
    """Return a logo as it was uploaded. Needs no account."""
    logo = platform_of(request).state.logos.find_by_id(logo_id.partition(".")[0])
    if logo is None:
        raise HTTPException(404, "Logo not found")
    return Response(logo.content, media_type=logo.media_type)
