"""Accounts on the platform for a hotkey of a wallet: registering a new one, or linking an existing one."""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import urlsplit

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.setup_secrets import TOKEN_VARIABLE
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.account.config_file import NewAccount
from chutes_wrappers.host.account.credentials import KeyCredentials, NoCredentials, SeedCredentials
from chutes_wrappers.host.account.refusals import explain_refusals
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed, read_request_timeout_s
from chutes_wrappers.host.platform_api.outcomes import may_have_succeeded

# SDK entrypoint/register.py: the public API has another URL for registration, and requires a token from there. Any other
# API accepts the placeholder.
_PUBLIC_API = "api.chutes.ai"
_REGISTRATION_URL = "https://rtok.chutes.ai"
TOKEN_PAGE = f"{_REGISTRATION_URL}/users/registration_token"
_PLACEHOLDER_TOKEN = "replaceme"
ADMIN_KEY_OF_WEBSITE = "an admin API key of the account, from the website"
API_VARIABLE = "CHUTES_API_URL"
# A reply to one of the wizard's questions about a registration.
Reply = Literal["username", "hotkey", "token"]


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A new account. ``fingerprint`` is the login for the website, which cannot be shown again; empty if its response was lost."""

    account: NewAccount
    fingerprint: str = field(repr=False)


class HotkeyMismatch(WrapperError):
    """The account has another hotkey than the chosen one."""


def is_token_required(url: str) -> bool:
    """Return whether the API at ``url`` requires a registration token."""
    return urlsplit(url).hostname == _PUBLIC_API


def describe_needs(url: str) -> list[str]:
    """Return what a registration at ``url`` needs, one phrase each (api, PLATFORM.md, section 4)."""
    deposit = f"{platform_rules.REGISTRATION_DEPOSIT_TAO:g} TAO that are free, not staked, on the wallet's coldkey"
    minutes = platform_rules.REGISTRATION_TOKEN_S // 60
    limit = platform_rules.MAX_REGISTRATIONS_PER_DAY
    if is_token_required(url):
        return [
            deposit,
            f"a registration token from {TOKEN_PAGE}, which is valid for {minutes} minutes: get it last",
            f"at most {limit} registrations a day from your address, with this one",
        ]
    return [
        f"the registration token of this API, in {TOKEN_VARIABLE}; that of an emulator is in the file of its --config",
        f"an emulator needs nothing else; the public platform also needs {deposit}",
    ]


def read_token(url: str) -> str:
    """Return the token in ``CHUTES_REGISTRATION_TOKEN``, which the API at ``url`` may get; empty without one.

    It is for the API in ``CHUTES_API_URL``, without that variable for the public one. Raises ConfigurationError, without the token,
    when the account's file names another API.
    """
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    chosen_url = os.environ.get(API_VARIABLE, "").strip()
    is_chosen = is_same_api(chosen_url, url) if chosen_url else is_token_required(url)
    if not token or is_chosen:
        return token
    raise ConfigurationError(
        f"the token is for {chosen_url or 'the public API'}, and base_url in the account's file is {url}",
        where=TOKEN_VARIABLE,
        next_step=f"set {API_VARIABLE} to {url} if the token is for it; else remove base_url from the file, or unset {TOKEN_VARIABLE}",
    )


def is_same_api(first: str, second: str) -> bool:
    """Return whether two URLs name the same API."""
    with contextlib.suppress(ValueError):  # an invalid one
        parts = [urlsplit(url.rstrip("/")) for url in (first, second)]
        return len({(each.scheme, each.hostname, each.port, each.path) for each in parts}) == 1
    return False


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
    with explain_refusals(), PlatformApi(url, NoCredentials(), timeout_s=read_request_timeout_s()) as api:
        api.fetch_date("/ping", "checking whether the platform is reachable")


def register_account(url: str, username: str, hotkey: Hotkey, token: str) -> Registration:
    """Register ``username``. Raises WrapperError with the platform's error text when it rejects the request.

    After a conflict or a lost response the platform is asked whether the hotkey has this account already.
    """
    signer = SeedCredentials(seed=hotkey.seed, secret_token=token)
    registrar = _REGISTRATION_URL if is_token_required(url) else url
    body = {"username": check_username(username), "coldkey": hotkey.coldkey}
    what, params = f"registering {username!r}", {"token": token or _PLACEHOLDER_TOKEN}
    try:
        with explain_refusals(), PlatformApi(registrar, signer, timeout_s=read_request_timeout_s()) as api:
            response = api.post("/users/register", what, body, params=params)
    except WrapperError as error:
        return _find_registered(url, username, hotkey, error)
    account = build_account(url, response, hotkey)
    return Registration(account=account, fingerprint=clean_text(response.get("fingerprint")))


def _find_registered(url: str, username: str, hotkey: Hotkey, error: WrapperError) -> Registration:
    """Return the account of ``username`` if the hotkey has it although ``error`` was raised; else raise the error."""
    existing: dict[str, Any] = {}
    if may_have_succeeded(error) or find_refused_reply(error) in ("username", "hotkey"):
        with contextlib.suppress(WrapperError):
            existing = fetch_account(url, hotkey.seed, "")
    name = clean_text(existing.get("username"))
    if name == username:
        return Registration(account=build_account(url, existing, hotkey), fingerprint="")
    if name and find_refused_reply(error) == "hotkey":
        error.next_step = (
            f"choose another wallet: {hotkey.wallet}/{hotkey.name} has the account {name}, which --link links"
        )
    elif isinstance(error, PlatformRequestFailed):
        error.next_step = _find_registration_step(url, error, hotkey) or error.next_step
    if may_have_succeeded(error):
        error.next_step = (
            f"{error.next_step}. Then register again with --wallet {hotkey.wallet}/{hotkey.name}: an account that "
            "was registered nevertheless is found by its hotkey"
        )
    raise error


def find_refused_reply(error: WrapperError) -> Reply | None:
    """Return what to ask for again after ``error`` of a registration; None when no other reply helps."""
    if not isinstance(error, PlatformRequestFailed):
        return None
    detail = (error.evidence or "").lower()
    is_about_token = error.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED) and "token" in detail
    if error.status == HTTPStatus.FORBIDDEN or is_about_token:
        return "token"
    if error.status == HTTPStatus.PAYMENT_REQUIRED:
        return "hotkey"
    if error.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
        return None
    if re.search(r"\b(hot|cold)key\b", detail) and not detail.startswith("username"):
        return "hotkey"
    return "username" if error.status == HTTPStatus.CONFLICT or "username" in detail else None


def _find_registration_step(url: str, error: PlatformRequestFailed, hotkey: Hotkey) -> str | None:
    """Return what to do after a refusal of a registration (api, PLATFORM.md, section 4)."""
    reply = find_refused_reply(error)
    if reply == "token":
        return _build_token_step(url)
    if error.status == HTTPStatus.PAYMENT_REQUIRED:
        deposit = f"{platform_rules.REGISTRATION_DEPOSIT_TAO:g} TAO"
        return f"send at least {deposit} to the coldkey {hotkey.coldkey}, leave it unstaked there, and register again"
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        limit = platform_rules.MAX_REGISTRATIONS_PER_DAY
        return f"register again tomorrow: the platform accepts {limit} registrations from an address a day"
    if error.status == HTTPStatus.CONFLICT:
        other = "another wallet" if reply == "hotkey" else "another username"
        return f"choose {other}, or link an account that is yours: {NAMES.account} --fingerprint"
    return None


def _build_token_step(url: str) -> str:
    minutes = platform_rules.REGISTRATION_TOKEN_S // 60
    if is_token_required(url):
        return (
            f"get a new token at {TOKEN_PAGE}, and set {TOKEN_VARIABLE} to it: a token is valid for {minutes} minutes"
        )
    return (
        f"set {TOKEN_VARIABLE} to a new token of that API: the platform's are valid for {minutes} minutes; that of an emulator "
        "is in the file of its --config"
    )


def link_account(url: str, key: str, hotkey: Hotkey) -> NewAccount:
    """Return the account of the admin key ``key``, with its ``hotkey``. Raises WrapperError when it has another hotkey."""
    # PLATFORM.md, section 5: reads take admin keys only.
    step = f"use {ADMIN_KEY_OF_WEBSITE}: a key that may only call chutes cannot read the account"
    credentials = KeyCredentials(key=key)
    with (
        explain_refusals({HTTPStatus.UNAUTHORIZED: step}),
        PlatformApi(url, credentials, timeout_s=read_request_timeout_s()) as api,
    ):
        response = api.get("/users/me", "looking up the owner of the API key", purpose="me")
    if clean_text(response.get("hotkey")) != hotkey.address:
        raise HotkeyMismatch(
            f"the account {clean_text(response.get('username'))} has another hotkey than {hotkey.wallet}/{hotkey.name}",
            evidence=f"the account's: {clean_text(response.get('hotkey'))}; the wallet's: {hotkey.address}",
            next_step="choose the wallet that the account was registered with, or give the account this hotkey with --fingerprint",
        )
    return build_account(url, response, hotkey)


def fetch_account(url: str, seed: str, user_id: str) -> dict[str, Any]:
    """Return the platform's data on the account that ``seed`` signs for (``{"username", "balance", …}``).

    Raises WrapperError when the platform does not know the account.
    """
    step = f"check that the hotkey is the account's, and this machine's clock: a signature may be {platform_rules.NONCE_WINDOW_S} s off"
    signer = SeedCredentials(seed=seed, user_id=user_id)
    with (
        explain_refusals({HTTPStatus.UNAUTHORIZED: step}),
        PlatformApi(url, signer, timeout_s=read_request_timeout_s()) as api,
    ):
        return api.get("/users/me", "requesting the account", purpose="me")


def build_account(url: str, response: dict[str, Any], hotkey: Hotkey) -> NewAccount:
    """Return the account in ``response``, signed by ``hotkey``. Raises WrapperError when it names no user."""
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
