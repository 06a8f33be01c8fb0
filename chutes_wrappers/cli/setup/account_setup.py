"""Set-up of an account: register, link or copy it, verify it, and write the SDK's configuration file.

Seeds, keys, tokens and fingerprints are never printed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.files import read_small_file
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.setup_secrets import TOKEN_VARIABLE
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.account import registration, wallets, website_link
from chutes_wrappers.host.account.account_variables import fetch_account_of_variables, read_account_variables
from chutes_wrappers.host.account.config_file import check_writable, format_config, write_with_backup
from chutes_wrappers.host.account.credentials import find_hotkey_problem, parse_account
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.account.website_link import WebsiteLogin
from chutes_wrappers.host.platform_api.api_urls import InvalidApiUrl, resolve_api_url
from chutes_wrappers.sdk.username import get_config_path

_MAX_CONFIG_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class AccountSummary:
    """The account in the configuration file ``file``, without secrets. ``backup`` is the copy of the file that it replaced."""

    url: str
    username: str
    user_id: str
    hotkey: str
    payment_address: str
    balance: float | None
    file: Path
    backup: Path | None
    fingerprint_file: Path | None = None

    def to_data(self) -> dict[str, object]:
        """Return the summary for ``--json``."""
        paths = {"file": self.file, "backup": self.backup, "fingerprint_file": self.fingerprint_file}
        return {
            **{
                name: getattr(self, name)
                for name in ("url", "username", "user_id", "hotkey", "payment_address", "balance")
            },
            **{name: None if path is None else str(path) for name, path in paths.items()},
        }


def make_wallet() -> Hotkey:
    """Create a wallet and return its hotkey; WrapperError if the account file is not writable or the API not reachable."""
    check_writable(get_config_path())
    registration.check_reachable(find_api_url())
    hotkey = wallets.create_wallet(wallets.get_wallets_folder())
    location = wallets.get_wallets_folder() / hotkey.wallet
    output.success(f"created a new wallet in {location}")
    output.warning(
        "its files are not encrypted, and everyone who has them controls the account: keep a copy in a safe place"
    )
    return hotkey


def find_api_url() -> str:
    """Return the API of a new account; the default if the configuration, which is replaced, cannot be read."""
    try:
        return resolve_api_url()
    except InvalidApiUrl:
        raise
    except ConfigurationError:
        return resolve_api_url("")


def warn_of_overridden_api() -> None:
    """Print a warning if ``CHUTES_API_URL`` names another API than the account's file, which has priority."""
    url, chosen_url = find_api_url(), os.environ.get(registration.API_VARIABLE, "").strip()
    if chosen_url and not registration.is_same_api(url, chosen_url):
        output.warning(f"base_url in {get_config_path()} overrides {registration.API_VARIABLE}: the API is {url}")


def report_needs(url: str) -> None:
    """Print what a registration at ``url`` needs. Call it before the first question."""
    output.show(f"To register a new account at {url}, you need:")
    for need in registration.describe_needs(url):
        output.show(f"  - {need}")


def register_account(username: str, hotkey: Hotkey, token: str) -> AccountSummary:
    """Register ``username`` for ``hotkey``, and save the account; WrapperError if the platform rejects it."""
    url = find_api_url()
    # With --allow a username may have any characters.
    login_file = get_config_path().with_name(f"fingerprint-{re.sub('[^A-Za-z0-9_-]', '_', username)}")
    check_writable(get_config_path(), login_file)
    output.report(f"registering {username} at {url}")
    if registration.is_token_required(url):
        deposit = f"{platform_rules.REGISTRATION_DEPOSIT_TAO:g} TAO"
        output.report(f"the platform requires {deposit} on the wallet's coldkey {hotkey.coldkey}, free and not staked")
    registered = registration.register_account(url, username, hotkey, token)
    if registered.fingerprint:  # first: the platform returns it only once
        write_with_backup(login_file, registered.fingerprint + "\n")
        output.warning(
            f"{login_file} is the login of the website and cannot be requested again: keep a copy, and show it to nobody"
        )
    else:
        path = wallets.get_wallets_folder() / hotkey.wallet / "hotkeys" / hotkey.name
        output.warning(
            "the login of the website was lost with a response of the platform; this command sets a new one: "
            f"{NAMES.sdk} refinger --hotkey-path {shlex.quote(str(path))}"
        )
    written = _write_config(format_config(registered.account))
    platform_account = registration.fetch_account(url, hotkey.seed, registered.account.user_id)
    return _report_account(written, platform_account, login_file if registered.fingerprint else None)


def ask_token(url: str) -> str:
    """Return the registration token for the API at ``url`` from a prompt."""
    output.show("The platform requires a token against automatic registrations.")
    if registration.is_token_required(url):
        minutes = platform_rules.REGISTRATION_TOKEN_S // 60
        output.show(f"It is valid for {minutes} minutes. Get a new one at")
        output.show(f"  {registration.TOKEN_PAGE}")
    return prompts.ask_text("Token (it is not shown)", None, hidden=True)


def find_token(url: str) -> str:
    """Return the registration token for the API at ``url``; empty if the API does not require one."""
    token = registration.read_token(url)
    if token or not registration.is_token_required(url):
        return token
    if not prompts.is_possible():
        problem = ConfigurationError(
            "the platform requires a registration token",
            next_step=f"get one at {registration.TOKEN_PAGE}, and set {TOKEN_VARIABLE}",
        )
        refuse("registration-token", problem)
        return ""
    return ask_token(url)


def link_account(hotkey: Hotkey, key: str) -> AccountSummary:
    """Save the account of the API key ``key``; WrapperError unless ``hotkey`` signs for that account."""
    url = find_api_url()
    linked = registration.link_account(url, key, hotkey)
    platform_account = registration.fetch_account(url, hotkey.seed, linked.user_id)
    return _report_account(_write_config(format_config(linked)), platform_account)


def log_in(fingerprint: str) -> WebsiteLogin:
    """Return the account of the website with this fingerprint. Raises WrapperError, also if the account file is not writable."""
    check_writable(get_config_path())
    login = website_link.log_in(find_api_url(), website_link.check_fingerprint(fingerprint))
    output.success(f"the fingerprint is that of {login.username}")
    return login


def confirm_hotkey(login: WebsiteLogin, new_hotkey: str, *, is_confirmed: bool) -> bool:
    """Warn that the account gets the hotkey with the name ``new_hotkey``, and ask unless ``is_confirmed``. Return whether it may.

    An account without a hotkey loses nothing: no question.
    """
    if not login.hotkey:
        return True
    output.warning(
        f"this replaces the hotkey of the account {login.username}, which is {login.hotkey}, and its coldkey. Files with that hotkey "
        "on other machines stop working"
    )
    if is_confirmed:
        return True
    if not prompts.is_possible():
        raise ConfigurationError(
            f"cannot confirm the new hotkey of {login.username}: standard input is not a terminal",
            next_step="add --yes, or name the wallet of the account's own hotkey with --wallet",
        )
    with contextlib.suppress(prompts.Quit, prompts.Back):
        if prompts.ask_yes_no(f"Replace it by the hotkey {new_hotkey}?"):
            return True
    output.report(f"the account {login.username} is unchanged")
    return False


def link_website_account(login: WebsiteLogin, hotkey: Hotkey) -> AccountSummary:
    """Give the account ``hotkey`` unless it has it, and save it once the platform accepts a request that it signed."""
    if login.hotkey == hotkey.address:
        output.report(f"the account has the hotkey {hotkey.wallet}/{hotkey.name} already: it is unchanged")
    platform_account = website_link.give_hotkey(login, hotkey)
    linked = registration.build_account(login.url, platform_account, hotkey)
    return _report_account(_write_config(format_config(linked)), platform_account)


def use_variables() -> AccountSummary:
    """Save the account of ``CHUTES_HOTKEY_SEED``; WrapperError unless the platform knows it."""
    check_writable(get_config_path())
    account, platform_account = fetch_account_of_variables(read_account_variables())
    return _report_account(_write_config(format_config(account)), platform_account)


def use_config_file(path: Path) -> AccountSummary:
    """Save a copy of the configuration file ``path``, "-" for standard input; WrapperError unless the platform knows its account."""
    source, content = _read_config_source(path)
    try:
        credentials = parse_account(content, source)
    except ConfigurationError as invalid:
        invalid.next_step = f"use a complete configuration file of an account, as {NAMES.account} writes it"
        raise
    if (problem := find_hotkey_problem(credentials)) is not None:
        raise problem
    platform_account = registration.fetch_account(resolve_api_url(content), credentials.seed, credentials.user_id)
    if clean_text(platform_account.get("username")) != credentials.username:
        raise ConfigurationError(
            f"it contains username = {credentials.username}, and the platform knows the account as {clean_text(platform_account.get('username'))}",
            where=str(source),
            next_step="correct the username in it",
        )
    return _report_account(_write_config(content), platform_account)


def _read_config_source(path: Path) -> tuple[Path, str]:
    """Return the path for messages, and the content."""
    source, target = path, get_config_path()
    try:
        if str(path) == "-":
            source, data = Path("standard input"), read_standard_input(_MAX_CONFIG_BYTES)
        else:
            source = path.expanduser()
            if target.exists() and source.samefile(target):
                raise ConfigurationError(
                    "this file is already in use", where=str(source), next_step="name another file"
                )
            with source.open("rb") as file:  # also a pipe, as of a process substitution
                data = file.read(_MAX_CONFIG_BYTES + 1)
        if not data.strip():
            raise ConfigurationError(
                "it is empty", where=str(source), next_step="give it the configuration file of an account"
            )
        if len(data) > _MAX_CONFIG_BYTES:
            raise ConfigurationError(
                f"it is larger than {_MAX_CONFIG_BYTES:,} bytes",
                where=str(source),
                next_step="name the configuration file of an account",
            )
        return source, data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, RuntimeError) as error:  # the last for ~NOBODY/file
        reason = getattr(error, "strerror", None) or (
            "no such user" if isinstance(error, RuntimeError) else "it is not UTF-8 text"
        )
        raise ConfigurationError(
            f"the file cannot be read: {reason}", where=str(source), next_step="name another file"
        ) from None


def read_standard_input(max_bytes: int) -> bytes:
    """Return what standard input has, and one byte more than ``max_bytes`` at most; nothing if it is closed."""
    if sys.stdin is None:
        return b""
    return sys.stdin.buffer.read(max_bytes + 1)


def _write_config(content: str) -> tuple[str, Path | None]:
    """Write the file unless it has this content already. Return the content, and the path of the backup or None."""
    path = get_config_path()
    if _has_content(path, content):
        with contextlib.suppress(OSError):
            os.chmod(path, 0o600)
        output.success(f"{path}: unchanged, it has this account already")
        return content, None
    if (backup := write_with_backup(path, content)) is not None:
        output.report(f"saved the previous file as {backup}")
    output.success(f"{path}: written")
    return content, backup


def _has_content(path: Path, content: str) -> bool:
    try:
        return read_small_file(path) == content.encode()
    except OSError:
        return False


def _report_account(
    written: tuple[str, Path | None], platform_account: Mapping[str, Any], fingerprint_file: Path | None = None
) -> AccountSummary:
    content, backup = written
    credentials = parse_account(content, get_config_path())
    balance = platform_account.get("balance")
    summary = AccountSummary(
        url=resolve_api_url(content),
        username=credentials.username,
        user_id=credentials.user_id,
        hotkey=credentials.address,
        payment_address=clean_text(platform_account.get("payment_address")),
        balance=balance if isinstance(balance, int | float) else None,
        file=get_config_path(),
        backup=backup,
        fingerprint_file=fingerprint_file,
    )
    balance_text = "" if summary.balance is None else f", balance ${summary.balance:,.2f}"
    output.success(f"the platform knows this account as {clean_text(platform_account.get('username'))}{balance_text}")
    output.report(f"payment address: {summary.payment_address}; next: {NAMES.deploy}")
    return summary
