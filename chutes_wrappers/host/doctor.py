"""What may be wrong with a machine, an account or a module: looked at, never changed."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, EngineUnavailable, WrapperError
from chutes_wrappers.host import platform_api
from chutes_wrappers.host.credentials import AccountCredentials, NoCredentials, account
from chutes_wrappers.host.docker_engine import DockerEngine, connect
from chutes_wrappers.host.doctor_modules import Severity, module_findings
from chutes_wrappers.host.modules import PROJECT_ROOT
from chutes_wrappers.host.platform_api import PlatformApi, PlatformRefused
from chutes_wrappers.host.platform_objects import account_info
from chutes_wrappers.sdk.account import config_file

_PYTHONS = ((3, 10), (3, 13))
_LOWEST_SDK, _BELOW_SDK = (0, 6, 9), (0, 7, 0)
_LEAST_FREE_BYTES = 10 * 1024**3
_GB = 1024**3
_NONCE_MARGIN_S = 60


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was looked at, what was ``found``, how bad it is, and the exact ``fix`` (empty where nothing is to do)."""

    group: str
    name: str
    severity: Severity
    found: str
    fix: str = ""


def examine(folder: Path) -> Iterator[Finding]:
    """Every finding about this machine, the account, and the modules in ``folder``, in order, as each is made."""
    groups: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
        ("environment", _environment),
        ("docker", _docker),
        ("account", _account),
        ("wallet", _wallet),
        ("modules", lambda: _modules(folder)),
    )
    for group, look in groups:
        try:
            yield from look()
        except WrapperError as failure:
            yield _finding(group, "check", "failure", str(failure.what), failure.next_step or "correct it")


def _finding(group: str, name: str, severity: Severity, found: str, fix: str = "") -> Finding:
    return Finding(group=group, name=name, severity=severity, found=found, fix=fix)


def _environment() -> Iterator[Finding]:
    version = sys.version_info[:2]
    found = f"Python {sys.version.split()[0]} at {sys.executable}"
    if _PYTHONS[0] <= version <= _PYTHONS[1]:
        yield _finding("environment", "Python", "ok", found)
    else:
        yield _finding("environment", "Python", "failure", found, "./setup.sh --python python3.12")
    in_venv = sys.prefix != sys.base_prefix
    yield _finding(
        "environment",
        "virtual environment",
        "ok" if in_venv else "warning",
        sys.prefix if in_venv else "none: the system's own packages are used",
        "" if in_venv else "run ./setup.sh, and use ./deploy.sh",
    )
    try:
        sdk = metadata.version("chutes")
    except metadata.PackageNotFoundError:
        yield _finding("environment", "SDK", "failure", "chutes is not installed", "run ./setup.sh")
        return
    tested = _LOWEST_SDK <= _numbers(sdk) < _BELOW_SDK
    yield _finding(
        "environment",
        "SDK",
        "ok" if tested else "warning",
        f"chutes {sdk}",
        "" if tested else "tested with 0.6.9 to 0.6.x: run ./setup.sh again",
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split(".")[:3])


def _docker() -> Iterator[Finding]:
    if shutil.which("docker") is None:
        yield _finding(
            "docker", "command", "note", "no docker command", "install it to look at images; only its engine is needed"
        )
    try:
        engine = connect()
    except (EngineUnavailable, ConfigurationError) as unavailable:
        evidence = f" ({unavailable.evidence})" if unavailable.evidence else ""
        fix = f"{unavailable.next_step}; not needed to deploy what is discovered already"
        yield _finding("docker", "engine", "warning", f"{unavailable.what}{evidence}", fix)
        return
    try:
        yield from _engine(engine)
    finally:
        engine.close()


def _engine(engine: DockerEngine) -> Iterator[Finding]:
    told = engine.info()
    yield _finding("docker", "engine", "ok", f"{told.get('ServerVersion')} on {told.get('OperatingSystem')}")
    machine = str(told.get("Architecture"))
    if machine not in ("x86_64", "amd64"):
        fix = "builds are emulated and slow: build on the platform (--build without --local), or on an amd64 machine"
        yield _finding("docker", "architecture", "warning", machine, fix)
    runtimes = told.get("Runtimes") or {}
    if "nvidia" not in runtimes:
        fix = "install the NVIDIA Container Toolkit to run GPU images here; others run without"
        yield _finding("docker", "GPU runtime", "note", "none", fix)
    folder = str(told.get("DockerRootDir") or "")
    if os.path.isdir(folder):
        free = shutil.disk_usage(folder).free
        if free < _LEAST_FREE_BYTES:
            fix = "free some, for instance with `docker system prune`: a wrapped image takes its base and about 1 GB"
            yield _finding("docker", "disk space", "warning", f"{free / _GB:.1f} GB free in {folder}", fix)
        else:
            yield _finding("docker", "disk space", "ok", f"{free / _GB:.0f} GB free")


def _account() -> Iterator[Finding]:
    path = config_file()
    if not path.exists() and not path.is_symlink():
        fix = "run ./setup.sh --account; not needed to emulate and to build here"
        yield _finding("account", "file", "warning", f"there is no {path}", fix)
        return
    try:
        own = account()
    except ConfigurationError as wrong:
        fix = f"{wrong.next_step or 'register or link it again: ./setup.sh --account'}"
        yield _finding("account", "file", "failure", f"{path}: {wrong.what}", fix)
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield _finding("account", "mode", "warning", f"{path} may be read by others ({mode:o})", f"chmod 600 {path}")
    yield _finding("account", "file", "ok", f"{own.username} in {path}")
    named = os.environ.get("CHUTES_USERNAME")
    if named and named != own.username:
        fix = "unset CHUTES_USERNAME, or name that user's file in CHUTES_CONFIG_PATH"
        yield _finding("account", "CHUTES_USERNAME", "failure", f"{named}, and the account is {own.username}", fix)
    yield from _platform(own)


def _platform(own: AccountCredentials) -> Iterator[Finding]:
    try:
        url = platform_api.api_url()
        timeout_s = platform_api.request_timeout_s()
        with PlatformApi(url, NoCredentials(), timeout_s=timeout_s) as api:
            skew_s = _skew_s(api.date("/ping", "asking for the time"))
    except WrapperError as failure:
        fix = f"{failure.next_step or 'check the network'}; base_url is in {own.file}"
        yield _finding("account", "platform", "failure", f"{failure.what} ({failure.where or ''})", fix)
        return
    if skew_s is not None and abs(skew_s) > platform_rules.NONCE_WINDOW_S - _NONCE_MARGIN_S:
        fix = "set this machine's clock (timedatectl set-ntp true): signatures are valid for 600 s"
        yield _finding("account", "clock", "failure", f"{abs(skew_s):.0f} s {'ahead' if skew_s > 0 else 'behind'}", fix)
    try:
        with PlatformApi(url, own, timeout_s=timeout_s) as api:
            told = api.get("/users/me", "asking for the account", purpose="me")
    except (PlatformRefused, ConfigurationError) as refused:
        fix = refused.next_step or "check hotkey_seed and hotkey_ss58address, which belong together"
        yield _finding("account", "signature", "failure", f"{refused.what}: {refused.evidence or ''}", fix)
        return
    user = account_info(told, platform_rules.PUBLIC_CHUTES_BIT, platform_rules.PUBLIC_CHUTES_PERMISSION)
    if user.username != own.username:
        fix = f"write username = {user.username} into {own.file}"
        yield _finding("account", "username", "failure", f"the platform knows this hotkey as {user.username}", fix)
    yield _finding("account", "signature", "ok", f"{url} takes it")
    if user.balance is not None and user.balance < platform_rules.LOWEST_BUILD_BALANCE:
        fix = f"pay in to {user.payment_address}, or build here with --local"
        found = f"${user.balance:,.2f}; a build on the platform needs ${platform_rules.LOWEST_BUILD_BALANCE:g}"
        yield _finding("account", "balance", "warning", found, fix)
    elif user.balance is not None:
        yield _finding("account", "balance", "ok", f"${user.balance:,.2f}")


def _skew_s(date: str) -> float | None:
    """Seconds that this machine's clock is ahead of the API's; None where that does not say its time."""
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


def _wallet() -> Iterator[Finding]:
    folder = Path.home() / ".bittensor" / "wallets"
    if not folder.is_dir():
        yield _finding(
            "wallet",
            "wallets",
            "note",
            f"none in {folder}",
            "./setup.sh --account makes one; needed only for an account of the platform",
        )
        return
    hotkeys = sorted(folder.glob("*/hotkeys/*"))
    unreadable = [path for path in hotkeys if not os.access(path, os.R_OK)]
    if unreadable:
        yield _finding("wallet", "hotkey", "warning", f"{unreadable[0]} cannot be read", f"chmod u+r {unreadable[0]}")
    exposed = [path for path in hotkeys if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if exposed:
        yield _finding("wallet", "mode", "warning", f"{exposed[0]} may be read by others", f"chmod 600 {exposed[0]}")
    yield _finding("wallet", "wallets", "ok", f"{len(hotkeys)} hotkeys in {folder}")


def _modules(folder: Path) -> Iterator[Finding]:
    paths = sorted(folder.glob("deploy_*.py")) or sorted(PROJECT_ROOT.glob("deploy_*.py"))
    if not paths:
        yield _finding(
            "modules", "modules", "note", f"no deploy_*.py in {folder}", "./deploy.sh --create IMAGE makes one"
        )
    with contextlib.ExitStack() as stack:
        engine = None
        with contextlib.suppress(EngineUnavailable, ConfigurationError):
            engine = stack.enter_context(contextlib.closing(connect()))
        for path in paths:
            for severity, found, fix in module_findings(path, engine):
                yield _finding("modules", path.name, severity, found, fix)
