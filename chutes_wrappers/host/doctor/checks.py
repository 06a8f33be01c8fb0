"""The checks of a machine, an account and modules. They change nothing."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.doctor.environment_checks import check_location
from chutes_wrappers.host.doctor.finding import Finding, Severity, build_reinstall_fix, run_check
from chutes_wrappers.host.doctor.import_checks import check_imports

if TYPE_CHECKING:
    from chutes_wrappers.host.container_engine.docker_engine import DockerEngine

__all__ = ["Finding", "run_checks"]

_PYTHONS = ((3, 10), (3, 13))
_LOWEST_SDK, _BELOW_SDK = (0, 6, 9), (0, 7, 0)


def run_checks(folder: Path) -> Iterator[Finding]:
    """Yield the findings about this machine, the account and the modules in ``folder``, each as soon as it is made."""
    yield from run_check("environment", "check", _check_environment)
    with contextlib.ExitStack() as stack:
        engine = _connect_engine(stack)
        groups: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
            ("docker", lambda: _check_engine(engine)),
            ("account", _check_account),
            ("wallet", _check_wallets),
            ("modules", lambda: _check_modules(folder, engine)),
        )
        for group, check in groups:
            yield from run_check(group, "check", check)


# Each group imports its modules when it runs: a missing package is one finding, and the other groups still run.


def _connect_engine(stack: contextlib.ExitStack) -> DockerEngine | WrapperError:
    try:
        from chutes_wrappers.host.doctor.engine_checks import connect_engine

        return connect_engine(stack)
    except ImportError as error:
        return WrapperError(f"{error.name} cannot be imported", next_step=build_reinstall_fix())


def _check_engine(engine: DockerEngine | WrapperError) -> Iterable[Finding]:
    from chutes_wrappers.host.doctor.engine_checks import check_engine

    return check_engine(engine)


def _check_account() -> Iterable[Finding]:
    from chutes_wrappers.host.doctor.account_checks import check_account

    return check_account()


def _check_wallets() -> Iterable[Finding]:
    from chutes_wrappers.host.doctor.wallet_checks import check_wallets

    return check_wallets()


def _check_modules(folder: Path, engine: DockerEngine | WrapperError) -> Iterable[Finding]:
    from chutes_wrappers.host.doctor.module_checks import check_modules

    return check_modules(folder, engine)


def _check_environment() -> Iterator[Finding]:
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


def _check_sdk() -> Finding:
    try:
        version = metadata.version("chutes")
    except metadata.PackageNotFoundError:
        return _make_finding("SDK", "failure", "chutes is not installed", build_reinstall_fix())
    if _LOWEST_SDK <= parse_release_numbers(version) < _BELOW_SDK:
        return _make_finding("SDK", "ok", f"chutes {version}")
    return _make_finding("SDK", "warning", f"chutes {version}", f"tested with 0.6.9 to 0.6.x: {build_reinstall_fix()}")


def parse_release_numbers(version: str) -> tuple[int, ...]:
    """Return the first three numbers of a version. A pre-release has those of its release: "0.6.11rc2" is (0, 6, 11)."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _make_finding(name: str, severity: Severity, message: str, fix: str = "") -> Finding:
    return Finding(group="environment", name=name, severity=severity, found=message, fix=fix)
