"""Routes of instances and their logs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import StreamingResponse

from chutes_wrappers.emulator.api.chute_routes import match_own_chute
from chutes_wrappers.emulator.api.context import Caller, Platform, authenticate, platform_of
from chutes_wrappers.emulator.api.payloads import JsonObject, build_instance_payload
from chutes_wrappers.emulator.records import InstanceRecord

router = APIRouter(prefix="/instances", tags=["instances"])
# No signature without a body can be valid: the log is for API keys (PLATFORM.md, section 5).
_KEY_ONLY = ""


@router.get("/{instance_id}")
async def get(
    instance_id: str, request: Request, caller: Annotated[Caller, Depends(authenticate("instances"))]
) -> JsonObject:
    """Return an instance of the caller's chutes. Old records are dropped."""
    return build_instance_payload(_find_own_instance(platform_of(request), caller, instance_id))


@router.get("/{instance_id}/logs")
async def stream_logs(
    instance_id: str,
    request: Request,
    caller: Annotated[Caller, Depends(authenticate(_KEY_ONLY))],
    backfill: Annotated[int, Query(ge=0)] = 100,
) -> StreamingResponse:
    """Stream the last ``backfill`` lines and all new ones as events, until it is gone (SDK ``entrypoint/logger.py``)."""
    platform = platform_of(request)
    record = _find_own_instance(platform, caller, instance_id)
    assert platform.instances is not None  # the record comes from there
    lines = platform.instances.follow_log(record.instance_id, backfill)
    return StreamingResponse(_stream_events(lines), media_type="text/event-stream")


def _find_own_instance(platform: Platform, caller: Caller, instance_id: str) -> InstanceRecord:
    record = platform.instances.find_record(instance_id) if platform.instances is not None else None
    if record is None:
        raise HTTPException(404, "Instance not found.")
    match_own_chute(platform, caller, record.chute_id)
    return record


async def _stream_events(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    yield _format_event({"event": "connected"})
    async for line in lines:
        yield _format_event({"log": line})


def _format_event(payload: JsonObject) -> str:
    return f"data: {json.dumps(payload)}\n\n"
