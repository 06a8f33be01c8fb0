"""The route that warms a chute up (SDK ``entrypoint/warmup.py``, ``entrypoint/warmup_dashboard.py``)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from chutes_wrappers.emulator.api.chute_routes import match_chute
from chutes_wrappers.emulator.api.context import Caller, Platform, authenticate, platform_of
from chutes_wrappers.emulator.api.payloads import JsonObject, build_instance_payload, list_live_instances
from chutes_wrappers.emulator.instance_request import RequestRejected, check_chute
from chutes_wrappers.emulator.records import InstanceState
from chutes_wrappers.emulator.tables.chute_table import Chute

# Included before the routes of chutes, which would match "warmup/x" as a name.
router = APIRouter(prefix="/chutes", tags=["chutes"])
_POLL_INTERVAL_S = 1.0
_HOT, _COLD = "hot", "cold"


@router.get("/warmup/{chute_id_or_name:path}")
async def warmup(
    chute_id_or_name: str,
    request: Request,
    caller: Annotated[Caller, Depends(authenticate("chutes"))],
    quick: bool = False,
) -> Response:
    """Start an instance when the chute has none. Raises 402 when its owner cannot pay, 503 when it is disabled (section 5).

    With ``quick`` return the current status, else stream events until an instance is active, or none is left.
    """
    platform = platform_of(request)
    chute = match_chute(platform, caller, chute_id_or_name)
    record = platform.state.build_record(chute)
    try:
        check_chute(record)
    except RequestRejected as rejected:
        raise HTTPException(rejected.status, rejected.detail) from rejected
    if platform.instances is not None:
        platform.instances.register(record)
        await platform.instances.warm_up(chute.chute_id)
    if quick:
        return JSONResponse(_build_status(platform, chute))
    return StreamingResponse(_stream_events(platform, chute), media_type="text/event-stream")


def _build_status(platform: Platform, chute: Chute) -> JsonObject:
    records = list_live_instances(platform, chute.chute_id)
    is_hot = any(record.state is InstanceState.ACTIVE for record in records)
    selector = chute.definition["node_selector"]
    return {
        "chute_id": chute.chute_id,
        "status": _HOT if is_hot else _COLD,
        "instance_count": len(records),
        "instances": [{**build_instance_payload(record), "gpu_count": selector["gpu_count"]} for record in records],
        "bounty": None,
    }


async def _stream_events(platform: Platform, chute: Chute) -> AsyncIterator[str]:
    reported_count = None
    while True:
        status = _build_status(platform, chute)
        if status["status"] == _HOT:
            yield _format_event(_HOT, f"chute {chute.name} is hot, {status['instance_count']} instance(s) available")
            return
        if not status["instances"]:
            yield _format_event(_COLD, f"chute {chute.name} has no instance: {_explain_no_instance(platform, chute)}")
            return
        if reported_count != status["instance_count"]:
            reported_count = status["instance_count"]
            yield _format_event(_COLD, f"chute {chute.name} is cold, waiting for {reported_count} starting instance(s)")
        await asyncio.sleep(_POLL_INTERVAL_S)


def _explain_no_instance(platform: Platform, chute: Chute) -> str:
    records = platform.instances.list_records(chute.chute_id) if platform.instances is not None else ()
    return (records[-1].ended_because if records else "") or "this emulator does not run instances"


def _format_event(status: str, log: str) -> str:
    return f"data: {json.dumps({'status': status, 'log': log})}\n\n"
