"""The record of a module's responses under ``--emulate``: ``deploy_x.responses.json``, beside the manifest.

``--verify`` compares the deployed chute with it. It has hashes and shapes, and bodies only on request.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.files import read_regular_file, write_atomically
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.program import NAMES, VERSION
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.modules.module_files import format_module
from chutes_wrappers.host.parity.stories import StorySource
from chutes_wrappers.host.staging import find_known_manifest

SUFFIX = ".responses.json"
_FORMAT = 1
_MAX_FILE_BYTES = 64 * 1024**2
# Readable by the user only: a body may contain anything.
_PRIVATE_MODE = 0o600


class RouteRecord(BaseModel):
    """One route's response. ``reason`` is why its call did not succeed; empty if it did, and then the rest is known.

    ``example`` is the SHA-256 of the call that was sent, and ``body`` that of the response's bytes. ``content`` is that of what
    formatting does not change (``comparison.normalize_content``). ``size`` is in bytes. ``media_types`` are all that are right.
    ``shape`` is None if the body is not JSON. ``is_cut``: the body is only the beginning of a stream. ``kept_body`` is the body
    itself as text, or as base64 with ``is_base64``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    path: str
    stream: bool = False
    reason: str = ""
    example: str = ""
    status: int = 0
    service_status: int | None = None
    media_types: tuple[str, ...] = ()
    size: int = 0
    body: str = ""
    content: str = ""
    shape: Any = None
    is_deterministic: bool = False
    is_cut: bool = False
    kept_body: str | None = None
    is_base64: bool = False

    @property
    def name(self) -> str:
        """Public method and path."""
        return f"{self.method} {self.path}"


class CordRecord(BaseModel):
    """A cord of the chute that was emulated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    public_api_path: str
    public_api_method: str
    stream: bool = False


class ResponseRecord(BaseModel):
    """All routes of a module, with the SHA-256 of the ``module`` and of its ``manifest``, and the ``cords`` of its chute.

    ``examples`` and ``links`` are those of the service's specification, by method and path: ``--verify`` cannot read it again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = _FORMAT
    tool: str = VERSION
    date: str = Field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    module: str
    manifest: str
    cords: tuple[CordRecord, ...] = ()
    routes: tuple[RouteRecord, ...] = ()
    examples: dict[str, dict[str, Any]] = Field(default_factory=dict)
    links: dict[str, tuple[StorySource, ...]] = Field(default_factory=dict)

    @property
    def has_bodies(self) -> bool:
        """Whether it has a response's body."""
        return any(route.kept_body is not None for route in self.routes)


def build_record_path(facts: ModuleFacts) -> Path:
    """Return ``deploy_x.responses.json`` in the folder of ``deploy_x.py``."""
    return facts.path.with_suffix(SUFFIX)


def compute_source_hashes(facts: ModuleFacts, manifest: Manifest) -> dict[str, str]:
    """Return the SHA-256 of the module's file and of its manifest; ``manifest`` is used if it is not saved."""
    known_manifest = find_known_manifest(facts) or manifest
    return {
        "module": hashlib.sha256(facts.path.read_bytes()).hexdigest(),
        "manifest": hashlib.sha256(known_manifest.to_json().encode()).hexdigest(),
    }


def write_record(record: ResponseRecord, path: Path) -> None:
    """Write ``record`` atomically, readable by the user only if it has bodies. Raises WrapperError if that fails."""
    text = json.dumps(record.model_dump(mode="json"), ensure_ascii=True, indent=1) + "\n"
    write_atomically(path, text, mode=_PRIVATE_MODE if record.has_bodies else 0o644)


def load_record(facts: ModuleFacts, manifest: Manifest) -> ResponseRecord:
    """Return the record of this module and manifest. Raises ConfigurationError if it is missing, invalid or older than them."""
    path = build_record_path(facts)
    step = f"run {NAMES.deploy} --emulate {format_module(facts.path)} --check, which writes it"
    try:
        record = _parse_record(read_regular_file(path, max_bytes=_MAX_FILE_BYTES))
    except FileNotFoundError:
        raise ConfigurationError(
            "the module has no record of its responses to compare with", where=str(path), next_step=step
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"the record of the module's responses cannot be read ({reason})", where=str(path), next_step=step
        ) from None
    current = compute_source_hashes(facts, manifest)
    changed = [name for name in ("module", "manifest") if getattr(record, name) != current[name]]
    if changed:
        raise ConfigurationError(
            f"the {' and the '.join(changed)} changed after the record of {record.date}",
            where=str(path),
            next_step=step,
        )
    return record


def _parse_record(content: bytes) -> ResponseRecord:
    """Parse a record. Raises ValueError with a short reason."""
    data = json.loads(content)
    version = data.get("version") if isinstance(data, dict) else None
    if type(version) is not int or version != _FORMAT:
        raise ValueError(f"its format is {version!r}, and not {_FORMAT}")
    try:
        return ResponseRecord.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
