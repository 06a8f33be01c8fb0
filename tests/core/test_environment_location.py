from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.core.environment_location import STAMP, is_same_folder, read_creation_path


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    return tmp_path / ".venv"


def stamp(environment: Path, text: str) -> None:
    (environment / STAMP).write_text(text)


def activate(environment: Path, text: str) -> None:
    (environment / "bin" / "activate").write_text(text)


def test_deploy_sh_reads_the_same_stamp() -> None:
    assert STAMP == ".complete"


def test_the_stamp_contains_the_creation_path(environment: Path) -> None:
    stamp(environment, "/here/.venv\n")
    activate(environment, "VIRTUAL_ENV=/there/.venv\n")
    assert read_creation_path(environment) == Path("/here/.venv")


@pytest.mark.parametrize("text", [None, "", "yes\n"])
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_without_a_valid_stamp_the_activation_script_is_read(environment: Path, text: str | None, quote: str) -> None:
    if text is not None:
        stamp(environment, text)
    activate(environment, f"deactivate\nVIRTUAL_ENV={quote}/there/my env{quote}\nexport VIRTUAL_ENV\n")
    assert read_creation_path(environment) == Path("/there/my env")


def test_without_stamp_and_script_the_path_is_unknown(environment: Path) -> None:
    assert read_creation_path(environment) is None
    activate(environment, "VIRTUAL_ENV=$PWD\n")
    assert read_creation_path(environment) is None


def test_a_path_that_is_not_utf8_is_read(environment: Path) -> None:
    (environment / STAMP).write_bytes(b"/h\xff")
    assert read_creation_path(environment) == Path("/h\udcff")


def test_two_paths_to_one_folder_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "link").symlink_to("one")
    assert is_same_folder(tmp_path / "one", tmp_path / "link")
    assert not is_same_folder(tmp_path / "one", tmp_path)
    assert not is_same_folder(tmp_path / "one", tmp_path / "none")
    assert not is_same_folder(tmp_path / "none", tmp_path / "none")
