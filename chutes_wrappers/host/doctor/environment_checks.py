"""Checks of the Python environment: its version and location, the SDK, and all imports."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from chutes_wrappers.core.environment_location import is_same_folder, read_creation_path
from chutes_wrappers.core.program import IS_INSTALLED, NAMES, PROJECT_FILES
from chutes_wrappers.core.sdk_versions import TESTED_SDKS
from chutes_wrappers.host.doctor.finding import Finding, Severity, build_reinstall_fix
from chutes_wrappers.host.doctor.import_checks import check_imports

_PYTHONS = ((3, 10), (3, 13))
_SETUP = PROJECT_FILES / "setup.sh"


def check_environment() -> Iterator[Finding]:
    """Check Python, the virtual environment and its location, the SDK, and all imports."""
    version = sys.version_info[:2]
    message = f"Python {sys.version.split()[0]} at {sys.executable}"
    if _PYTHONS[0] <= version <= _PYTHONS[1]:
        yield _make_finding("Python", "ok", message)
    else:
        yield _make_finding("Python", "failure", message, NAMES.other_python)
    is_in_venv = sys.prefix != sys.base_prefix
    yield _make_finding(
        "virtual environment",
        "ok" if is_in_venv else "warning",
        sys.prefix if is_in_venv else "none: the system's packages are used",
        "" if is_in_venv else NAMES.reinstall,
    )
    yield from check_location()
    yield _check_sdk()
    yield from check_imports()


def check_location() -> Iterator[Finding]:
    """Yield a failure when an environment of setup.sh was moved or copied here, and nothing otherwise."""
    prefix = Path(sys.prefix)
    original = read_creation_path(prefix)
    if original is not None and not is_same_folder(original, prefix):
        message = f"{prefix} was created at {original}: its scripts, including chutes, use that path"
        fix = NAMES.reinstall if IS_INSTALLED else f"run {shlex.quote(str(_SETUP))}, which creates it again"
        yield _make_finding("place", "failure", message, fix)


def _check_sdk() -> Finding:
    try:
        version = metadata.version("chutes")
    except metadata.PackageNotFoundError:
        return _make_finding("SDK", "failure", "chutes is not installed", build_reinstall_fix())
    if version in TESTED_SDKS:
        return _make_finding("SDK", "ok", f"chutes {version}")
    message = f"chutes {version} is not tested; tested are {' and '.join(TESTED_SDKS)}"
    return _make_finding("SDK", "warning", message, build_reinstall_fix())


def _make_finding(name: str, severity: Severity, message: str, fix: str = "") -> Finding:
    return Finding(group="environment", name=name, severity=severity, found=message, fix=fix)
