"""Instances and what they print."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import StreamingResponse

from chutes_wrappers.emulator.api.chute_routes import own_chute
from chutes_wrappers.emulator.api.context import Caller, Platform, authenticated, platform_of
from chutes_wrappers.emulator.api.payloads import Answer, instance_answer
from chutes_wrappers.emulator.records import InstanceRecord

router = APIRouter(prefix="/instances", tags=["instances"])


@router.get("/{instance_id}")
async def get(
    instance_id: str, request: Request, caller: Annotated[Caller, Depends(authenticated("instances"))]
) -> Answer:
    """One instance of the caller's chutes, for as long as it is remembered."""
    return instance_answer(_own(platform_of(request), caller, instance_id))


@router.get("/{instance_id}/logs")
async def logs(
    instance_id: str,
    request: Request,
    caller: Annotated[Caller, Depends(authenticated("logs"))],
    backfill: Annotated[int, Query(ge=0)] = 100,
) -> StreamingResponse:
    """Its last ``backfill`` lines as events, and those to come, until it is gone (SDK ``entrypoint/logger.py``)."""
    platform = platform_of(request)
    record = _own(platform, caller, instance_id)
    assert platform.instances is not None  # that is where it was found
    lines = platform.instances.logs(record.instance_id, backfill)
    return StreamingResponse(_events(lines), media_type="text/event-stream")


def _own(platform: Platform, caller: Caller, instance_id: str) -> InstanceRecord:
    record = platform.instances.get(instance_id) if platform.instances is not None else None
    if record is None:
        raise HTTPException(404, f"Instance {instance_id!r} not found")
    chute = own_chute(platform, caller, record.chute_id)
    caller.require("read", "chutes", chute.chute_id, chute.name)
    return record


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    yield _event({"event": "connected"})
    async for line in lines:
        yield _event({"log": line})


def _event(told: Answer) -> str:
    return f"data: {json.dumps(told)}\n\n"
