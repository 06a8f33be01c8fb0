"""An account from environment variables, for a machine without a terminal: the seed of its hotkey is enough."""

from __future__ import annotations

import os
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.setup_secrets import SEED_VARIABLE
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.account.config_file import NewAccount
from chutes_wrappers.host.account.keypairs import is_seed, keypair_from_seed
from chutes_wrappers.host.account.refusals import explain_refusals
from chutes_wrappers.host.account.registration import build_account, fetch_account
from chutes_wrappers.host.account.wallets import NEW_HOTKEY, Hotkey
from chutes_wrappers.host.platform_api.api_urls import resolve_api_url

HOTKEY_NAME_VARIABLE = "CHUTES_HOTKEY_NAME"
USERNAME_VARIABLE = "CHUTES_USERNAME"
USER_ID_VARIABLE = "CHUTES_USER_ID"


@dataclass(frozen=True, kw_only=True)
class AccountVariables:
    """The API and the hotkey. ``username`` and ``user_id`` are empty unless the variables have them."""

    url: str
    hotkey: Hotkey
    username: str
    user_id: str


def read_account_variables() -> AccountVariables:
    """Return what the variables have. Raises ConfigurationError, without a value that is secret, for a missing or invalid one.

    The URL is that of ``CHUTES_API_URL``, else the public one: an existing account's file is not read.
    """
    seed = _read(SEED_VARIABLE).removeprefix("0x").lower()
    if not seed:
        raise ConfigurationError(
            f"{SEED_VARIABLE} is not set",
            next_step=f"set it to the hotkey's seed, 64 hexadecimal digits: hotkey_seed in the account's file. {USER_ID_VARIABLE} "
            f"and {USERNAME_VARIABLE} are optional",
        )
    if not is_seed(seed):
        raise ConfigurationError(
            "the value is not a valid seed",
            where=SEED_VARIABLE,
            next_step="set it to 64 hexadecimal digits: hotkey_seed in the account's file",
        )
    address = keypair_from_seed(seed).ss58_address
    name = _read(HOTKEY_NAME_VARIABLE) or NEW_HOTKEY
    return AccountVariables(
        url=resolve_api_url(""),
        hotkey=Hotkey(wallet="", name=name, address=address, coldkey="", seed=seed),
        username=_read(USERNAME_VARIABLE),
        user_id=_read(USER_ID_VARIABLE),
    )


def _read(variable: str) -> str:
    return clean_text(os.environ.get(variable))


def fetch_account_of_variables(variables: AccountVariables) -> tuple[NewAccount, dict[str, Any]]:
    """Return the account that the platform knows by the hotkey, and the platform's data on it.

    Raises ConfigurationError when a variable names another account, and WrapperError when the platform knows none.
    """
    hint = f" and {USER_ID_VARIABLE}" if variables.user_id else f", or set {USER_ID_VARIABLE} too: an API may need it"
    steps: dict[int, str] = {
        HTTPStatus.UNAUTHORIZED: f"check {SEED_VARIABLE}, CHUTES_API_URL{hint}. The platform knows no account with the hotkey "
        f"{variables.hotkey.address}, or this machine's clock is wrong"
    }
    with explain_refusals(steps):
        response = fetch_account(variables.url, variables.hotkey.seed, variables.user_id)
    account = build_account(variables.url, response, variables.hotkey)
    for variable, expected, actual in (
        (USERNAME_VARIABLE, variables.username, account.username),
        (USER_ID_VARIABLE, variables.user_id, account.user_id),
    ):
        if expected and expected != actual:
            raise ConfigurationError(
                f"it is {expected!r}, and the platform knows the account of the hotkey as {actual!r}",
                where=variable,
                next_step=f"set {variable} to {actual}, or unset it; or set {SEED_VARIABLE} to the other account's seed",
            )
    return account, response
