from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from chutes_wrappers.cli import bootstrap

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with our scripts and a requirements file that needs nothing."""
    for name in ("setup.sh", "deploy.sh"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(
        ROOT / "chutes_wrappers", tmp_path / "chutes_wrappers", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text("# nothing\n")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "COMPLETE", tmp_path / ".venv" / ".complete")
    monkeypatch.setattr(bootstrap, "COMPLETE_DEV", tmp_path / ".venv" / ".complete-dev")
    return tmp_path


def test_setup_makes_the_environment_once_and_repeats_safely(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["--yes"]) == 0
    assert (clone / ".venv" / "bin" / "python").exists()
    assert "installed" in capfd.readouterr().err
    assert bootstrap.main(["--yes"]) == 0
    assert "ready" in capfd.readouterr().err


def test_a_missing_compiler_or_header_is_named_before_anything_is_installed(
    clone: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(clone))
    assert bootstrap.main(["--yes"]) == 1
    shown = capfd.readouterr().err
    for part in ("a C compiler", "the headers of Python", "netifaces", "Next:"):
        assert part in shown
    assert not (clone / ".venv").exists()


def test_a_failed_installation_shows_the_reason_and_does_not_count_as_done(
    clone: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (clone / "requirements.txt").write_text("--no-index\nno-such-package\n")
    assert bootstrap.main(["--yes"]) == 1
    shown = capfd.readouterr().err
    assert "no-such-package" in shown
    assert "Next:" in shown
    assert not (clone / ".venv" / ".complete").exists()


def test_an_environment_that_cannot_be_made_anew_stays_as_it_was(
    clone: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bootstrap.main(["--yes", "--no-account"]) == 0
    mark = clone / ".venv" / "mark"
    mark.write_text("mine")
    monkeypatch.setattr(bootstrap, "_is_of_another_python", lambda: True)
    (clone / "requirements.txt").write_text("--no-index\nno-such-package\n")
    assert bootstrap.main(["--yes", "--python", sys.executable]) == 1
    assert mark.exists()
    assert "is there again" in capfd.readouterr().err
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert bootstrap.main(["--yes", "--python", sys.executable]) == 1
    assert "a C compiler" in capfd.readouterr().err
    assert [path.name for path in clone.glob(".venv*")] == [".venv"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--acc"], "unrecognized"),
        (["--register", "me"], "need --account"),
        (["--account", "--no-account"], "not allowed"),
        (["--account", "--yes"], "answers as flags"),
    ],
)
def test_wrong_usage_of_setup_is_said(
    clone: Path, capfd: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as end:
        bootstrap.main(flags)
    assert end.value.code == 2
    assert said in capfd.readouterr().err
    assert not (clone / ".venv").exists()


def test_help_names_the_flags_of_the_account(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bootstrap.main(["--help"])
    told = capfd.readouterr().out
    assert all(flag in told for flag in ("--register", "--wallet", "--link", "--config", "--key", "--python", "--yes"))


def test_deploy_sh_sets_up_by_itself_and_says_so(clone: Path) -> None:
    environment = {**os.environ, "CHUTES_WRAPPERS_PYTHON": sys.executable}
    done = subprocess.run(
        [clone / "deploy.sh", "--help"], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert "setting it up first" in done.stderr
    assert (clone / ".venv" / ".complete").exists()


@pytest.mark.parametrize("is_absolute", [True, False])
def test_the_scripts_find_their_project_through_links(clone: Path, is_absolute: bool) -> None:
    folder = clone / "elsewhere"
    folder.mkdir()
    for name in ("setup.sh", "deploy.sh"):
        (folder / f"to-{name}").symlink_to(clone / name if is_absolute else Path("..") / name)
        (folder / name).symlink_to(f"to-{name}")
    environment = {**os.environ, "CHUTES_WRAPPERS_PYTHON": sys.executable}
    for name in ("setup.sh", "deploy.sh"):
        argv = [str(folder / name), "--help"]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert "No such file" not in done.stderr
    assert (clone / ".venv" / ".complete").exists()


def test_scripts_stay_under_forty_lines() -> None:
    for name in ("setup.sh", "deploy.sh", "test.sh"):
        assert len((ROOT / name).read_text().splitlines()) < 40


def test_a_machine_without_a_fitting_python_is_told_so(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("dirname", "bash"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [clone / "setup.sh", "--yes"], env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "3.10" in done.stderr
    assert "Next:" in done.stderr


@pytest.mark.parametrize(
    "flag", [["--python", sys.executable], [f"--python={sys.executable}"]], ids=["apart", "joined"]
)
def test_a_named_python_of_another_version_makes_the_environment_anew(clone: Path, flag: list[str]) -> None:
    older = clone / ".venv" / "bin" / "python"
    older.parent.mkdir(parents=True)
    older.write_text("#!/bin/sh\necho Python 3.9.1\n")
    older.chmod(0o755)
    done = subprocess.run([clone / "setup.sh", "--yes", *flag], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "has Python 3.9.1: it is made anew" in done.stderr
    version = subprocess.run([older, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    assert version == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize("named", ["no-such-python", "/bin/sh"])
def test_a_named_python_that_does_not_fit_is_not_replaced_by_another(clone: Path, named: str) -> None:
    for flags, variables in ((["--python", named], {}), ([], {"CHUTES_WRAPPERS_PYTHON": named})):
        done = subprocess.run(
            [clone / "setup.sh", "--yes", *flags],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert f"{named} is no Python 3.10 to 3.13" in done.stderr
        assert "Next:" in done.stderr
        assert not (clone / ".venv").exists()
