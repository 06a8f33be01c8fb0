"""The deployments that a machine keeps: complete, private, limited in number, and in the order of a rollback."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host import deployment_records
from chutes_wrappers.host.deployment_records import (
    DeploymentRecord,
    find_version_before,
    keep_deployment,
    list_cords,
    list_deployments,
)
from chutes_wrappers.host.platform_api.objects import parse_chute
from chutes_wrappers.host.staging import Stage

CHUTE_ID = "11111111-2222-4333-8444-555555555555"
API = "https://api.example"
DEFINITION = {"cords": [{"path": "/b", "public_api_path": None}, {"path": "/a", "public_api_path": "/public"}]}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    (tmp_path / "deploy_ocr.py").write_text("x = 1\n")
    (tmp_path / "deploy_ocr.routes.json").write_text("{}\n")
    module = tmp_path / "deploy_ocr.py"
    return Stage(folder=tmp_path, module="deploy_ocr", user_module=module, environment={}, variables={}, paths={})


def keep(stage: Stage, version: str, text: str = "", api_url: str = API) -> None:
    if text:
        (stage.folder / "deploy_ocr.py").write_text(text)
    chute = parse_chute({"chute_id": CHUTE_ID, "name": "ocr", "version": version})
    keep_deployment(stage, chute, DEFINITION, source=Path("/user/deploy_ocr.py"), image="ocr:v1", api_url=api_url)


def list_versions() -> list[str]:
    return [record.version for record in list_deployments(CHUTE_ID, API)]


def test_a_deployment_is_kept_with_its_files_for_its_user_only(stage: Stage, home: Path) -> None:
    keep(stage, "1")
    record = list_deployments(CHUTE_ID, API)[0]
    assert (record.version, record.image, record.public, record.source.name) == ("1", "ocr:v1", False, "deploy_ocr.py")
    assert (record.module.read_text(), record.manifest.read_text()) == ("x = 1\n", "{}\n")
    assert record.cords == list_cords(DEFINITION) == (("/a", "/public"), ("/b", ""))
    root = home / ".chutes" / "deployments"
    assert {path.stat().st_mode & 0o777 for path in (root, *root.rglob("*")) if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_file()} == {0o600}


def test_the_same_deployment_is_kept_once(stage: Stage) -> None:
    for version, text in (("1", ""), ("1", ""), ("2", "x = 2\n"), ("2", "x = 2  # another image\n"), ("1", "x = 1\n")):
        keep(stage, version, text)
    assert list_versions() == ["1", "2", "2", "1"]


def test_only_the_newest_deployments_are_kept(stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment_records, "MAX_KEPT", 3)
    for number in range(1, 6):
        keep(stage, str(number))
    assert list_versions() == ["3", "4", "5"]
    assert sorted(path.name for path in (home / ".chutes/deployments" / CHUTE_ID).iterdir()) == [
        "000003",
        "000004",
        "000005",
    ]


def test_deployments_to_another_api_are_separate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment_records, "MAX_KEPT", 2)
    keep(stage, "1")
    for version in ("1", "2", "3"):
        keep(stage, version, api_url="http://127.0.0.1:8000")
    assert list_versions() == ["1"]
    assert [each.version for each in list_deployments(CHUTE_ID, "http://127.0.0.1:8000")] == ["2", "3"]


def test_a_number_that_another_process_takes_is_skipped(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(stage, "1")
    with monkeypatch.context() as patched:
        patched.setattr(deployment_records, "_list_numbers", lambda folder: [])
        keep(stage, "2")
    assert list_versions() == ["1", "2"]


def test_an_unreadable_record_is_left_out(stage: Stage, home: Path) -> None:
    for number in range(1, 8):
        keep(stage, str(number))
    folder = home / ".chutes/deployments" / CHUTE_ID
    (folder / "000001/deployment.json").write_text("[")
    (folder / "000002/deploy_ocr.py").unlink()
    record = folder / "000003/deployment.json"
    record.write_text(record.read_text().replace('"deploy_ocr.py"', '"../000004/deploy_ocr.py"', 1))
    (folder / "000004/deployment.json").write_text("{}")
    (folder / "000005/deployment.json").write_text("[" * 100_000)
    record = folder / "000006/deployment.json"
    record.write_text(record.read_text().replace('"source": "', '"source": "\\u0000', 1))
    (folder / "not-a-number").mkdir()
    assert list_versions() == ["7"]


def test_a_failure_leaves_nothing_behind(stage: Stage, home: Path) -> None:
    keep(stage, "1")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(deployment_records, "_MAX_ATTEMPTS", 1)
        patched.setattr(deployment_records, "_list_numbers", lambda folder: [])
        with pytest.raises(OSError, match="changes too fast"):
            keep(stage, "2")
    assert [path.name for path in (home / ".chutes/deployments" / CHUTE_ID).iterdir()] == ["000001"]


def test_a_home_that_cannot_be_written_is_an_error(stage: Stage, home: Path) -> None:
    home.mkdir()
    (home / ".chutes").write_text("a file")
    assert list_versions() == []
    with pytest.raises(NotADirectoryError):
        keep(stage, "1")


@pytest.mark.parametrize("chute_id", ["../../etc", "", "x" * 36])
def test_an_id_that_is_not_the_platforms_is_refused(stage: Stage, chute_id: str) -> None:
    with pytest.raises(WrapperError, match="invalid id"):
        list_deployments(chute_id, API)


def make_records(versions: Sequence[str]) -> list[DeploymentRecord]:
    return [
        DeploymentRecord(
            number=number,
            module=Path("deploy_ocr.py"),
            source=Path("deploy_ocr.py"),
            version=version,
            image="ocr:v1",
            api_url=API,
            public=False,
            deployed_at=datetime.now(timezone.utc),
            program="1",
            cords=(),
        )
        for number, version in enumerate(versions)
    ]


@pytest.mark.parametrize(
    ("versions", "present", "before"),
    [
        ("12", "2", "1"),
        ("123", "2", "1"),
        ("1232", "2", "1"),  # rolled back once, and then once more
        ("12321", "1", None),
        ("12324", "4", "2"),  # 3 was undone
        ("1122", "2", "1"),
        ("1", "1", None),
        ("12", "9", None),  # deployed elsewhere
        ("1232", "3", None),  # undone here, and deployed again elsewhere
        ("", "1", None),
    ],
)
def test_the_version_before_is_the_one_that_was_deployed_before(
    versions: str, present: str, before: str | None
) -> None:
    record = find_version_before(make_records(versions), present)
    assert (record.version if record else None) == before
