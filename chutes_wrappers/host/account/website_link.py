"""Accounts of the website: a fingerprint proves who owns one, and gives it the hotkey that signs requests.

PLATFORM.md, section 5. The fingerprint is the account's password: it is only in requests to its API, and stored nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.account.refusals import explain_refusals
from chutes_wrappers.host.account.registration import fetch_account
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.platform_api.api_client import PlatformApi, read_request_timeout_s
from chutes_wrappers.host.platform_api.outcomes import may_have_succeeded

MAX_FINGERPRINT_LENGTH = 1024
_API_KEY_PREFIX = "cpk_"


@dataclass(frozen=True, kw_only=True)
class WebsiteLogin:
    """An account of the API at ``url``. ``hotkey`` is the address of its hotkey, or empty without one."""

    url: str
    fingerprint: str = field(repr=False)
    username: str
    user_id: str
    hotkey: str


@dataclass(frozen=True, kw_only=True)
class _FingerprintCredentials:
    """The fingerprint, or the token that a login returned for it, as the header Authorization."""

    authorization: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    username: str = ""
    source: str = "the fingerprint"

    def headers(self, body: bytes | None, purpose: str) -> Mapping[str, str]:
        return {"Authorization": self.authorization}


def check_fingerprint(fingerprint: str) -> str:
    """Return ``fingerprint``. Raises ConfigurationError, without it, when it cannot be one."""
    problem = None
    if fingerprint.startswith(_API_KEY_PREFIX):
        problem = "this is an API key, not a fingerprint"
    elif not fingerprint.isascii() or not fingerprint.isprintable() or " " in fingerprint:
        problem = "the fingerprint has invalid characters"
    elif not 0 < len(fingerprint) <= MAX_FINGERPRINT_LENGTH:
        problem = f"the fingerprint has {len(fingerprint):,} characters: expected 1 to {MAX_FINGERPRINT_LENGTH:,}"
    if problem is not None:
        raise ConfigurationError(
            problem,
            where="the fingerprint",
            next_step="copy it again, in one line; for an API key use --link",
        )
    return fingerprint


def log_in(url: str, fingerprint: str) -> WebsiteLogin:
    """Return the account of ``fingerprint`` at the API at ``url``, and change nothing.

    Raises PlatformRequestFailed of status 401 for a wrong fingerprint, and WrapperError for other failures.
    """
    steps: dict[int, str] = {
        HTTPStatus.UNAUTHORIZED: "copy the fingerprint again: the platform knows no account with this one"
    }
    # The header too: a server of another version may read the fingerprint there, as it does to change the keys.
    with explain_refusals(steps), _connect(url, fingerprint, fingerprint) as api:
        account = api.post("/users/login", "logging in with the fingerprint", {"fingerprint": fingerprint})
    token = account.get("token")
    if not account.get("user_id") and isinstance(token, str) and token.isascii() and token.isprintable():
        with explain_refusals(steps), _connect(url, f"Bearer {token}", fingerprint, token) as api:
            account = api.get("/users/me", "requesting the account of the fingerprint", purpose="me")
    return _parse_login(url, fingerprint, account)


def _connect(url: str, authorization: str, *secrets: str) -> PlatformApi:
    credentials = _FingerprintCredentials(authorization=authorization, secrets=secrets)
    return PlatformApi(url, credentials, timeout_s=read_request_timeout_s())


def _parse_login(url: str, fingerprint: str, account: Mapping[str, Any]) -> WebsiteLogin:
    username, user_id = clean_text(account.get("username")), clean_text(account.get("user_id"))
    if not username or not user_id:
        raise WrapperError(
            "the platform's response to the login does not name the account",
            evidence=f"its fields: {', '.join(sorted(map(clean_text, account))) or 'none'}"[:400],
            next_step="check CHUTES_API_URL, or link the account with --link and an admin API key",
        )
    hotkey = clean_text(account.get("hotkey"))
    return WebsiteLogin(url=url, fingerprint=fingerprint, username=username, user_id=user_id, hotkey=hotkey)


def give_hotkey(login: WebsiteLogin, hotkey: Hotkey) -> dict[str, Any]:
    """Give the account ``hotkey`` unless it has it already, and return the account, requested with the hotkey's signature.

    After a lost response the platform is asked whether the account has the hotkey. Raises PlatformRequestFailed of status 409 for
    the hotkey of another account, and WrapperError for other failures.
    """
    if login.hotkey != hotkey.address:
        try:
            _change_keys(login, hotkey)
        except WrapperError as error:
            if not may_have_succeeded(error) or (account := _find_account(login, hotkey)) is None:
                raise
            return account
    try:
        return fetch_account(login.url, hotkey.seed, login.user_id)
    except WrapperError as error:
        error.next_step = (
            f"run the command again with --wallet {hotkey.wallet}/{hotkey.name}: the platform "
            "reported that the account has this hotkey, and only the file is missing"
        )
        raise


def _change_keys(login: WebsiteLogin, hotkey: Hotkey) -> None:
    name = f"{hotkey.wallet}/{hotkey.name}"
    steps: dict[int, str] = {
        HTTPStatus.UNAUTHORIZED: "copy the fingerprint again: the platform does not accept it any more",
        HTTPStatus.CONFLICT: f"choose another wallet, or create one with --wallet new: the hotkey {name} is another account's",
    }
    what = f"giving the account {login.username} the hotkey {name}"
    try:
        with explain_refusals(steps), _connect(login.url, login.fingerprint, login.fingerprint) as api:
            api.post("/users/change_bt_auth", what, {"coldkey": hotkey.coldkey, "hotkey": hotkey.address})
    except WrapperError as error:
        if may_have_succeeded(error):
            error.next_step = f"run {NAMES.account} --fingerprint --wallet {name} again: it finds out whether the account has the hotkey"
        raise


def _find_account(login: WebsiteLogin, hotkey: Hotkey) -> dict[str, Any] | None:
    """Return the account if the platform knows it by ``hotkey``, else None."""
    try:
        account = fetch_account(login.url, hotkey.seed, login.user_id)
    except WrapperError:
        return None
    return account if clean_text(account.get("user_id")) == login.user_id else None
