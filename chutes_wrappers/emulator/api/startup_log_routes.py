"""Routes of the logs of instances that never became active (SDK ``entrypoint/startup_logs.py``)."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request

from chutes_wrappers.core.platform_rules import STARTUP_LOG_KEPT_S
from chutes_wrappers.emulator.api.chute_routes import match_own_chute
from chutes_wrappers.emulator.api.context import Caller, Platform, authenticate, platform_of
from chutes_wrappers.emulator.api.payloads import JsonObject
from chutes_wrappers.emulator.records import InstanceRecord, InstanceState
from chutes_wrappers.emulator.startup_log import StartupLogCipher, count_chunks
from chutes_wrappers.host.account.keypairs import decode_public_key

router = APIRouter(prefix="/encrypted_logs", tags=["instances"])
_MAX_LINES = 5000


@router.get("/{chute_id}/sessions")
async def list_sessions(
    chute_id: str, request: Request, caller: Annotated[Caller, Depends(authenticate("chutes"))]
) -> list[JsonObject]:
    """Return the startup logs of an own chute, one for each instance that ended before it was active."""
    platform = platform_of(request)
    records = _list_failed_starts(platform, caller, chute_id)
    return [await _build_session(platform, caller, record) for record in records]


@router.get("/{chute_id}/sessions/{instance_id}/chunks")
async def list_chunks(
    chute_id: str, instance_id: str, request: Request, caller: Annotated[Caller, Depends(authenticate("chutes"))]
) -> JsonObject:
    """Return an instance's output, encrypted for the hotkey of the chute's owner. Raises 404 for another instance."""
    platform = platform_of(request)
    records = _list_failed_starts(platform, caller, chute_id)
    if instance_id not in [record.instance_id for record in records]:
        raise HTTPException(404, "No encrypted logs found for this instance")
    chunks = _make_cipher(caller, instance_id).encrypt_chunks(await _read_lines(platform, instance_id))
    return {"instance_id": instance_id, "chunks": chunks}


def _list_failed_starts(platform: Platform, caller: Caller, chute_id: str) -> list[InstanceRecord]:
    """Return the instances of an own chute that ended before they were active, until their logs expire."""
    chute = match_own_chute(platform, caller, chute_id)
    records = platform.instances.list_records(chute.chute_id) if platform.instances is not None else []
    oldest = platform.state.now() - STARTUP_LOG_KEPT_S
    return [
        record
        for record in records
        if record.state is InstanceState.GONE and record.active_since is None and record.started_at >= oldest
    ]


async def _build_session(platform: Platform, caller: Caller, record: InstanceRecord) -> JsonObject:
    key = _make_cipher(caller, record.instance_id).ephemeral_key
    return {
        "instance_id": record.instance_id,
        "config_id": record.version,
        "started_at": record.started_at,
        "ephemeral_pubkey": base64.b64encode(key).decode(),
        "chunk_count": count_chunks(len(await _read_lines(platform, record.instance_id))),
    }


def _make_cipher(caller: Caller, instance_id: str) -> StartupLogCipher:
    return StartupLogCipher(instance_id, decode_public_key(caller.user.hotkey))


async def _read_lines(platform: Platform, instance_id: str) -> list[str]:
    assert platform.instances is not None  # the record comes from there
    return [line async for line in platform.instances.follow_log(instance_id, _MAX_LINES)]
