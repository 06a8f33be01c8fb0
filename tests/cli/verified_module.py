"""A module for ``--verify`` whose chute needs no service: its only cord has the path of a planned cord."""

from __future__ import annotations

from pathlib import Path

from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.modules.module_facts import read_module
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.recording import compute_example_hash
from chutes_wrappers.host.parity.response_record import (
    CordRecord,
    ResponseRecord,
    RouteRecord,
    build_record_path,
    compute_source_hashes,
    write_record,
)
from tests.emulator.api.client import CODE, CORD

_PATH = "/cw_post/greet"
_EXAMPLE = {"name": "you"}
CORDS = [{**CORD, "path": _PATH}]
SOURCE = f"""{CODE.replace('path="/greet", public', f'path="{_PATH}", public')}

CHUTE_NAME = "case"
CHUTE_TAG = "v1"
CHUTE_BASE_IMAGE = "vendor/unused:1"
SERVICE_PORTS = [9000]
CHUTE_EXAMPLES = {{"POST /greet": {_EXAMPLE}}}
"""


def write_verified_module(folder: Path) -> Path:
    """Write the module with its manifest and the record of its emulation. Deploy it with ``SOURCE`` and ``CORDS``."""
    module, manifest = folder / "deploy_verified.py", Manifest(routes=(Route(path="/greet", port=9000),))
    module.write_text(SOURCE)
    facts = read_module(module)
    write_manifest(manifest, facts.manifest_path)
    route = RouteRecord(
        method="POST",
        path="/greet",
        example=compute_example_hash(PublicCall(method="POST", path="/greet", example=_EXAMPLE)),
        media_types=("application/json",),
        shape={"hello": "string"},
    )
    fingerprints = compute_source_hashes(facts, manifest)
    cords = tuple(CordRecord.model_validate({name: cord[name] for name in CordRecord.model_fields}) for cord in CORDS)
    record = ResponseRecord(
        module=fingerprints["module"], manifest=fingerprints["manifest"], cords=cords, routes=(route,)
    )
    write_record(record, build_record_path(facts))
    return module
