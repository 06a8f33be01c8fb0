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
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, api_key, key_file
from chutes_wrappers.host.account.credentials import (
    AccountCredentials,
    Credentials,
    KeyCredentials,
    NoCredentials,
    account,
    hotkey_problem,
)
from chutes_wrappers.host.doctor.finding import Finding, Severity, guarded, said
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRefused
from chutes_wrappers.host.platform_api.objects import AccountInfo, account_info, plain
from chutes_wrappers.sdk.username import config_file

_NONCE_MARGIN_S = 60
_LONGEST_S = 10.0
_AGAIN = f"{NAMES.account}"
_UNKNOWN_KEY = 401  # one that is known, but may not read the account (403), may call a chute all the same


def account_findings() -> Iterator[Finding]:
    """About the account's file, what the platform says of the account, and the API key."""
    yield from guarded("account", "file", _file)
    yield from guarded("account", "API key", _key)


def _file() -> Iterator[Finding]:
    path = config_file()
    try:
        status = path.stat()
    except FileNotFoundError:
        found = f"{path} leads nowhere" if path.is_symlink() else f"there is no {path}"
        yield _finding("file", "warning", found, f"run {_AGAIN}; not needed to emulate and to build here")
        return
    try:
        own = account()
    except ConfigurationError as wrong:
        yield _finding("file", "failure", f"{path}: {wrong.what}", _cure(path, wrong, _AGAIN))
        return
    yield from _mode("mode", path, status.st_mode)
    yield _finding("file", "ok", f"{own.username} in {path}")
    named = os.environ.get("CHUTES_USERNAME")
    if named and named != own.username:
        fix = "unset CHUTES_USERNAME, or name that user's file in CHUTES_CONFIG_PATH"
        yield _finding("CHUTES_USERNAME", "failure", f"{named}, and the account is {own.username}", fix)
    yield from _platform(own)


def _cure(path: Path, wrong: ConfigurationError, again: str) -> str:
    """What mends a file that cannot be used, where ``again`` makes a new one."""
    if path.is_dir():
        return f"it is a folder: move {path} away, then {again}"
    if not os.access(path, os.R_OK):
        return f"chmod 600 {shlex.quote(str(path))}"
    return wrong.next_step or f"move {path} away, then {again}"


def _mode(name: str, path: Path, mode: int) -> Iterator[Finding]:
    exposed = stat.S_IMODE(mode) & 0o077
    if exposed:
        found = f"{path} may be read by others ({stat.S_IMODE(mode):o})"
        yield _finding(name, "warning", found, f"chmod 600 {shlex.quote(str(path))}")


def _platform(own: AccountCredentials) -> Iterator[Finding]:
    try:
        with _api(NoCredentials()) as api:
            skew_s = _skew_s(api.date("/ping", "asking for the time"))
    except PlatformRefused as refused:
        fix = f"base_url in {own.file} must be the platform's API: its /ping asks nobody who they are"
        yield _finding("platform", "failure", said(refused), fix)
        return
    except ConfigurationError as wrong:
        yield _finding("platform", "failure", said(wrong), wrong.next_step or "")
        return
    except WrapperError as failure:
        fix = f"{failure.next_step or 'check the network'}; base_url is in {own.file}"
        yield _finding("platform", "failure", said(failure), fix)
        return
    if skew_s is not None and abs(skew_s) > platform_rules.NONCE_WINDOW_S - _NONCE_MARGIN_S:
        fix = "set this machine's clock (timedatectl set-ntp true): signatures are valid for 600 s"
        yield _finding("clock", "failure", f"{abs(skew_s):.0f} s {'ahead' if skew_s > 0 else 'behind'}", fix)
    if (problem := hotkey_problem(own)) is not None:
        yield _finding("signature", "failure", said(problem), problem.next_step or "")
        return
    try:
        told = _me(own)
    except (PlatformRefused, ConfigurationError) as refused:
        yield _finding("signature", "failure", said(refused), refused.next_step or f"link the account again: {_AGAIN}")
        return
    yield from _user(own, account_info(told, platform_rules.PUBLIC_CHUTES_BIT, platform_rules.PUBLIC_CHUTES_PERMISSION))


def _user(own: AccountCredentials, user: AccountInfo) -> Iterator[Finding]:
    if user.username != own.username:
        fix = f"write username = {user.username} into {own.file}"
        yield _finding("username", "failure", f"the platform knows this hotkey as {user.username}", fix)
    yield _finding("signature", "ok", f"{api_client.api_url()} takes it")
    if user.balance is None or not math.isfinite(user.balance):
        yield _finding("balance", "note", "the platform does not tell it")
    elif user.balance < platform_rules.LOWEST_BUILD_BALANCE:
        fix = f"pay in to {user.payment_address}, or build here with --local"
        found = f"${user.balance:,.2f}; a build on the platform needs ${platform_rules.LOWEST_BUILD_BALANCE:g}"
        yield _finding("balance", "warning", found, fix)
    else:
        yield _finding("balance", "ok", f"${user.balance:,.2f}")


def _key() -> Iterator[Finding]:
    path = key_file()
    try:
        key = api_key()
    except ConfigurationError as wrong:
        yield _finding("API key", "failure", said(wrong), _cure(path, wrong, "write the key alone into it"))
        return
    if path.exists():
        yield from _mode("API key's mode", path, path.stat().st_mode)
    if key is None:
        return
    source = KEY_VARIABLE if os.environ.get(KEY_VARIABLE, "").strip() else str(path)
    try:
        owner = plain(_me(KeyCredentials(key=key)).get("username"))
    except PlatformRefused as refused:
        is_refused = refused.status == _UNKNOWN_KEY
        fix = f"take it out of {source}; then {_AGAIN} --key makes another"
        yield _finding("API key", "failure" if is_refused else "note", said(refused), fix if is_refused else "")
    except WrapperError as failure:  # no address, or no answer: it is not the key's fault
        yield _finding("API key", "note", f"not tried: {said(failure)}")
    else:
        yield _owned(owner, source)


def _owned(owner: str, source: str) -> Finding:
    """The finding about a key of ``owner``'s, which may be another user than the account's."""
    with contextlib.suppress(ConfigurationError):
        if (name := account().username) != owner:
            fix = f"take it out of {source}; then {_AGAIN} --key makes one of {name}'s"
            return _finding("API key", "warning", f"that of {source} is {owner}'s, and the account is {name}", fix)
    return _finding("API key", "ok", f"the platform takes that of {source}")


def _me(credentials: Credentials) -> Mapping[str, Any]:
    with _api(credentials) as api:
        return api.get("/users/me", "asking for the account", purpose="me")


def _api(credentials: Credentials) -> PlatformApi:
    """The platform's API, which a doctor does not wait long for, unless told to."""
    given_s = api_client.request_timeout_s()
    is_told = bool(os.environ.get(api_client.TIMEOUT_VARIABLE, "").strip())
    return PlatformApi(api_client.api_url(), credentials, timeout_s=given_s if is_told else min(given_s, _LONGEST_S))


def _skew_s(date: str) -> float | None:
    """Seconds that this machine's clock is ahead of the API's; None where that does not say its time."""
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


def _finding(name: str, severity: Severity, found: str, fix: str = "") -> Finding:
    return Finding(group="account", name=name, severity=severity, found=found, fix=fix)
