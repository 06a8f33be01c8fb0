"""What may be wrong with a machine, an account or a module: looked at, never changed."""

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
from chutes_wrappers.host.doctor.environment_checks import place_findings
from chutes_wrappers.host.doctor.finding import Finding, Severity, guarded, reinstallation
from chutes_wrappers.host.doctor.import_checks import import_findings

if TYPE_CHECKING:
    from chutes_wrappers.host.container_engine.docker_engine import DockerEngine

__all__ = ["Finding", "examine"]

_PYTHONS = ((3, 10), (3, 13))
_LOWEST_SDK, _BELOW_SDK = (0, 6, 9), (0, 7, 0)


def examine(folder: Path) -> Iterator[Finding]:
    """Every finding about this machine, the account, and the modules in ``folder``, in order, as each is made."""
    yield from guarded("environment", "check", _environment)
    with contextlib.ExitStack() as stack:
        engine = _reached(stack)
        groups: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
            ("docker", lambda: _docker(engine)),
            ("account", _account),
            ("wallet", _wallets),
            ("modules", lambda: _modules(folder, engine)),
        )
        for group, look in groups:
            yield from guarded(group, "check", look)


# What the groups import is imported when they are looked at: what is missing is a finding, and ends no other group.


def _reached(stack: contextlib.ExitStack) -> DockerEngine | WrapperError:
    try:
        from chutes_wrappers.host.doctor.engine_checks import reached

        return reached(stack)
    except ImportError as error:
        return WrapperError(f"{error.name} cannot be imported", next_step=reinstallation())


def _docker(engine: DockerEngine | WrapperError) -> Iterable[Finding]:
    from chutes_wrappers.host.doctor.engine_checks import engine_findings

    return engine_findings(engine)


def _account() -> Iterable[Finding]:
    from chutes_wrappers.host.doctor.account_checks import account_findings

    return account_findings()


def _wallets() -> Iterable[Finding]:
    from chutes_wrappers.host.doctor.wallet_checks import wallet_findings

    return wallet_findings()


def _modules(folder: Path, engine: DockerEngine | WrapperError) -> Iterable[Finding]:
    from chutes_wrappers.host.doctor.module_checks import modules_findings

    return modules_findings(folder, engine)


def _environment() -> Iterator[Finding]:
    version = sys.version_info[:2]
    found = f"Python {sys.version.split()[0]} at {sys.executable}"
    if _PYTHONS[0] <= version <= _PYTHONS[1]:
        yield _finding("Python", "ok", found)
    else:
        yield _finding("Python", "failure", found, NAMES.other_python)
    in_venv = sys.prefix != sys.base_prefix
    yield _finding(
        "virtual environment",
        "ok" if in_venv else "warning",
        sys.prefix if in_venv else "none: the system's own packages are used",
        "" if in_venv else NAMES.reinstall,
    )
    yield from place_findings()
    yield _sdk()
    yield from import_findings()


def _sdk() -> Finding:
    try:
        version = metadata.version("chutes")
    except metadata.PackageNotFoundError:
        return _finding("SDK", "failure", "chutes is not installed", reinstallation())
    if _LOWEST_SDK <= release_numbers(version) < _BELOW_SDK:
        return _finding("SDK", "ok", f"chutes {version}")
    return _finding("SDK", "warning", f"chutes {version}", f"tested with 0.6.9 to 0.6.x: {reinstallation()}")


def release_numbers(version: str) -> tuple[int, ...]:
    """The first three numbers of a version, a pre-release's as those of its release: "0.6.11rc2" is (0, 6, 11)."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _finding(name: str, severity: Severity, found: str, fix: str = "") -> Finding:
    return Finding(group="environment", name=name, severity=severity, found=found, fix=fix)
