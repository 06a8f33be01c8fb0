"""Checks of the account, its API key, and the connection to the platform."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import stat
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account.api_key import get_key_path, get_key_source, is_key_in_environment, read_api_key
from chutes_wrappers.host.account.credentials import (
    AccountCredentials,
    Credentials,
    NoCredentials,
    find_hotkey_problem,
    read_account,
)
from chutes_wrappers.host.account.key_access import KeyAccess, KeyState, inspect_key
from chutes_wrappers.host.doctor.finding import Finding, Severity, format_error, run_check
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import (
    PlatformApi,
    PlatformRequestFailed,
    PlatformUnreachable,
    UnexpectedResponse,
)
from chutes_wrappers.host.platform_api.api_urls import resolve_api_url
from chutes_wrappers.host.platform_api.objects import AccountInfo, parse_account
from chutes_wrappers.sdk.username import get_config_path

_NONCE_MARGIN_S = 60
_DEFAULT_TIMEOUT_S = 10.0
_ACCOUNT_COMMAND = f"{NAMES.account}"
_KEY_SEVERITIES: dict[KeyState, Severity] = {
    KeyState.INVOKE: "ok",
    KeyState.LIMITED: "note",
    KeyState.UNKNOWN: "warning",
    KeyState.ADMIN: "note",
    KeyState.OTHER: "warning",
    KeyState.FOREIGN: "warning",
    KeyState.INVALID: "failure",
}


def check_account() -> Iterator[Finding]:
    """Check the account's file, the account on the platform, and the API key."""
    yield from run_check("account", "file", _check_account_file)
    yield from run_check("account", "API key", _check_api_key)


def _check_account_file() -> Iterator[Finding]:
    path = get_config_path()
    try:
        status = path.stat()
    except FileNotFoundError:
        message = f"{path} is a broken symbolic link" if path.is_symlink() else f"{path} does not exist"
        yield _make_finding(
            "file", "warning", message, f"run {_ACCOUNT_COMMAND}; not needed for --emulate and local builds"
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
        fix = "unset CHUTES_USERNAME, or set CHUTES_CONFIG_PATH to that user's file"
        yield _make_finding("CHUTES_USERNAME", "failure", f"{username}, but the account is {credentials.username}", fix)
    yield from _check_platform(credentials)


def _select_fix(path: Path, error: ConfigurationError, command: str) -> str:
    """Return the fix for a file that cannot be used; ``command`` creates a new one."""
    if path.is_dir():
        return f"move the folder {path} away, then {command}"
    if not os.access(path, os.R_OK):
        return f"chmod 600 {shlex.quote(str(path))}"
    return error.next_step or f"move {path} away, then {command}"


def _check_mode(name: str, path: Path, mode: int) -> Iterator[Finding]:
    exposed_bits = stat.S_IMODE(mode) & 0o077
    if exposed_bits:
        message = f"{path} is readable by others ({stat.S_IMODE(mode):o})"
        yield _make_finding(name, "warning", message, f"chmod 600 {shlex.quote(str(path))}")


def _check_platform(credentials: AccountCredentials) -> Iterator[Finding]:
    try:
        with _create_api(NoCredentials()) as api:
            skew_s = _compute_clock_skew_s(api.fetch_date("/ping", "requesting the time"))
    except ConfigurationError as error:
        yield _make_finding("platform", "failure", format_error(error), error.next_step or "")
        return
    except WrapperError as error:
        fix = f"set base_url in {credentials.file} to the platform's API: its /ping needs no credentials"
        fix = _build_outage_fix(credentials) if _is_outage(error) else fix
        yield _make_finding("platform", "failure", format_error(error), fix)
        return
    if skew_s is not None and abs(skew_s) > platform_rules.NONCE_WINDOW_S - _NONCE_MARGIN_S:
        fix = f"set this machine's clock (timedatectl set-ntp true): signatures are valid for {platform_rules.NONCE_WINDOW_S} s"
        yield _make_finding("clock", "failure", f"{abs(skew_s):.0f} s {'ahead' if skew_s > 0 else 'behind'}", fix)
    if (problem := find_hotkey_problem(credentials)) is not None:
        yield _make_finding("signature", "failure", format_error(problem), problem.next_step or "")
        return
    try:
        response = _fetch_account(credentials)
    except WrapperError as error:
        yield _make_refusal_finding(error, credentials)
        return
    yield from _check_user(
        credentials, parse_account(response, platform_rules.PUBLIC_CHUTES_BIT, platform_rules.PUBLIC_CHUTES_PERMISSION)
    )


def _is_outage(error: WrapperError) -> bool:
    """Return whether the platform itself fails: no response, too many requests, a 5xx, or a page in the place of JSON."""
    if isinstance(error, PlatformRequestFailed):
        return error.status == HTTPStatus.TOO_MANY_REQUESTS or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, PlatformUnreachable | UnexpectedResponse)


def _build_outage_fix(credentials: AccountCredentials) -> str:
    return (
        "try again later: the platform is failing or in maintenance, which says nothing about the account. If it lasts, check "
        f"the network, and base_url in {credentials.file}"
    )


def _make_refusal_finding(error: WrapperError, credentials: AccountCredentials) -> Finding:
    """Return the finding for a refused request of the account, by the API's reason (api-observed 14 to 20)."""
    if _is_outage(error):
        return _make_finding("platform", "failure", format_error(error), _build_outage_fix(credentials))
    fix = error.next_step or f"link the account again: {_ACCOUNT_COMMAND}"
    if "could not find user with" in (error.evidence or "").lower():
        fix = (
            f"check base_url in {credentials.file}: the API there has no account with this hotkey. Or register or link it with "
            f"{_ACCOUNT_COMMAND}"
        )
    elif isinstance(error, PlatformRequestFailed) and error.status == HTTPStatus.FORBIDDEN:
        fix = "log in on the website, and check the state of the account: the platform refuses it"
    return _make_finding("signature", "failure", format_error(error), fix)


def _check_user(credentials: AccountCredentials, user: AccountInfo) -> Iterator[Finding]:
    if user.username != credentials.username:
        fix = f"set username = {user.username} in {credentials.file}"
        yield _make_finding("username", "failure", f"on the platform, this hotkey belongs to {user.username}", fix)
    yield _make_finding("signature", "ok", f"{resolve_api_url()} accepts it")
    if user.balance is None or not math.isfinite(user.balance):
        yield _make_finding("balance", "note", "the platform does not return it")
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
            "API key", "failure", format_error(error), _select_fix(path, error, "write only the key into it")
        )
        return
    if path.exists():
        yield from _check_mode("API key's mode", path, path.stat().st_mode)
    if key is None:
        return
    account = _read_usable_account()
    try:
        access = inspect_key(key, account, _create_api)
    except WrapperError as error:  # no URL or no response: the key is not the cause
        yield _make_finding("API key", "note", f"not tested: {format_error(error)}")
        return
    yield _make_key_finding(access, account)


def _read_usable_account() -> AccountCredentials | None:
    """Return the account if its file and hotkey are valid; other checks report the problems."""
    with contextlib.suppress(ConfigurationError):
        account = read_account()
        return account if find_hotkey_problem(account) is None else None
    return None


def _make_key_finding(access: KeyAccess, account: AccountCredentials | None) -> Finding:
    message = f"the key in {get_key_source()} {access.description}"
    if access.state is KeyState.INVOKE:
        message += "; the first call shows whether it is accepted"
    if account is None and access.state is KeyState.UNKNOWN:
        return _make_finding("API key", "note", message)
    severity = _KEY_SEVERITIES[access.state]
    can_call = access.state is KeyState.ADMIN or (access.listed is not None and access.listed.can_call)
    if access.state is KeyState.ADMIN:
        message += "; calls and --logs take it, and a key that may only call is safer"
    elif access.state is KeyState.OTHER:
        message += "; calls take it" if can_call else "; calls need a key that may invoke chutes"
        severity = "note" if can_call else severity
    command = f"{_ACCOUNT_COMMAND} --key"
    fix = f"unset {get_key_source()}, then run {command}" if is_key_in_environment() else f"run {command} to replace it"
    if access.state is KeyState.UNKNOWN:
        fix = f"if calls get 401, {fix}"
    return _make_finding("API key", severity, message, "" if severity in ("ok", "note") else fix)


def _fetch_account(credentials: Credentials) -> Mapping[str, Any]:
    with _create_api(credentials) as api:
        return api.get("/users/me", "requesting the account", purpose="me")


def _create_api(credentials: Credentials) -> PlatformApi:
    """Return the platform's API with a timeout of at most 10 s, unless CHUTES_API_TIMEOUT is set."""
    timeout_s = api_client.read_request_timeout_s()
    is_configured = bool(os.environ.get(api_client.TIMEOUT_VARIABLE, "").strip())
    return PlatformApi(
        resolve_api_url(),
        credentials,
        timeout_s=timeout_s if is_configured else min(timeout_s, _DEFAULT_TIMEOUT_S),
    )


def _compute_clock_skew_s(date: str) -> float | None:
    """Return the seconds by which this machine's clock is ahead of the API's; None when ``date`` is invalid."""
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


def _make_finding(name: str, severity: Severity, message: str, fix: str = "") -> Finding:
    return Finding(group="account", name=name, severity=severity, found=message, fix=fix)
