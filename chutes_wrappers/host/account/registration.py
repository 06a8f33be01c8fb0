"""An account on the platform: a new one, or one that is there already, for a hotkey of a wallet."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.account.config_file import NewAccount
from chutes_wrappers.host.account.credentials import AccountCredentials, KeyCredentials, NoCredentials, SeedCredentials
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRefused, request_timeout_s
from chutes_wrappers.host.platform_api.objects import plain

# SDK entrypoint/register.py: the public API registers elsewhere, and wants a token from there; any other takes this one.
_PUBLIC_API = "api.chutes.ai"
_REGISTRATION_URL = "https://rtok.chutes.ai"
TOKEN_PAGE = f"{_REGISTRATION_URL}/users/registration_token"
_ANY_TOKEN = "replaceme"
TOKEN_VARIABLE = "CHUTES_REGISTRATION_TOKEN"
_FORBIDDEN, _CONFLICT = 403, 409


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


def check_reachable(url: str) -> None:
    """Raise WrapperError where the API at ``url`` does not answer, before anything is made for it."""
    with PlatformApi(url, NoCredentials(), timeout_s=request_timeout_s()) as api:
        api.date("/ping", "asking whether the platform answers")


def register(url: str, username: str, hotkey: Hotkey, token: str) -> Registered:
    """Register ``username``; WrapperError with the platform's own words when it refuses."""
    signer = SeedCredentials(seed=hotkey.seed, secret_token=token)
    registrar = _REGISTRATION_URL if needs_token(url) else url
    with PlatformApi(registrar, signer, timeout_s=request_timeout_s()) as api:
        try:
            told = api.post(
                "/users/register",
                f"registering {username!r}",
                {"username": check_username(username), "coldkey": hotkey.coldkey},
                params={"token": token or _ANY_TOKEN},
            )
        except PlatformRefused as refused:
            if refused.status == _FORBIDDEN:
                refused.next_step = _next_step_for_a_token(url)
            if refused.status == _CONFLICT:
                refused.next_step = "take another username or wallet; an account that is yours is linked by its API key"
            raise
    return Registered(account=_account(url, told, hotkey), fingerprint=plain(told.get("fingerprint")))


def _next_step_for_a_token(url: str) -> str:
    if needs_token(url):
        return f"get a new token at {TOKEN_PAGE}, and set {TOKEN_VARIABLE}"
    return f"set {TOKEN_VARIABLE} to that API's token; an emulator's is in the file of its --config"


def link(url: str, key: str, hotkey: Hotkey) -> NewAccount:
    """The account that the API key is of, for its own ``hotkey``; WrapperError when that is another one."""
    with PlatformApi(url, KeyCredentials(key=key), timeout_s=request_timeout_s()) as api:
        told = api.get("/users/me", "asking whose key this is", purpose="me")
    if plain(told.get("hotkey")) != hotkey.address:
        raise WrapperError(
            f"the account {plain(told.get('username'))} has another hotkey than {hotkey.wallet}/{hotkey.name}",
            evidence=f"the account's: {plain(told.get('hotkey'))}; the wallet's: {hotkey.address}",
            next_step="choose the wallet that the account was registered with, or link this hotkey on the website first",
        )
    return _account(url, told, hotkey)


def known_account(url: str, seed: str, user_id: str) -> dict[str, Any]:
    """What the platform tells of the account that ``seed`` signs for (``{"username", "balance", …}``).

    WrapperError when it does not know it.
    """
    with PlatformApi(url, SeedCredentials(seed=seed, user_id=user_id), timeout_s=request_timeout_s()) as api:
        return api.get("/users/me", "asking for the account", purpose="me")


def owner_of(url: str, key: str) -> str:
    """Whose API key this is; WrapperError when the platform does not take it."""
    with PlatformApi(url, KeyCredentials(key=key), timeout_s=request_timeout_s()) as api:
        return plain(api.get("/users/me", "asking whose key this is", purpose="me").get("username"))


def make_key(url: str, account: AccountCredentials) -> str:
    """A new API key of ``account`` that may do all that the account may."""
    with PlatformApi(url, account, timeout_s=request_timeout_s()) as api:
        told = api.post("/api_keys/", "making an API key", {"name": "chutes-wrappers", "admin": True})
    if not plain(told.get("secret_key")):
        raise WrapperError(
            "the platform's answer has no secret_key",
            evidence=json.dumps(sorted(told)),
            next_step="make one on the website, and put it into ~/.chutes/api_key",
        )
    return plain(told["secret_key"])


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
