"""What makes an account: registered, linked or taken over, verified, and written down for the SDK.

Seeds, keys and tokens are never shown.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import write_atomically
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account import registration, wallets
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, api_key, key_file
from chutes_wrappers.host.account.config_file import check_writable, keep, text
from chutes_wrappers.host.account.credentials import account, account_in, hotkey_problem
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.platform_api.api_client import api_url
from chutes_wrappers.host.platform_api.objects import plain
from chutes_wrappers.sdk.username import config_file

_OWNERS = 0o600


def new_wallet() -> Hotkey:
    """A hotkey of a wallet that is made now; WrapperError where the account could not be kept or no platform answers."""
    check_writable(config_file())
    registration.check_reachable(_url())
    made = wallets.make(wallets.wallets_folder())
    place = wallets.wallets_folder() / made.wallet
    output.success(f"a new wallet is in {place}")
    output.warning("its files are not encrypted, and whoever has them has the account: keep a copy in a safe place")
    return made


def _url() -> str:
    """The API that a new account is for; a configuration that cannot be read does not tell it, and is replaced."""
    try:
        return api_url()
    except ConfigurationError:
        return api_url("")


def register_account(username: str, hotkey: Hotkey) -> None:
    """Register ``username`` for ``hotkey``, and keep what the platform tells; WrapperError when it refuses."""
    path, url = config_file(), _url()
    login = path.with_name(f"fingerprint-{username}")
    check_writable(path, login)
    token = _token(url)
    output.report(f"registering {username} at {url}")
    made = registration.register(url, username, hotkey, token)
    if made.fingerprint:  # first: it is told this once
        keep(login, made.fingerprint + "\n")
        output.warning(f"{login} logs in on the website, and cannot be asked for again: keep a copy, show it to nobody")
    _keep(text(made.account))
    _say_known(registration.known_account(url, hotkey.seed, made.account.user_id))


def _token(url: str) -> str:
    """The registration token for the API at ``url``; empty where it does not want one."""
    token = os.environ.get(registration.TOKEN_VARIABLE, "").strip()
    if token or not registration.needs_token(url):
        return token
    if not prompts.is_possible():
        raise ConfigurationError(
            "the platform wants a registration token",
            next_step=f"get one at {registration.TOKEN_PAGE}, and set {registration.TOKEN_VARIABLE}",
        )
    output.say(f"The platform wants a token against automatic registrations. Get one at\n  {registration.TOKEN_PAGE}")
    return prompts.text("Token (it is not shown)", None, hidden=True)


def link_account(hotkey: Hotkey, key: str) -> None:
    """Keep the account that the API key ``key`` is of; WrapperError unless ``hotkey`` signs for it."""
    url = _url()
    made = registration.link(url, key, hotkey)
    told = registration.known_account(url, hotkey.seed, made.user_id)
    _keep(text(made))
    _say_known(told)


def take_file(given: Path) -> None:
    """Keep a copy of the configuration file ``given``; WrapperError unless the platform knows its account."""
    source, target = given, config_file()
    try:
        source = given.expanduser()
        is_in_use = source.samefile(target) if target.exists() else False
        content = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, RuntimeError) as error:  # the last for ~NOBODY/file
        why = getattr(error, "strerror", None) or (
            "no such user" if isinstance(error, RuntimeError) else "it is not UTF-8 text"
        )
        raise ConfigurationError(
            f"the file cannot be read: {why}", where=str(source), next_step="name another"
        ) from None
    if is_in_use:
        raise ConfigurationError("this is the file that is in use already", where=str(source), next_step="name another")
    own = account_in(content, source)
    if (problem := hotkey_problem(own)) is not None:
        raise problem
    told = registration.known_account(api_url(content), own.seed, own.user_id)
    if plain(told.get("username")) != own.username:
        raise ConfigurationError(
            f"it says username = {own.username}, and the platform knows the account as {plain(told.get('username'))}",
            where=str(source),
            next_step="correct the username in it",
        )
    _keep(content)
    _say_known(told)


def _keep(content: str) -> None:
    path = config_file()
    if (older := keep(path, content)) is not None:
        output.report(f"what was there is kept as {older}")
    output.success(f"{path}: written")


def _say_known(told: Mapping[str, Any]) -> None:
    balance = told.get("balance")
    shown = f", balance ${balance:,.2f}" if isinstance(balance, int | float) else ""
    output.success(f"the platform knows this account as {plain(told.get('username'))}{shown}")
    output.report(f"pay in to {plain(told.get('payment_address'))}; next: {NAMES.deploy}")


def make_key() -> None:
    """Make an API key for the account that there is, and keep it where --call and --forward look for it.

    A key that is there is left alone; WrapperError when it is another user's, or none that the platform takes.
    """
    own, path = account(), key_file()
    if (key := api_key()) is None:
        check_writable(path)
        write_atomically(path, registration.make_key(api_url(), own) + "\n", mode=_OWNERS)
        output.success(f"{path}: an API key, which --call and --forward take from there")
        return
    if (owner := registration.owner_of(api_url(), key)) != own.username:
        raise ConfigurationError(
            f"the API key that is there is {owner}'s, and the account is {own.username}",
            where=f"{KEY_VARIABLE}, {path}",
            next_step=f"take it away, then {NAMES.account} --key makes another",
        )
    output.report(f"an API key of {owner}'s is in {KEY_VARIABLE} or {path} already")
