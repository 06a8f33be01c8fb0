"""Packages from the registry, each set in its own virtual environment. Without the registry the tests skip with the reason; in CI they fail."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

# A cache that all runs share.
FOLDER = Path(tempfile.gettempdir()) / "chutes-wrappers-packages"
_UNREACHABLE = (
    "from versions: none",
    "Max retries exceeded",
    "NewConnectionError",
    "error sending request",
    "dns error",
)


def create_environment(*requirements: str) -> Path:
    """Return the Python of an environment with ``requirements``. Creates the environment when it does not exist."""
    return _create_folder(_install, requirements) / "bin" / "python"


def create_package_folder(requirement: str) -> Path:
    """Return a folder for PYTHONPATH with the package ``requirement``, without those that it needs. It is created once."""
    return _create_folder(_install_alone, ("--no-deps", requirement))


def _create_folder(install: Callable[[Path, tuple[str, ...]], None], requirements: tuple[str, ...]) -> Path:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    name = hashlib.sha256("\0".join([version, *requirements]).encode()).hexdigest()[:12]
    folder = FOLDER / name
    with lock_file(name):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            install(folder, requirements)
            (folder / "complete").touch()
    return folder


@contextlib.contextmanager
def lock_file(name: str) -> Iterator[None]:
    """Lock ``name`` until the context ends: one process at a time creates that environment."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(folder: Path, requirements: tuple[str, ...]) -> None:
    uv, python = shutil.which("uv"), folder / "bin" / "python"
    if uv:
        _run(uv, "venv", "-q", "--python", sys.executable, str(folder))
        _run(uv, "pip", "install", "-q", "--python", str(python), *requirements)
    else:
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(python), "-m", "pip", "install", "-q", *requirements)


def _install_alone(folder: Path, requirements: tuple[str, ...]) -> None:
    uv = shutil.which("uv")
    pip = (uv, "pip", "install", "--python", sys.executable) if uv else (sys.executable, "-m", "pip", "install")
    _run(*pip, "-q", "--target", str(folder), *requirements)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=580, check=False)
    if done.returncode == 0:
        return
    if any(sign in done.stderr for sign in _UNREACHABLE):
        skip_or_fail(f"the package registry cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    pytest.fail(f"{' '.join(argv)}: {done.stderr[-2000:]}")


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test because of ``reason``; fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
