"""The deployments that this machine made, kept for ``--rollback``: module, manifest and what they were deployed as.

Each is a folder ``~/.chutes/deployments/CHUTE_ID/NUMBER``, which only its user can read: a module may contain secrets.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.files import read_regular_file
from chutes_wrappers.core.manifest import build_manifest_path
from chutes_wrappers.core.platform_rules import MODULE_FILE, OBJECT_ID
from chutes_wrappers.core.program import VERSION
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.platform_api.objects import ChuteInfo
from chutes_wrappers.host.staging import Stage

MAX_KEPT = 20
_RECORD_FILE = "deployment.json"
_MAX_RECORD_BYTES = 1024**2
_MAX_ATTEMPTS = 100
Cords = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class DeploymentRecord:
    """A kept deployment. ``module`` is the copy of the deployed file, and ``source`` the user's file at that time.

    ``number`` counts the deployments of a chute on this machine. ``image`` is the reference of its image, and ``api_url`` is
    where it was deployed. ``cords`` are the internal and public paths, sorted. ``program`` is the version of this program.
    """

    number: int
    module: Path
    source: Path
    version: str
    image: str
    api_url: str
    public: bool
    deployed_at: datetime
    program: str
    cords: Cords

    @property
    def manifest(self) -> Path:
        """The path of the kept manifest."""
        return build_manifest_path(self.module)


def keep_deployment(
    stage: Stage, chute: ChuteInfo, definition: Mapping[str, Any], *, source: Path, image: str, api_url: str
) -> None:
    """Keep what was deployed from ``stage`` as the present version of ``chute``, and delete the oldest beyond MAX_KEPT.

    ``definition`` is what the module defines. Does nothing when the newest record has the same version and the same files.
    Raises OSError, and WrapperError for an id that is not the platform's.
    """
    folder, module = _find_folder(chute.chute_id), stage.folder / f"{stage.module}.py"
    files = {
        module.name: module.read_bytes(),
        build_manifest_path(module).name: build_manifest_path(module).read_bytes(),
    }
    records = list_deployments(chute.chute_id, api_url)
    if records and records[-1].version == chute.version and _is_same(records[-1], files):
        return
    content = {
        "version": chute.version,
        "module": module.name,
        "source": str(source),
        "image": image,
        "api_url": api_url,
        "public": chute.public,
        "deployed_at": datetime.now(timezone.utc).isoformat(),
        "program": VERSION,
        "cords": list_cords(definition),
    }
    files[_RECORD_FILE] = json.dumps({"chute_id": chute.chute_id, "name": chute.name, **content}, indent=2).encode()
    for path in (folder.parent, folder):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_folder(folder, files, first_number=max(_list_numbers(folder), default=0) + 1)
    for record in list_deployments(chute.chute_id, api_url)[:-MAX_KEPT]:
        shutil.rmtree(record.module.parent, ignore_errors=True)


def list_deployments(chute_id: str, api_url: str) -> list[DeploymentRecord]:
    """Return the kept deployments of a chute to this API, the newest last. A record that cannot be read is left out.

    A chute of the same name and user has the same id in every API, such as an emulator.
    """
    folder = _find_folder(chute_id)
    records = []
    for number in _list_numbers(folder):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            records.append(_read_record(folder / _format_number(number), number))
    return [record for record in records if record.api_url == api_url]


def list_cords(definition: Mapping[str, Any]) -> Cords:
    """Return the internal and public paths of the cords in ``definition``, sorted."""
    return tuple(sorted((str(cord["path"]), str(cord["public_api_path"] or "")) for cord in definition["cords"]))


def find_version_before(records: Sequence[DeploymentRecord], version: str) -> DeploymentRecord | None:
    """Return the record of the version that was deployed before ``version``, or None when it is not kept.

    A version that was deployed again undoes those after it. After deployments of 1, 2, 3, 2 the version before 2 is 1. After
    one more, of 4, the version before 4 is 2.
    """
    line: list[DeploymentRecord] = []
    for record in records:
        position = next((at for at, each in enumerate(line) if each.version == record.version), None)
        line = [*line[:position], record]
    versions = [record.version for record in line]
    return line[versions.index(version) - 1] if version in versions[1:] else None


def _find_folder(chute_id: str) -> Path:
    if not OBJECT_ID.match(chute_id):
        raise WrapperError(
            f"the platform returned an invalid id of a chute: {chute_id[:80]!r}",
            next_step="check that the API URL (base_url in the account's file, or CHUTES_API_URL) is the platform's",
        )
    return Path.home() / ".chutes" / "deployments" / chute_id.lower()


def _list_numbers(folder: Path) -> list[int]:
    try:
        return sorted(int(path.name) for path in folder.iterdir() if path.name.isascii() and path.name.isdecimal())
    except OSError:
        return []


def _format_number(number: int) -> str:
    return f"{number:06d}"


def _write_folder(folder: Path, files: Mapping[str, bytes], *, first_number: int) -> None:
    """Create the next numbered folder with ``files``, complete or not at all. Another process may take a number first."""
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=".new-"))  # only its user can read it
    try:
        for name, content in files.items():
            (temporary / name).write_bytes(content)
            (temporary / name).chmod(0o600)
        for number in range(first_number, first_number + _MAX_ATTEMPTS):
            with contextlib.suppress(FileExistsError):
                _rename_to_new(temporary, folder / _format_number(number))
                return
        raise FileExistsError(f"{folder} changes too fast")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _rename_to_new(temporary: Path, target: Path) -> None:
    """Rename a folder. Raises FileExistsError when the target exists."""
    target.mkdir(mode=0o700)  # only one process can create it; an empty folder is then replaced
    os.replace(temporary, target)


def _is_same(record: DeploymentRecord, files: Mapping[str, bytes]) -> bool:
    paths = (record.module, record.manifest)
    return all(path.is_file() and files.get(path.name) == path.read_bytes() for path in paths)


def _read_record(folder: Path, number: int) -> DeploymentRecord:
    content = json.loads(read_regular_file(folder / _RECORD_FILE, max_bytes=_MAX_RECORD_BYTES))
    if not MODULE_FILE.match(content["module"]) or not (folder / content["module"]).is_file():
        raise ValueError("no module")
    if "\0" in content["source"]:
        raise ValueError("no path")
    deployed_at = datetime.fromisoformat(content["deployed_at"])
    return DeploymentRecord(
        number=number,
        module=folder / content["module"],
        source=Path(content["source"]),
        version=clean_text(content["version"]),
        image=clean_text(content["image"]),
        api_url=clean_text(content["api_url"]),
        public=bool(content["public"]),
        deployed_at=deployed_at if deployed_at.tzinfo else deployed_at.replace(tzinfo=timezone.utc),
        program=clean_text(content["program"]),
        cords=tuple((str(path), str(public_path)) for path, public_path in content["cords"]),
    )
