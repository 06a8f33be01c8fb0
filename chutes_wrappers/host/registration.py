"""An account on the platform: a new one, or one that is there already, for a hotkey of a wallet."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.account_file import NewAccount
from chutes_wrappers.host.credentials import KeyCredentials, SeedCredentials
from chutes_wrappers.host.platform_api import PlatformApi
from chutes_wrappers.host.platform_objects import plain
from chutes_wrappers.host.wallets import Hotkey

# SDK entrypoint/register.py: the public API registers elsewhere, and wants a token from there; any other takes this one.
_PUBLIC_API = "api.chutes.ai"
_REGISTRATION_URL = "https://rtok.chutes.ai"
TOKEN_PAGE = f"{_REGISTRATION_URL}/users/registration_token"
_ANY_TOKEN = "replaceme"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A new account; ``fingerprint`` logs in on the website, and is shown by nobody again."""

    account: NewAccount
    fingerprint: str = field(repr=False)


def needs_token(url: str) -> bool:
    """Whether the API at ``url`` wants a registration token."""
    return urlsplit(url).hostname == _PUBLIC_API


def check_username(name: str) -> str:
    """``name``; ConfigurationError for one that the platform refuses."""
    if not platform_rules.USERNAME.match(name):
        raise ConfigurationError(
            f"{name!r} is no username", where="username", next_step="give 3 to 15 letters, digits or '_'"
        )
    return name


def register(url: str, username: str, hotkey: Hotkey, token: str) -> Registered:
    """Register ``username``; WrapperError with the platform's own words when it refuses."""
    signer = SeedCredentials(seed=hotkey.seed, secret_token=token)
    with PlatformApi(_REGISTRATION_URL if needs_token(url) else url, signer) as api:
        told = api.post(
            "/users/register",
            f"registering {username!r}",
            {"username": check_username(username), "coldkey": hotkey.coldkey},
            params={"token": token or _ANY_TOKEN},
        )
    return Registered(account=_account(url, told, hotkey), fingerprint=plain(told.get("fingerprint")))


def link(url: str, key: str, hotkey: Hotkey) -> NewAccount:
    """The account that the API key is of, for its own ``hotkey``; WrapperError when that is another one."""
    with PlatformApi(url, KeyCredentials(key=key)) as api:
        told = api.get("/users/me", "asking whose key this is", purpose="me")
    if plain(told.get("hotkey")) != hotkey.address:
        raise WrapperError(
            f"the account {plain(told.get('username'))} has another hotkey than {hotkey.wallet}/{hotkey.name}",
            evidence=f"the account's: {plain(told.get('hotkey'))}; the wallet's: {hotkey.address}",
            next_step="choose the wallet that the account was registered with, or link this hotkey on the website first",
        )
    return _account(url, told, hotkey)


def _account(url: str, told: dict[str, Any], hotkey: Hotkey) -> NewAccount:
    missing = [name for name in ("username", "user_id") if not plain(told.get(name))]
    if missing:
        raise WrapperError(
            f"the platform's answer has no {missing[0]}",
            evidence=json.dumps(sorted(told)),
            next_step="check its address",
        )
    return NewAccount(
        url=url,
        username=plain(told["username"]),
        user_id=plain(told["user_id"]),
        payment_address=plain(told.get("payment_address")),
        hotkey_name=hotkey.name,
        hotkey=hotkey.address,
        seed=hotkey.seed,
    )
