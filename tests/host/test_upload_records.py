from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from chutes_wrappers.core.manifest import build_manifest_path, load_manifest
from chutes_wrappers.host import upload_records
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.staging import create_stage
from chutes_wrappers.sdk.route_source import INLINE_VARIABLE

# As an earlier version wrote and staged it: the image has its distribution, between platform and entrypoint.
FORMER = """{
  "version": 1,
  "image": {
    "reference": "morse:1",
    "digest": "sha256:00",
    "distribution": "debian-12",
    "entrypoint": [
      "/serve"
    ]
  },
  "routes": [
    {
      "path": "/a",
      "method": "POST",
      "port": 8020,
      "target_path": "/a",
      "stream": false
    }
  ]
}
"""


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleFacts:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = tmp_path / "deploy_thing.py"
    path.write_text("x = 1\n")
    return ModuleFacts(path=path, chute_name="n", chute_tag="t1", base_image="b", service_ports=(8020,))


def is_stale(facts: ModuleFacts, source: str, recorded: object) -> bool:
    path = build_manifest_path(facts.path)
    path.write_text(source)
    record = upload_records._build_record_path("image")
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"manifest": recorded}))
    with create_stage(facts, load_manifest(path), username="u") as stage:
        return upload_records.is_stale("image", stage)


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_an_upload_is_stale_after_a_change_of_the_manifest(facts: ModuleFacts) -> None:
    path = build_manifest_path(facts.path)
    path.write_text(FORMER)
    with create_stage(facts, load_manifest(path), username="u") as stage:
        assert not upload_records.is_stale("image", stage)  # unknown
        upload_records.save_upload_record("image", stage)
        assert not upload_records.is_stale("image", stage)
    path.write_text(FORMER.replace('"/a"', '"/b"'))
    with create_stage(facts, load_manifest(path), username="u") as stage:
        assert upload_records.is_stale("image", stage)


@pytest.mark.parametrize("source", [FORMER, json.dumps(json.loads(FORMER))], ids=["as written", "formatted by hand"])
def test_an_upload_of_an_earlier_version_with_the_same_manifest_is_not_stale(facts: ModuleFacts, source: str) -> None:
    assert not is_stale(facts, source, hash_text(FORMER))
    assert is_stale(facts, source.replace('"/a"', '"/b"'), hash_text(FORMER))
    assert is_stale(facts, source.replace("debian-12", "debian-13"), hash_text(FORMER))


def test_an_inline_manifest_is_the_source(facts: ModuleFacts, monkeypatch: pytest.MonkeyPatch) -> None:
    without = FORMER.replace('    "distribution": "debian-12",\n', "")
    assert is_stale(facts, without, hash_text(FORMER))
    monkeypatch.setenv(INLINE_VARIABLE, FORMER)
    assert not is_stale(facts, without, hash_text(FORMER))


@pytest.mark.parametrize("recorded", ["", None, [], {}])
def test_another_record_is_stale(facts: ModuleFacts, recorded: object) -> None:
    assert is_stale(facts, FORMER, recorded)
    assert is_stale(facts, '{"version": 1, "routes": []}', recorded)


def test_the_same_content_is_recognized_until_the_image_is_replaced(facts: ModuleFacts) -> None:
    path = build_manifest_path(facts.path)
    path.write_text(FORMER)
    time, later = datetime(2026, 11, 28, tzinfo=timezone.utc), datetime(2026, 11, 29, tzinfo=timezone.utc)
    compare = upload_records.compare_upload
    with create_stage(facts, load_manifest(path), username="u") as stage:
        assert compare("image", "c1", time) is None
        upload_records.save_upload_record("image", stage, "c1")
        assert compare("image", "c1", time) is True  # the command ended before it knew the time
        upload_records.save_upload_record("image", stage, "c1", time)
        assert [compare("image", *asked) for asked in (("c1", time), ("c1", None), ("c2", time), ("c1", later))] == [
            True,
            True,
            False,
            None,
        ]
        upload_records.save_upload_record("image", stage)
        assert compare("image", "", time) is None
        upload_records.remove_upload_record("image")
        assert compare("image", "c1", time) is None


def test_a_followed_build_keeps_the_manifest_of_its_upload(facts: ModuleFacts) -> None:
    path = build_manifest_path(facts.path)
    path.write_text(FORMER)
    with create_stage(facts, load_manifest(path), username="u") as stage:
        upload_records.save_followed_build("other", "c1", None)
        assert (upload_records.compare_upload("other", "c1", None), upload_records.is_stale("other", stage)) == (
            True,
            False,
        )
        upload_records.save_upload_record("image", stage, "c1")
        upload_records.mark_as_reported("image")
        assert upload_records.compare_upload("image", "c1", None) is None
        upload_records.save_followed_build("image", "c1", None)
        stage.folder.joinpath(f"{stage.module}.routes.json").write_text("{}")
        assert (upload_records.compare_upload("image", "c1", None), upload_records.is_stale("image", stage)) == (
            True,
            True,
        )


def test_the_hash_of_the_files_knows_each_of_them(facts: ModuleFacts) -> None:
    path = build_manifest_path(facts.path)
    path.write_text(FORMER)
    with create_stage(facts, load_manifest(path), username="u") as stage:
        before = upload_records.hash_files(stage)
        (stage.folder / "__pycache__").mkdir()
        (stage.folder / "__pycache__" / "deploy_thing.pyc").write_bytes(b"x")
        assert upload_records.hash_files(stage) == before
    with create_stage(facts, load_manifest(path), username="u") as stage:
        assert upload_records.hash_files(stage) == before
        (stage.folder / facts.path.name).write_text("x = 2\n")
        assert upload_records.hash_files(stage) != before
