"""Records of uploads, by which a later deployment knows that an image contains another manifest."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.files import write_atomically
from chutes_wrappers.core.manifest import SUFFIX
from chutes_wrappers.host.staging import Stage


def save_upload_record(image_id: str, stage: Stage) -> None:
    """Record the manifest of ``stage`` as the content of an image. Ignores a folder that cannot be written."""
    path = _build_record_path(image_id)
    with contextlib.suppress(OSError, WrapperError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"manifest": _compute_fingerprint(stage)}))


def is_stale(image_id: str, stage: Stage) -> bool:
    """Return whether an image uploaded from this machine contains another manifest than ``stage``; False when unknown."""
    try:
        recorded = json.loads(_build_record_path(image_id).read_text(encoding="utf-8"))["manifest"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(recorded != _compute_fingerprint(stage))


def _build_record_path(image_id: str) -> Path:
    return Path.home() / ".chutes" / "uploads" / f"{hashlib.sha256(image_id.encode()).hexdigest()[:32]}.json"


def _compute_fingerprint(stage: Stage) -> str:
    return hashlib.sha256((stage.folder / f"{stage.module}{SUFFIX}").read_bytes()).hexdigest()
