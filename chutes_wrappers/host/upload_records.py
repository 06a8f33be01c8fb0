"""Records of uploads, by which a later command knows whether an image contains the same as the module now."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.files import write_atomically
from chutes_wrappers.core.manifest import SUFFIX
from chutes_wrappers.host.staging import Stage
from chutes_wrappers.sdk.route_source import INLINE_VARIABLE, find_manifest_file

# A launch fact that earlier versions wrote, and the facts before it: recorded manifests may contain it.
_FORMER_FACT, _FACTS_BEFORE_IT = "distribution", ("reference", "digest", "platform")


def save_upload_record(image_id: str, stage: Stage, content: str = "", created_at: datetime | None = None) -> None:
    """Record what was uploaded as an image: the manifest of ``stage``, and the hash ``content`` of everything.

    ``created_at`` is the image's time in the API, if it is known already. Ignores a folder that cannot be written.
    """
    manifest = _hash_manifest(_read_manifest(stage))
    _write_record(image_id, {"manifest": manifest, **_describe_content(content, created_at)})


def save_followed_build(image_id: str, content: str, created_at: datetime | None) -> None:
    """Record that a build, which may be uploaded from elsewhere, is followed as the one of ``content``."""
    _write_record(image_id, {**_read_record(image_id), **_describe_content(content, created_at)})


def mark_as_reported(image_id: str) -> None:
    """Record that a command reported the end of an image's build: nobody waits for it any more."""
    if record := _read_record(image_id):
        _write_record(image_id, {name: value for name, value in record.items() if name == "manifest"})


def _describe_content(content: str, created_at: datetime | None) -> dict[str, str | None]:
    return {"content": content, "created_at": created_at.isoformat() if created_at is not None else None}


def _write_record(image_id: str, record: Mapping[str, Any]) -> None:
    path = _build_record_path(image_id)
    with contextlib.suppress(OSError, WrapperError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(record))


def hash_files(stage: Stage) -> str:
    """Return the hash of the staged files: the module, its manifest and our package."""
    content = hashlib.sha256()
    for path in sorted(stage.folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content.update(f"{path.relative_to(stage.folder)}\0".encode())
            content.update(hashlib.sha256(path.read_bytes()).digest())
    return content.hexdigest()


def remove_upload_record(image_id: str) -> None:
    """Remove the record of an image whose upload was refused."""
    with contextlib.suppress(OSError):
        _build_record_path(image_id).unlink(missing_ok=True)


def compare_upload(image_id: str, content: str, created_at: datetime | None) -> bool | None:
    """Return whether the image, created at ``created_at``, is the unreported build of exactly ``content``; None: unknown.

    An image that was deleted and uploaded again elsewhere has the same id, but another time.
    """
    record = _read_record(image_id)
    recorded_time = record.get("created_at")
    is_replaced = recorded_time is not None and created_at is not None and recorded_time != created_at.isoformat()
    if not record.get("content") or is_replaced:
        return None
    return bool(record["content"] == content)


def is_stale(image_id: str, stage: Stage) -> bool:
    """Return whether an image uploaded from this machine contains another manifest than ``stage``; False when unknown."""
    record = _read_record(image_id)
    if "manifest" not in record:
        return False
    manifest = _read_manifest(stage)
    hashes = [_hash_manifest(manifest)]
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # no former fact
        hashes.append(_hash_manifest(_restore_former_fact(manifest, _read_source(stage))))
    return record["manifest"] not in hashes


def _read_record(image_id: str) -> Mapping[str, Any]:
    """Return the record of an image; empty without a valid one."""
    try:
        record = json.loads(_build_record_path(image_id).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, Mapping) else {}


def _build_record_path(image_id: str) -> Path:
    return Path.home() / ".chutes" / "uploads" / f"{hashlib.sha256(image_id.encode()).hexdigest()[:32]}.json"


def _read_manifest(stage: Stage) -> str:
    return (stage.folder / f"{stage.module}{SUFFIX}").read_text(encoding="utf-8")


def _read_source(stage: Stage) -> str:
    """Return the text of the manifest from which the one of ``stage`` was made."""
    path = find_manifest_file({"__file__": str(stage.user_module)})
    return os.environ.get(INLINE_VARIABLE) or (path.read_text(encoding="utf-8") if path else "")


def _restore_former_fact(manifest: str, source: str) -> str:
    """Return ``manifest`` with the former fact of ``source``. Raises ValueError, KeyError or TypeError without one."""
    former, content = json.loads(source)["image"][_FORMER_FACT], json.loads(manifest)
    facts = content["image"]
    before = {name: facts[name] for name in _FACTS_BEFORE_IT if name in facts}
    return json.dumps({**content, "image": {**before, _FORMER_FACT: former, **facts}}, indent=2) + "\n"


def _hash_manifest(manifest: str) -> str:
    return hashlib.sha256(manifest.encode()).hexdigest()
