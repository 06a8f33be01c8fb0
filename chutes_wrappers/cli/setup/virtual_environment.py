"""The environment ``.venv``: checks, creation and replacement. Needs only the standard library."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections import deque
from pathlib import Path

from chutes_wrappers.core import sdk_versions
from chutes_wrappers.core.environment_location import STAMP, is_same_folder, read_creation_path
from chutes_wrappers.core.setup_secrets import remove_setup_secrets

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
COMPLETE = VENV / STAMP
COMPLETE_DEV = VENV / ".complete-dev"
_HEARTBEAT_S = 5.0


def find_fault(*, is_python_chosen: bool) -> str | None:
    """Return why the existing environment must be replaced, as words after its name; None if there is no reason."""
    if not os.path.lexists(VENV):
        return None
    version = get_python_version()
    if not version:
        return "has no working Python"
    major_minor = ".".join(version.split(".")[:2])
    if is_python_chosen and major_minor != _get_running_version():
        return f"has Python {version}"
    if not (VENV / "lib" / f"python{major_minor}").exists():
        return f"was created with another Python than {version}, which it has now"
    location = read_creation_path(VENV)
    return f"was created in {location.parent}" if location is not None and not is_same_folder(location, VENV) else None


def write_stamps(*paths: Path) -> None:
    """Write the stamps of a complete environment, with its path; for a link, the path of its target."""
    location = os.fsencode(read_creation_path(VENV) or VENV)
    for path in paths:
        path.write_bytes(location)


def complete_stamp() -> None:
    """Add the path to a stamp of an earlier version, which has none."""
    with contextlib.suppress(OSError):  # the folder is read-only: the next run looks the path up again
        if not COMPLETE.read_bytes():
            COMPLETE.write_bytes(os.fsencode(read_creation_path(VENV) or VENV))


def is_current(stamp: Path, *, dev: bool) -> bool:
    """Return whether the installation of ``stamp`` is newer than the requirements."""
    files = [ROOT / "requirements.txt"] + ([ROOT / "requirements-dev.txt"] if dev else [])
    return stamp.exists() and all(stamp.stat().st_mtime > file.stat().st_mtime for file in files)


def make_environment(requirements: Path, fault: str | None) -> bool:
    """Create the environment, and return whether that succeeded.

    An environment with a ``fault`` is replaced, and restored if the installation fails.
    """
    if problem := _find_missing_parts(is_new=fault is not None or not COMPLETE.exists()):
        print_line(problem)
        return False
    backup = VENV.with_name(f"{VENV.name}.replaced")
    if fault is not None and not _move_aside(backup, fault):
        return False
    is_installed = False
    try:
        is_installed = _install(requirements)
    finally:
        if fault is not None and not is_installed:
            shutil.rmtree(VENV, ignore_errors=True)
            backup.rename(VENV)
            print_line(f"Restored the previous {VENV.name}")
    if is_installed:
        _remove(backup)
    return is_installed


def _move_aside(backup: Path, fault: str) -> bool:
    print_line(f"{VENV.name} {fault}: creating it again")
    try:
        _remove(backup)
        VENV.rename(backup)
    except OSError as error:
        print_line(f"✗ {VENV} cannot be replaced ({error.strerror})")
        print_line(f"  Next: let your user write to {ROOT}, then run ./setup.sh again")
        return False
    return True


def _remove(path: Path) -> None:
    """Remove a folder or a link, not the link's target; a missing path is ignored."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _find_missing_parts(*, is_new: bool) -> str | None:
    """Return a message about what the installation lacks; None if it is complete, or if the environment exists."""
    version, sdk = _get_running_version(), sdk_versions.get_default_sdk()
    missing = []
    if is_compiling := sdk_versions.is_compiled(sdk):
        if not any(shutil.which(compiler) for compiler in ("cc", "gcc", "clang")):
            missing.append(("a C compiler", "gcc libc6-dev"))
        if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
            missing.append((f"the headers of Python {version}", f"python{version}-dev"))
    if not shutil.which("uv") and importlib.util.find_spec("ensurepip") is None and is_new:
        missing.append(("Python's venv module", f"python{version}-venv"))
    if not missing or not is_new:
        return None
    reason = f" (netifaces of chutes {sdk} is compiled during installation)" if is_compiling else ""
    return (
        f"✗ missing: {', '.join(name for name, _ in missing)}{reason}\n"
        f"  Next: install them (Debian, Ubuntu: apt-get install {' '.join(package for _, package in missing)}; "
        "Fedora, RHEL: the packages that correspond, such as gcc and python3-devel), then run this again"
    )


def _install(requirements: Path) -> bool:
    uv = shutil.which("uv")
    if not PYTHON.exists():
        print_line(f"Creating {VENV.name} with Python {sys.version.split()[0]} ({'uv' if uv else 'venv'})")
        base = _find_base_python()
        if not _run_command([uv, "venv", "--python", base, str(VENV)] if uv else [base, "-I", "-m", "venv", str(VENV)]):
            return False
    print_line(f"Installing {requirements.name} (about 250 MB the first time)")
    if uv:
        return _run_command([uv, "pip", "install", "--python", str(PYTHON), "-r", str(requirements)])
    return _run_command(
        [str(PYTHON), "-I", "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)]
    )


def _find_base_python() -> str:
    """Return this Python; if it belongs to the environment, which may be replaced now, the Python that created it."""
    prefix = Path(sys.prefix)
    if prefix.parent.resolve() / prefix.name != VENV:
        return sys.executable
    base = Path(sys.base_prefix, "bin", f"python{_get_running_version()}")
    return str(base) if base.exists() else os.path.realpath(sys.executable)


def _run_command(argv: list[str]) -> bool:
    """Run a command, and return whether it succeeded; print its latest line, and after a failure its last 30."""
    tail: deque[str] = deque(maxlen=30)
    started_at = last_output_at = time.monotonic()
    with subprocess.Popen(
        argv,
        env=remove_setup_secrets(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            tail.append(line)
            if time.monotonic() - last_output_at > _HEARTBEAT_S:
                last_output_at = time.monotonic()
                print_line(f"  {last_output_at - started_at:3.0f} s  {line.strip()[:100]}")
    if process.returncode == 0:
        return True
    for line in tail:
        print_line(f"  | {line}")
    print_line(f"✗ {os.path.basename(argv[0])} failed with exit code {process.returncode}")
    print_line("  Next: fix the errors above, then run ./setup.sh again; it continues where it stopped")
    return False


def get_python_version() -> str:
    """Return the version of the environment's Python; empty if it does not start, which ``-V`` does not detect."""
    argv = [str(PYTHON), "-I", "-c", "import sys; print('Python', sys.version.split()[0])"]
    try:
        stdout = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
    return stdout.strip().removeprefix("Python ")


def _get_running_version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def print_line(line: str) -> None:
    """Print a line to standard error, without buffering."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
