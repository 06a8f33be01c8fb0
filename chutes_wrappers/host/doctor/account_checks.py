"""What may be wrong with the account, its API key, and the way to the platform."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import stat
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, get_key_path, read_api_key
from chutes_wrappers.host.account.credentials import (
    AccountCredentials,
    Credentials,
    KeyCredentials,
    NoCredentials,
    find_hotkey_problem,
    read_account,
)
from chutes_wrappers.host.doctor.finding import Finding, Severity, format_error, run_check
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.objects import AccountInfo, clean_text, parse_account
from chutes_wrappers.sdk.username import get_config_path

_NONCE_MARGIN_S = 60
_DEFAULT_TIMEOUT_S = 10.0
_ACCOUNT_COMMAND = f"{NAMES.account}"
_UNAUTHORIZED = 401  # one that is known, but may not read the account (403), may call a chute all the same


def check_account() -> Iterator[Finding]:
    """About the account's file, what the platform says of the account, and the API key."""
    yield from run_check("account", "file", _check_account_file)
    yield from run_check("account", "API key", _check_api_key)


def _check_account_file() -> Iterator[Finding]:
    path = get_config_path()
    try:
        status = path.stat()
    except FileNotFoundError:
        message = f"{path} leads nowhere" if path.is_symlink() else f"there is no {path}"
        yield _make_finding(
            "file", "warning", message, f"run {_ACCOUNT_COMMAND}; not needed to emulate and to build here"
        )
        return
    try:
        credentials = read_account()
    except ConfigurationError as error:
        yield _make_finding("file", "failure", f"{path}: {error.what}", _select_fix(path, error, _ACCOUNT_COMMAND))
        return
    yield from _check_mode("mode", path, status.st_mode)
    yield _make_finding("file", "ok", f"{credentials.username} in {path}")
    username = os.environ.get("CHUTES_USERNAME")
    if username and username != credentials.username:
        fix = "unset CHUTES_USERNAME, or name that user's file in CHUTES_CONFIG_PATH"
        yield _make_finding("CHUTES_USERNAME", "failure", f"{username}, and the account is {credentials.username}", fix)
    yield from _check_platform(credentials)


def _select_fix(path: Path, error: ConfigurationError, command: str) -> str:
    """What mends a file that cannot be used, where ``again`` makes a new one."""
    if path.is_dir():
        return f"it is a folder: move {path} away, then {command}"
    if not os.access(path, os.R_OK):
        return f"chmod 600 {shlex.quote(str(path))}"
    return error.next_step or f"move {path} away, then {command}"


def _check_mode(name: str, path: Path, mode: int) -> Iterator[Finding]:
    exposed_bits = stat.S_IMODE(mode) & 0o077
    if exposed_bits:
        message = f"{path} may be read by others ({stat.S_IMODE(mode):o})"
        yield _make_finding(name, "warning", message, f"chmod 600 {shlex.quote(str(path))}")


def _check_platform(credentials: AccountCredentials) -> Iterator[Finding]:
    try:
        with _create_api(NoCredentials()) as api:
            skew_s = _compute_clock_skew_s(api.fetch_date("/ping", "asking for the time"))
    except PlatformRequestFailed as error:
        fix = f"base_url in {credentials.file} must be the platform's API: its /ping asks nobody who they are"
        yield _make_finding("platform", "failure", format_error(error), fix)
        return
    except ConfigurationError as error:
        yield _make_finding("platform", "failure", format_error(error), error.next_step or "")
        return
    except WrapperError as error:
        fix = f"{error.next_step or 'check the network'}; base_url is in {credentials.file}"
        yield _make_finding("platform", "failure", format_error(error), fix)
        return
    if skew_s is not None and abs(skew_s) > platform_rules.NONCE_WINDOW_S - _NONCE_MARGIN_S:
        fix = "set this machine's clock (timedatectl set-ntp true): signatures are valid for 600 s"
        yield _make_finding("clock", "failure", f"{abs(skew_s):.0f} s {'ahead' if skew_s > 0 else 'behind'}", fix)
    if (problem := find_hotkey_problem(credentials)) is not None:
        yield _make_finding("signature", "failure", format_error(problem), problem.next_step or "")
        return
    try:
        response = _fetch_account(credentials)
    except (PlatformRequestFailed, ConfigurationError) as error:
        yield _make_finding(
            "signature",
            "failure",
            format_error(error),
            error.next_step or f"link the account again: {_ACCOUNT_COMMAND}",
        )
        return
    yield from _check_user(
        credentials, parse_account(response, platform_rules.PUBLIC_CHUTES_BIT, platform_rules.PUBLIC_CHUTES_PERMISSION)
    )


def _check_user(credentials: AccountCredentials, user: AccountInfo) -> Iterator[Finding]:
    if user.username != credentials.username:
        fix = f"write username = {user.username} into {credentials.file}"
        yield _make_finding("username", "failure", f"the platform knows this hotkey as {user.username}", fix)
    yield _make_finding("signature", "ok", f"{api_client.resolve_api_url()} takes it")
    if user.balance is None or not math.isfinite(user.balance):
        yield _make_finding("balance", "note", "the platform does not tell it")
    elif user.balance < platform_rules.MIN_BUILD_BALANCE:
        fix = f"pay in to {user.payment_address}, or build here with --local"
        message = f"${user.balance:,.2f}; a build on the platform needs ${platform_rules.MIN_BUILD_BALANCE:g}"
        yield _make_finding("balance", "warning", message, fix)
    else:
        yield _make_finding("balance", "ok", f"${user.balance:,.2f}")


def _check_api_key() -> Iterator[Finding]:
    path = get_key_path()
    try:
        key = read_api_key()
    except ConfigurationError as error:
        yield _make_finding(
            "API key", "failure", format_error(error), _select_fix(path, error, "write the key alone into it")
        )
        return
    if path.exists():
        yield from _check_mode("API key's mode", path, path.stat().st_mode)
    if key is None:
        return
    source = KEY_VARIABLE if os.environ.get(KEY_VARIABLE, "").strip() else str(path)
    try:
        owner = clean_text(_fetch_account(KeyCredentials(key=key)).get("username"))
    except PlatformRequestFailed as error:
        is_unauthorized = error.status == _UNAUTHORIZED
        fix = f"take it out of {source}; then {_ACCOUNT_COMMAND} --key makes another"
        yield _make_finding(
            "API key", "failure" if is_unauthorized else "note", format_error(error), fix if is_unauthorized else ""
        )
    except WrapperError as error:  # no address, or no answer: it is not the key's fault
        yield _make_finding("API key", "note", f"not tried: {format_error(error)}")
    else:
        yield _check_key_owner(owner, source)


def _check_key_owner(owner: str, source: str) -> Finding:
    """The finding about a key of ``owner``'s, which may be another user than the account's."""
    with contextlib.suppress(ConfigurationError):
        if (name := read_account().username) != owner:
            fix = f"take it out of {source}; then {_ACCOUNT_COMMAND} --key makes one of {name}'s"
            return _make_finding("API key", "warning", f"that of {source} is {owner}'s, and the account is {name}", fix)
    return _make_finding("API key", "ok", f"the platform takes that of {source}")


def _fetch_account(credentials: Credentials) -> Mapping[str, Any]:
    with _create_api(credentials) as api:
        return api.get("/users/me", "asking for the account", purpose="me")


def _create_api(credentials: Credentials) -> PlatformApi:
    """The platform's API, which a doctor does not wait long for, unless told to."""
    timeout_s = api_client.read_request_timeout_s()
    is_configured = bool(os.environ.get(api_client.TIMEOUT_VARIABLE, "").strip())
    return PlatformApi(
        api_client.resolve_api_url(),
        credentials,
        timeout_s=timeout_s if is_configured else min(timeout_s, _DEFAULT_TIMEOUT_S),
    )


def _compute_clock_skew_s(date: str) -> float | None:
    """Seconds that this machine's clock is ahead of the API's; None where that does not say its time."""
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


def _make_finding(name: str, severity: Severity, message: str, fix: str = "") -> Finding:
    return Finding(group="account", name=name, severity=severity, found=message, fix=fix)
