"""Comparison of a deployed chute with the module on this machine, and with the cords that ``--emulate`` called."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host import upload_records
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.modules.module_files import format_module
from chutes_wrappers.host.parity.response_record import CordRecord
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.objects import ChuteInfo
from chutes_wrappers.host.platform_api.record_lookup import build_path
from chutes_wrappers.host.staging import create_stage

_ALWAYS_REPORTED = ("path", "public_api_path")
_MAX_NAMED_PATHS = 5


def check_is_deployed(
    api: PlatformApi, chute: ChuteInfo, facts: ModuleFacts, manifest: Manifest, cords: Iterable[CordRecord]
) -> None:
    """Raise WrapperError unless ``chute`` has the module's image, manifest and source, and exactly these ``cords``.

    What the API does not return is not compared.
    """
    differences = [
        *_find_image_differences(api, chute, facts, manifest),
        *_find_source_differences(api, chute, facts),
        *_find_cord_differences(chute, cords),
    ]
    if differences:
        raise WrapperError(
            f"the deployed {chute.name} is another version than this module",
            where=str(facts.path),
            evidence="\n".join(differences),
            next_step=f"deploy it first: {NAMES.deploy} --deploy {format_module(facts.path)}",
        )


def _find_image_differences(api: PlatformApi, chute: ChuteInfo, facts: ModuleFacts, manifest: Manifest) -> list[str]:
    if chute.image is None:
        return []
    if chute.image.reference.lower() != facts.image:
        return [f"its image is {chute.image.reference}, and the module's is {facts.image}"]
    with create_stage(facts, manifest, username=api.username) as stage:
        is_stale = upload_records.is_stale(chute.image.image_id, stage)
    return [f"its image {chute.image.reference} was built with another manifest: change CHUTE_TAG"] if is_stale else []


def _find_source_differences(api: PlatformApi, chute: ChuteInfo, facts: ModuleFacts) -> list[str]:
    source = _fetch_source(api, chute)
    # As the SDK reads it (SDK entrypoint/deploy.py).
    module = facts.path.read_text(encoding="utf-8", errors="surrogateescape")
    is_other = source is not None and source.splitlines() != module.splitlines()
    return [f"its source is not that of {facts.path.name}"] if is_other else []


def _fetch_source(api: PlatformApi, chute: ChuteInfo) -> str | None:
    """Return the source of the deployed module, or None if the API does not return it (api-observed 106: a text)."""
    if isinstance(source := chute.record.get("code"), str):
        return source
    path = build_path("chutes/code", chute.chute_id)
    with contextlib.suppress(PlatformRequestFailed):
        return api.get_text(path, f"requesting the source of {chute.name}", purpose="chutes")
    return None


def _find_cord_differences(chute: ChuteInfo, cords: Iterable[CordRecord]) -> list[str]:
    names = [
        name
        for name in CordRecord.model_fields
        if name in _ALWAYS_REPORTED or any(name in cord for cord in chute.cords)
    ]

    def select_fields(cord: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(str(cord.get(name) or "") for name in names)

    deployed = {*map(select_fields, chute.cords)}
    emulated = {select_fields(cord.model_dump()) for cord in cords}
    paths = sorted({cord[names.index("public_api_path")] or cord[0] for cord in deployed ^ emulated})
    more = ", …" if len(paths) > _MAX_NAMED_PATHS else ""
    return [f"its cords differ at {', '.join(paths[:_MAX_NAMED_PATHS])}{more}"] if paths else []
