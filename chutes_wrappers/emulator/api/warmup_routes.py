"""Warming a chute up (SDK ``entrypoint/warmup.py``, ``entrypoint/warmup_dashboard.py``)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from chutes_wrappers.emulator.api.chute_routes import found_chute
from chutes_wrappers.emulator.api.context import Caller, Platform, authenticated, platform_of
from chutes_wrappers.emulator.api.payloads import Answer, instance_answer, living
from chutes_wrappers.emulator.records import InstanceState
from chutes_wrappers.emulator.tables.chute_table import Chute

# Ahead of the routes of chutes, where "warmup/x" would be a name.
router = APIRouter(prefix="/chutes", tags=["chutes"])
_LOOK_EVERY_S = 1.0
_HOT, _COLD = "hot", "cold"


@router.get("/warmup/{chute_id_or_name:path}")
async def warmup(
    chute_id_or_name: str,
    request: Request,
    caller: Annotated[Caller, Depends(authenticated("chutes"))],
    quick: bool = False,
) -> Response:
    """Start an instance unless there is one. With ``quick`` how it stands now, else events until one is active, or none comes."""
    platform = platform_of(request)
    chute = found_chute(platform, caller, chute_id_or_name)
    caller.require("invoke", "chutes", chute.chute_id, chute.name)
    if platform.instances is not None:
        platform.instances.know(platform.state.record(chute))
        await platform.instances.warm(chute.chute_id)
    if quick:
        return JSONResponse(_standing(platform, chute))
    return StreamingResponse(_events(platform, chute), media_type="text/event-stream")


def _standing(platform: Platform, chute: Chute) -> Answer:
    records = living(platform, chute.chute_id)
    is_hot = any(record.state is InstanceState.ACTIVE for record in records)
    selector = chute.definition["node_selector"]
    return {
        "chute_id": chute.chute_id,
        "status": _HOT if is_hot else _COLD,
        "instance_count": len(records),
        "instances": [{**instance_answer(one), "gpu_count": selector["gpu_count"]} for one in records],
        "bounty": None,
    }


async def _events(platform: Platform, chute: Chute) -> AsyncIterator[str]:
    said = None
    while True:
        standing = _standing(platform, chute)
        if standing["status"] == _HOT:
            yield _event(_HOT, f"chute {chute.name} is hot, {standing['instance_count']} instance(s) available")
            return
        if not standing["instances"]:
            yield _event(_COLD, f"chute {chute.name} has no instance: {_why_none(platform, chute)}")
            return
        if said != standing["instance_count"]:
            said = standing["instance_count"]
            yield _event(_COLD, f"chute {chute.name} is cold, waiting for {said} starting instance(s)")
        await asyncio.sleep(_LOOK_EVERY_S)


def _why_none(platform: Platform, chute: Chute) -> str:
    records = platform.instances.of(chute.chute_id) if platform.instances is not None else ()
    return (records[-1].ended_because if records else "") or "none is ever started here"


def _event(status: str, log: str) -> str:
    return f"data: {json.dumps({'status': status, 'log': log})}\n\n"
