"""The checks of a machine, an account and modules. They change nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.doctor.environment_checks import check_environment
from chutes_wrappers.host.doctor.finding import Finding, build_reinstall_fix, run_check

if TYPE_CHECKING:
    from chutes_wrappers.host.container_engine.docker_engine import DockerEngine

__all__ = ["Finding", "run_checks"]


def run_checks(folder: Path, modules_to_run: Sequence[Path] = ()) -> Iterator[Finding]:
    """Yield the findings about this machine, the account and modules, each as soon as it is made.

    The modules are ``modules_to_run``. Without any they are those in ``folder``, of which nothing is run.
    """
    yield from run_check("environment", "check", check_environment)
    with contextlib.ExitStack() as stack:
        engine = _connect_engine(stack)
        groups: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
            ("docker", lambda: _check_engine(engine)),
            ("account", _check_account),
            ("wallet", _check_wallets),
            ("modules", lambda: _check_modules(folder, engine, modules_to_run)),
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


def _check_modules(
    folder: Path, engine: DockerEngine | WrapperError, modules_to_run: Sequence[Path]
) -> Iterable[Finding]:
    from chutes_wrappers.host.doctor.module_checks import check_modules

    return check_modules(folder, engine, modules_to_run)
