from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from chutes_wrappers.cli.setup import bootstrap, virtual_environment
from chutes_wrappers.core import sdk_versions
from tests.traps import spread_traps

ROOT = Path(__file__).resolve().parents[3]
# Replaces the used commands of uv by this Python's venv and pip; saves the seconds of installing pip in each environment.
UV = f"""#!{sys.executable} -I
import subprocess, sys

match sys.argv[1:]:
    case ["venv", "--python", base, folder]:
        argv = [base, "-I", "-m", "venv", "--without-pip", folder]
    case ["pip", "install", "--python", python, "-r", requirements]:
        options = ["--disable-pip-version-check", "-r", requirements]
        argv = [sys.executable, "-I", "-m", "pip", "--python", python, "install", *options]
sys.exit(subprocess.run(argv).returncode)
"""


@pytest.fixture(scope="module")
def folder_of_uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uv")
    (folder / "uv").write_text(UV)
    (folder / "uv").chmod(0o755)
    return folder


@pytest.fixture
def uv(folder_of_uv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a uv on PATH; without this fixture venv and pip create the environments, unless the machine has uv."""
    monkeypatch.setenv("PATH", f"{folder_of_uv}:{os.environ['PATH']}")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with our scripts and an empty requirements file, also used by code in this process."""
    edit_checkout(copy_checkout(tmp_path), monkeypatch)
    return tmp_path


def copy_checkout(folder: Path) -> Path:
    for name in ("setup.sh", "deploy.sh"):
        shutil.copy(ROOT / name, folder)
    for name in ("chutes_wrappers", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.txt", "requirements-dev.txt"):
        (folder / name).write_text("# nothing\n")
        os.utime(folder / name, (0, 0))
    return folder


def edit_checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = virtual_environment.ROOT
    for name in ("ROOT", "VENV", "PYTHON", "COMPLETE", "COMPLETE_DEV"):
        inside = getattr(virtual_environment, name).relative_to(old)
        monkeypatch.setattr(virtual_environment, name, folder / inside)


def run(*argv: str | Path, code: int = 0, **variables: str) -> str:
    """Run a script with this Python, and return its standard error; fails for another exit code."""
    environment = {**os.environ, "CHUTES_WRAPPERS_PYTHON": sys.executable, **variables}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr


def test_setup_creates_the_environment_once_and_is_idempotent(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
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
    output_text = capfd.readouterr().err
    for part in ("a C compiler", "the headers of Python", "netifaces", "Next:"):
        assert part in output_text
    assert not (clone / ".venv").exists()


def test_no_compiler_is_asked_for_where_the_sdk_has_wheels(
    clone: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(clone))
    monkeypatch.setattr(sdk_versions, "get_default_sdk", lambda: "0.6.11")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert bootstrap.main(["--yes"]) == 1
    output_text = capfd.readouterr().err
    assert "missing: Python's venv module\n" in output_text
    assert "compile" not in output_text


@pytest.mark.usefixtures("uv")
def test_a_failed_installation_shows_the_reason_and_does_not_count_as_done(
    clone: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (clone / "requirements.txt").write_text("--no-index\nno-such-package\n")
    assert bootstrap.main(["--yes"]) == 1
    output_text = capfd.readouterr().err
    assert "no-such-package" in output_text
    assert "Next:" in output_text
    assert not (clone / ".venv" / ".complete").exists()


@pytest.mark.usefixtures("uv")
def test_a_failed_replacement_restores_the_previous_environment(
    clone: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bootstrap.main(["--yes", "--no-account"]) == 0
    mark = clone / ".venv" / "mark"
    mark.write_text("mine")
    (clone / ".venv" / ".complete").write_text("/elsewhere/.venv")
    (clone / "requirements.txt").write_text("--no-index\nno-such-package\n")
    assert bootstrap.main(["--yes"]) == 1
    assert mark.exists()
    assert "Restored the previous .venv" in capfd.readouterr().err
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert bootstrap.main(["--yes"]) == 1
    assert "a C compiler" in capfd.readouterr().err
    assert [path.name for path in clone.glob(".venv*")] == [".venv"]


@pytest.mark.parametrize(
    ("flags", "output_text"),
    [
        (["--acc"], "unrecognized"),
        (["--register", "me"], "need --account"),
        (["--account", "--no-account"], "not allowed"),
        (["--account", "--yes"], "answers as flags"),
    ],
)
def test_invalid_arguments_of_setup_are_reported(
    clone: Path, capfd: pytest.CaptureFixture[str], flags: list[str], output_text: str
) -> None:
    with pytest.raises(SystemExit) as end:
        bootstrap.main(flags)
    assert end.value.code == 2
    assert output_text in capfd.readouterr().err
    assert not (clone / ".venv").exists()


def test_help_names_the_flags_of_the_account(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bootstrap.main(["--help"])
    output_text = capfd.readouterr().out
    assert all(
        flag in output_text for flag in ("--register", "--wallet", "--link", "--config", "--key", "--python", "--yes")
    )


@pytest.mark.usefixtures("uv")
def test_deploy_sh_runs_setup_first_and_reports_it(
    clone: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    sprung = tmp_path_factory.mktemp("sprung")
    spread_traps(clone, sprung)
    monkeypatch.chdir(clone)
    output_text = run("./deploy.sh", "--help", code=1, PYTHONPATH=":.")  # nothing was installed
    assert "setting it up first" in output_text
    assert "the package click is missing" in output_text
    assert (clone / ".venv" / ".complete").read_text() == str(clone / ".venv")
    assert list(sprung.iterdir()) == []


@pytest.fixture(scope="module")
def installed_checkout(tmp_path_factory: pytest.TempPathFactory, folder_of_uv: Path) -> Path:
    """A clone after its set-up. A test that moves it must move it back."""
    folder = copy_checkout(tmp_path_factory.mktemp("made"))
    run(folder / "setup.sh", "--yes", "--no-account", PATH=f"{folder_of_uv}:{os.environ['PATH']}")
    return folder


def is_bound_to(folder: Path) -> bool:
    """Return whether activation and console scripts point to the environment there, and its stamp has its path."""
    environment = folder / ".venv"
    scripts = [path.read_text() for name in ("activate", "pip") if (path := environment / "bin" / name).exists()]
    return (environment / ".complete").read_text() == str(environment) and all(
        str(environment) in script for script in scripts
    )


@pytest.mark.usefixtures("uv")
def test_a_copied_checkout_gets_a_new_environment_and_the_original_is_unchanged(
    installed_checkout: Path, tmp_path: Path
) -> None:
    shutil.copytree(installed_checkout, tmp_path / "copy", symlinks=True)
    before = {path: path.lstat().st_mtime_ns for path in installed_checkout.rglob("*")}
    assert run(tmp_path / "copy" / "deploy.sh", _DEPLOY_SH_COMPLETE="bash_complete") == ""
    output_text = run(tmp_path / "copy" / "deploy.sh", "--help", code=1)
    assert f".venv was created in {installed_checkout}: creating it again" in output_text
    assert is_bound_to(tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy").glob(".venv*")] == [".venv"]
    assert before == {path: path.lstat().st_mtime_ns for path in installed_checkout.rglob("*")}
    assert "setting it up" not in run(tmp_path / "copy" / "deploy.sh", "--help", code=1)


def test_a_moved_checkout_keeps_the_python_of_its_environment(
    installed_checkout: Path, folder_of_uv: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "with space"
    shutil.copytree(installed_checkout, tmp_path / "first", symlinks=True)
    (tmp_path / "first" / ".venv" / ".complete").write_text(str(tmp_path / "first" / ".venv"))
    (tmp_path / "first").rename(moved)
    path = f"{folder_of_uv}:/usr/bin:/bin"
    output_text = run(moved / "setup.sh", "--yes", "--no-account", CHUTES_WRAPPERS_PYTHON="", PATH=path)
    assert f".venv was created in {tmp_path / 'first'}: creating it again" in output_text
    assert is_bound_to(moved)
    version = [str(moved / ".venv" / "bin" / "python"), "-V"]
    assert subprocess.run(version, capture_output=True, text=True, check=True).stdout.split()[1] in sys.version


def test_an_unmoved_checkout_keeps_its_environment(installed_checkout: Path, tmp_path: Path) -> None:
    installed_checkout.rename(tmp_path / "there")
    (tmp_path / "there").rename(installed_checkout)
    (tmp_path / "link").symlink_to(installed_checkout)
    for folder in (installed_checkout, tmp_path / "link"):
        assert "setting it up" not in run(folder / "deploy.sh", "--help", code=1)
        assert "ready" in run(folder / "setup.sh", "--yes", "--no-account")
    assert is_bound_to(installed_checkout)


@pytest.mark.usefixtures("uv")
def test_an_environment_that_another_checkout_links_to_keeps_its_path(installed_checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(installed_checkout, other, symlinks=True, ignore=shutil.ignore_patterns(".venv"))
    (other / ".venv").symlink_to(installed_checkout / ".venv")
    (other / "requirements.txt").touch()
    assert "installed into .venv" in run(other / "setup.sh", "--yes", "--no-account")
    assert is_bound_to(installed_checkout)


@pytest.mark.parametrize("is_absolute", [True, False])
def test_the_scripts_find_their_project_through_links(
    installed_checkout: Path, tmp_path: Path, is_absolute: bool
) -> None:
    for name in ("setup.sh", "deploy.sh"):
        target = installed_checkout / name if is_absolute else os.path.relpath(installed_checkout / name, tmp_path)
        (tmp_path / f"to-{name}").symlink_to(target)
        (tmp_path / name).symlink_to(f"to-{name}")
    assert "ready" in run(tmp_path / "setup.sh", "--yes", "--no-account")
    assert "the package click is missing" in run(tmp_path / "deploy.sh", "--help", code=1)


def test_a_read_only_folder_is_reported(installed_checkout: Path, tmp_path: Path) -> None:
    shutil.copytree(installed_checkout, tmp_path / "copy", symlinks=True)
    unshare = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no permission to mount here")
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$0/deploy.sh" --help'
    argv = [*unshare, "sh", "-c", script, str(tmp_path / "copy")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert f"{tmp_path}/copy/.venv cannot be replaced (Read-only file system)" in done.stderr
    assert f"Next: let your user write to {tmp_path}/copy" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def bare(clone: Path) -> Path:
    """A clone with a minimal environment, created without an installation."""
    venv.create(clone / ".venv", symlinks=True, with_pip=False)
    (clone / ".venv" / ".complete").write_text("")
    return clone


def fault() -> str | None:
    return virtual_environment.find_fault(is_python_chosen=False)


def test_an_old_stamp_without_a_path_gets_the_path(bare: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["--yes"]) == 0
    assert "ready" in capfd.readouterr().err
    assert (bare / ".venv" / ".complete").read_text() == str(bare / ".venv")


def test_a_moved_environment_with_an_old_stamp_is_detected(
    bare: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path_factory.mktemp("moved")
    (bare / ".venv").rename(moved / ".venv")
    edit_checkout(moved, monkeypatch)
    assert fault() == f"was created in {bare}"


def test_a_link_to_the_environment_of_another_checkout_is_valid(
    bare: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / ".venv").symlink_to(bare / ".venv")
    edit_checkout(other, monkeypatch)
    assert fault() is None


def test_an_environment_without_its_python_is_replaced(bare: Path) -> None:
    python = bare / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert fault() == "has no working Python"
    assert "setting it up first" in run(bare / "deploy.sh", "--help", CHUTES_WRAPPERS_PYTHON="/nowhere", code=2)


def test_an_environment_whose_python_was_upgraded_is_replaced(bare: Path) -> None:
    (bare / ".venv" / "lib").rename(bare / ".venv" / "library")
    assert "was created with another Python" in str(fault())


def test_scripts_stay_under_forty_lines() -> None:
    for name in ("setup.sh", "deploy.sh", "test.sh"):
        assert len((ROOT / name).read_text().splitlines()) < 40


def test_a_missing_supported_python_is_reported(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("dirname", "bash"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [clone / "setup.sh", "--yes"], env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "3.10" in done.stderr
    assert "Next:" in done.stderr


@pytest.mark.usefixtures("uv")
def test_a_python_of_another_version_replaces_the_environment(clone: Path) -> None:
    older = clone / ".venv" / "bin" / "python"
    older.parent.mkdir(parents=True)
    older.write_text("#!/bin/sh\necho Python 3.9.1\n")
    older.chmod(0o755)
    argv: list[str | Path] = [clone / "setup.sh", "--yes", "--python", sys.executable]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "has Python 3.9.1: creating it again" in done.stderr
    version = subprocess.run([older, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    assert version == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize("named", ["no-such-python", "/bin/sh"])
def test_an_unsupported_python_argument_has_no_fallback(clone: Path, named: str) -> None:
    ways: tuple[tuple[list[str], dict[str, str]], ...]
    ways = ((["--python", named], {}), ([f"--python={named}"], {}), ([], {"CHUTES_WRAPPERS_PYTHON": named}))
    for flags, variables in ways:
        done = subprocess.run(
            [clone / "setup.sh", "--yes", *flags],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert f"{named} is not a Python 3.10 to 3.13" in done.stderr
        assert "Next:" in done.stderr
        assert not (clone / ".venv").exists()


@pytest.mark.parametrize("arguments", [["--fingerprint", "CANARY"], ["--fingerprint=CANARY"], ["CANARY"]])
def test_a_value_of_an_unknown_flag_is_not_printed(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bootstrap.main(arguments)
    output_text = capfd.readouterr().err
    assert "flags of the account need --account" in output_text
    assert "CANARY" not in output_text
