"""Records of uploads, by which a later deployment knows that an image contains another manifest."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.files import write_atomically
from chutes_wrappers.core.manifest import SUFFIX
from chutes_wrappers.host.staging import Stage
from chutes_wrappers.sdk.route_source import INLINE_VARIABLE, find_manifest_file

# A launch fact that earlier versions wrote, and the facts before it: recorded manifests may contain it.
_FORMER_FACT, _FACTS_BEFORE_IT = "distribution", ("reference", "digest", "platform")


def save_upload_record(image_id: str, stage: Stage) -> None:
    """Record the manifest of ``stage`` as the content of an image. Ignores a folder that cannot be written."""
    path = _build_record_path(image_id)
    with contextlib.suppress(OSError, WrapperError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"manifest": _compute_fingerprint(_read_manifest(stage))}))


def is_stale(image_id: str, stage: Stage) -> bool:
    """Return whether an image uploaded from this machine contains another manifest than ``stage``; False when unknown."""
    try:
        recorded = json.loads(_build_record_path(image_id).read_text(encoding="utf-8"))["manifest"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    manifest = _read_manifest(stage)
    fingerprints = [_compute_fingerprint(manifest)]
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # no former fact
        fingerprints.append(_compute_fingerprint(_restore_former_fact(manifest, _read_source(stage))))
    return recorded not in fingerprints


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


def _compute_fingerprint(manifest: str) -> str:
    return hashlib.sha256(manifest.encode()).hexdigest()
