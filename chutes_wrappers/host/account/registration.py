"""Accounts on the platform for a hotkey of a wallet: registering a new one, or linking an existing one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.account.config_file import NewAccount
from chutes_wrappers.host.account.credentials import KeyCredentials, NoCredentials, SeedCredentials
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed, read_request_timeout_s

# SDK entrypoint/register.py: the public API has another URL for registration, and requires a token from there. Any other
# API accepts the placeholder.
_PUBLIC_API = "api.chutes.ai"
_REGISTRATION_URL = "https://rtok.chutes.ai"
TOKEN_PAGE = f"{_REGISTRATION_URL}/users/registration_token"
_PLACEHOLDER_TOKEN = "replaceme"
TOKEN_VARIABLE = "CHUTES_REGISTRATION_TOKEN"
ADMIN_KEY_OF_WEBSITE = "an admin API key of the account, from the website"


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A new account. ``fingerprint`` is the login for the website, which cannot be shown again."""

    account: NewAccount
    fingerprint: str = field(repr=False)


def is_token_required(url: str) -> bool:
    """Return whether the API at ``url`` requires a registration token."""
    return urlsplit(url).hostname == _PUBLIC_API


def check_username(name: str) -> str:
    """Return ``name``. Raises ConfigurationError for a username that the platform does not accept."""
    if valid_form := platform_checks.find_username_problem(name):
        problem = ConfigurationError(
            f"{name!r} is not a valid username", where="username", next_step=f"use {valid_form}"
        )
        refuse("username", problem)
    return name


def check_reachable(url: str) -> None:
    """Raise WrapperError when the API at ``url`` is not reachable. Call it before anything is created for the API."""
    with PlatformApi(url, NoCredentials(), timeout_s=read_request_timeout_s()) as api:
        api.fetch_date("/ping", "checking whether the platform is reachable")


def register_account(url: str, username: str, hotkey: Hotkey, token: str) -> Registration:
    """Register ``username``. Raises WrapperError with the platform's error text when it rejects the request."""
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
            error.next_step = _find_registration_step(url, error, hotkey) or error.next_step
            raise
    return Registration(
        account=_build_account(url, response, hotkey), fingerprint=clean_text(response.get("fingerprint"))
    )


def _find_registration_step(url: str, error: PlatformRequestFailed, hotkey: Hotkey) -> str | None:
    """Return what to do after a refusal of a registration (api, PLATFORM.md, section 4)."""
    is_about_token = error.status == HTTPStatus.BAD_REQUEST and "token" in (error.evidence or "").lower()
    if error.status == HTTPStatus.FORBIDDEN or is_about_token:
        return _build_token_step(url)
    if error.status == HTTPStatus.PAYMENT_REQUIRED:
        deposit = f"{platform_rules.REGISTRATION_DEPOSIT_TAO:g} TAO"
        return f"send at least {deposit} to the coldkey {hotkey.coldkey}, leave it unstaked there, and register again"
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        limit = platform_rules.MAX_REGISTRATIONS_PER_DAY
        return f"register again tomorrow: the platform accepts {limit} registrations from an address a day"
    if error.status == HTTPStatus.CONFLICT:
        return "choose another username or wallet, or link an account that is yours by its API key"
    return None


def _build_token_step(url: str) -> str:
    if is_token_required(url):
        return f"get a new token at {TOKEN_PAGE}, and set {TOKEN_VARIABLE}"
    return f"set {TOKEN_VARIABLE} to the token of that API; that of an emulator is in the file of its --config"


def link_account(url: str, key: str, hotkey: Hotkey) -> NewAccount:
    """Return the account of the admin key ``key``, with its ``hotkey``. Raises WrapperError when it has another hotkey."""
    with PlatformApi(url, KeyCredentials(key=key), timeout_s=read_request_timeout_s()) as api:
        try:
            response = api.get("/users/me", "looking up the owner of the API key", purpose="me")
        except PlatformRequestFailed as error:
            if error.status == HTTPStatus.UNAUTHORIZED:  # PLATFORM.md, section 5: reads take admin keys only
                error.next_step = f"use {ADMIN_KEY_OF_WEBSITE}: a key that may only call chutes cannot read the account"
            raise
    if clean_text(response.get("hotkey")) != hotkey.address:
        raise WrapperError(
            f"the account {clean_text(response.get('username'))} has another hotkey than {hotkey.wallet}/{hotkey.name}",
            evidence=f"the account's: {clean_text(response.get('hotkey'))}; the wallet's: {hotkey.address}",
            next_step="choose the wallet that the account was registered with, or link this hotkey on the website first",
        )
    return _build_account(url, response, hotkey)


def fetch_account(url: str, seed: str, user_id: str) -> dict[str, Any]:
    """Return the platform's data on the account that ``seed`` signs for (``{"username", "balance", …}``).

    Raises WrapperError when the platform does not know the account.
    """
    with PlatformApi(url, SeedCredentials(seed=seed, user_id=user_id), timeout_s=read_request_timeout_s()) as api:
        return api.get("/users/me", "requesting the account", purpose="me")


def _build_account(url: str, response: dict[str, Any], hotkey: Hotkey) -> NewAccount:
    missing = [name for name in ("username", "user_id") if not clean_text(response.get(name))]
    if missing:
        raise WrapperError(
            f"the platform's response has no {missing[0]}",
            evidence=json.dumps(sorted(response)),
            next_step="check the URL of the API",
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
