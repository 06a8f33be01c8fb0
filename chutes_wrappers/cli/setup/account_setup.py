"""Set-up of an account: register, link or copy it, verify it, and write the SDK's configuration file.

Seeds, keys and tokens are never printed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.account import registration, wallets
from chutes_wrappers.host.account.config_file import check_writable, format_config, write_with_backup
from chutes_wrappers.host.account.credentials import find_hotkey_problem, parse_account
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.platform_api.api_client import InvalidApiUrl, resolve_api_url
from chutes_wrappers.sdk.username import get_config_path


def make_wallet() -> Hotkey:
    """Create a wallet and return its hotkey; WrapperError if the account file is not writable or the API not reachable."""
    check_writable(get_config_path())
    registration.check_reachable(_find_api_url())
    hotkey = wallets.create_wallet(wallets.get_wallets_folder())
    location = wallets.get_wallets_folder() / hotkey.wallet
    output.success(f"created a new wallet in {location}")
    output.warning(
        "its files are not encrypted, and everyone who has them controls the account: keep a copy in a safe place"
    )
    return hotkey


def _find_api_url() -> str:
    """Return the API of a new account; the default if the configuration, which is replaced, cannot be read."""
    try:
        return resolve_api_url()
    except InvalidApiUrl:
        raise
    except ConfigurationError:
        return resolve_api_url("")


def register_account(username: str, hotkey: Hotkey) -> None:
    """Register ``username`` for ``hotkey``, and save the account; WrapperError if the platform rejects it."""
    path, url = get_config_path(), _find_api_url()
    login_file = path.with_name(f"fingerprint-{username}")
    check_writable(path, login_file)
    token = _find_registration_token(url)
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
    _save_config(format_config(registered.account))
    _report_account(registration.fetch_account(url, hotkey.seed, registered.account.user_id))


def _find_registration_token(url: str) -> str:
    """Return the registration token for the API at ``url``; empty if the API does not require one."""
    token = os.environ.get(registration.TOKEN_VARIABLE, "").strip()
    if token or not registration.is_token_required(url):
        return token
    if not prompts.is_possible():
        problem = ConfigurationError(
            "the platform requires a registration token",
            next_step=f"get one at {registration.TOKEN_PAGE}, and set {registration.TOKEN_VARIABLE}",
        )
        refuse("registration-token", problem)
        return ""
    output.show("The platform requires a token against automatic registrations. Get one at")
    output.show(f"  {registration.TOKEN_PAGE}")
    return prompts.ask_text("Token (it is not shown)", None, hidden=True)


def link_account(hotkey: Hotkey, key: str) -> None:
    """Save the account of the API key ``key``; WrapperError unless ``hotkey`` signs for that account."""
    url = _find_api_url()
    linked = registration.link_account(url, key, hotkey)
    platform_account = registration.fetch_account(url, hotkey.seed, linked.user_id)
    _save_config(format_config(linked))
    _report_account(platform_account)


def use_config_file(path: Path) -> None:
    """Save a copy of the configuration file ``path``; WrapperError unless the platform knows its account."""
    source, target = path, get_config_path()
    try:
        source = path.expanduser()
        is_in_use = source.samefile(target) if target.exists() else False
        content = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, RuntimeError) as error:  # the last for ~NOBODY/file
        reason = getattr(error, "strerror", None) or (
            "no such user" if isinstance(error, RuntimeError) else "it is not UTF-8 text"
        )
        raise ConfigurationError(
            f"the file cannot be read: {reason}", where=str(source), next_step="name another file"
        ) from None
    if is_in_use:
        raise ConfigurationError("this file is already in use", where=str(source), next_step="name another file")
    credentials = parse_account(content, source)
    if (problem := find_hotkey_problem(credentials)) is not None:
        raise problem
    platform_account = registration.fetch_account(resolve_api_url(content), credentials.seed, credentials.user_id)
    if clean_text(platform_account.get("username")) != credentials.username:
        raise ConfigurationError(
            f"it contains username = {credentials.username}, and the platform knows the account as {clean_text(platform_account.get('username'))}",
            where=str(source),
            next_step="correct the username in it",
        )
    _save_config(content)
    _report_account(platform_account)


def _save_config(content: str) -> None:
    path = get_config_path()
    if (backup := write_with_backup(path, content)) is not None:
        output.report(f"saved the previous file as {backup}")
    output.success(f"{path}: written")


def _report_account(platform_account: Mapping[str, Any]) -> None:
    balance = platform_account.get("balance")
    balance_text = f", balance ${balance:,.2f}" if isinstance(balance, int | float) else ""
    output.success(f"the platform knows this account as {clean_text(platform_account.get('username'))}{balance_text}")
    output.report(f"payment address: {clean_text(platform_account.get('payment_address'))}; next: {NAMES.deploy}")
