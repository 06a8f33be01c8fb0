"""An account on the platform: a new one, or one that is there already, for a hotkey of a wallet."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.account.config_file import NewAccount
from chutes_wrappers.host.account.credentials import AccountCredentials, KeyCredentials, NoCredentials, SeedCredentials
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed, read_request_timeout_s

# SDK entrypoint/register.py: the public API registers elsewhere, and wants a token from there; any other takes this one.
_PUBLIC_API = "api.chutes.ai"
_REGISTRATION_URL = "https://rtok.chutes.ai"
TOKEN_PAGE = f"{_REGISTRATION_URL}/users/registration_token"
_PLACEHOLDER_TOKEN = "replaceme"
TOKEN_VARIABLE = "CHUTES_REGISTRATION_TOKEN"
_FORBIDDEN, _CONFLICT = 403, 409


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A new account; ``fingerprint`` logs in on the website, and is shown by nobody again."""

    account: NewAccount
    fingerprint: str = field(repr=False)


def is_token_required(url: str) -> bool:
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
    with PlatformApi(url, NoCredentials(), timeout_s=read_request_timeout_s()) as api:
        api.fetch_date("/ping", "asking whether the platform answers")


def register_account(url: str, username: str, hotkey: Hotkey, token: str) -> Registration:
    """Register ``username``; WrapperError with the platform's own words when it refuses."""
    signer = SeedCredentials(seed=hotkey.seed, secret_token=token)
    registrar = _REGISTRATION_URL if is_token_required(url) else url
    with PlatformApi(registrar, signer, timeout_s=read_request_timeout_s()) as api:
        try:
            response = api.post(
                "/users/register",
                f"registering {username!r}",
                {"username": check_username(username), "coldkey": hotkey.coldkey},
                params={"token": token or _PLACEHOLDER_TOKEN},
            )
        except PlatformRequestFailed as error:
            if error.status == _FORBIDDEN:
                error.next_step = _build_token_step(url)
            if error.status == _CONFLICT:
                error.next_step = "take another username or wallet; an account that is yours is linked by its API key"
            raise
    return Registration(
        account=_build_account(url, response, hotkey), fingerprint=clean_text(response.get("fingerprint"))
    )


def _build_token_step(url: str) -> str:
    if is_token_required(url):
        return f"get a new token at {TOKEN_PAGE}, and set {TOKEN_VARIABLE}"
    return f"set {TOKEN_VARIABLE} to that API's token; an emulator's is in the file of its --config"


def link_account(url: str, key: str, hotkey: Hotkey) -> NewAccount:
    """The account that the API key is of, for its own ``hotkey``; WrapperError when that is another one."""
    with PlatformApi(url, KeyCredentials(key=key), timeout_s=read_request_timeout_s()) as api:
        response = api.get("/users/me", "asking whose key this is", purpose="me")
    if clean_text(response.get("hotkey")) != hotkey.address:
        raise WrapperError(
            f"the account {clean_text(response.get('username'))} has another hotkey than {hotkey.wallet}/{hotkey.name}",
            evidence=f"the account's: {clean_text(response.get('hotkey'))}; the wallet's: {hotkey.address}",
            next_step="choose the wallet that the account was registered with, or link this hotkey on the website first",
        )
    return _build_account(url, response, hotkey)


def fetch_account(url: str, seed: str, user_id: str) -> dict[str, Any]:
    """What the platform tells of the account that ``seed`` signs for (``{"username", "balance", …}``).

    WrapperError when it does not know it.
    """
    with PlatformApi(url, SeedCredentials(seed=seed, user_id=user_id), timeout_s=read_request_timeout_s()) as api:
        return api.get("/users/me", "asking for the account", purpose="me")


def fetch_key_owner(url: str, key: str) -> str:
    """Whose API key this is; WrapperError when the platform does not take it."""
    with PlatformApi(url, KeyCredentials(key=key), timeout_s=read_request_timeout_s()) as api:
        return clean_text(api.get("/users/me", "asking whose key this is", purpose="me").get("username"))


def create_api_key(url: str, account: AccountCredentials) -> str:
    """A new API key of ``account`` that may do all that the account may."""
    with PlatformApi(url, account, timeout_s=read_request_timeout_s()) as api:
        response = api.post("/api_keys/", "making an API key", {"name": "chutes-wrappers", "admin": True})
    if not clean_text(response.get("secret_key")):
        raise WrapperError(
            "the platform's answer has no secret_key",
            evidence=json.dumps(sorted(response)),
            next_step="make one on the website, and put it into ~/.chutes/api_key",
        )
    return clean_text(response["secret_key"])


def _build_account(url: str, response: dict[str, Any], hotkey: Hotkey) -> NewAccount:
    missing = [name for name in ("username", "user_id") if not clean_text(response.get(name))]
    if missing:
        raise WrapperError(
            f"the platform's answer has no {missing[0]}",
            evidence=json.dumps(sorted(response)),
            next_step="check its address",
        )
    return NewAccount(
        url=url,
        username=clean_text(response["username"]),
        user_id=clean_text(response["user_id"]),
        payment_address=clean_text(response.get("payment_address")),
        hotkey_name=hotkey.name,
        hotkey=hotkey.address,
        seed=hotkey.seed,
    )
