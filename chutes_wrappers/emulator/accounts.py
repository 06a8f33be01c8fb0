"""Temporary accounts: registration through the API, and the configuration file of the SDK's command line."""

from __future__ import annotations

import configparser
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.files import write_atomically
from chutes_wrappers.host.account import config_file
from chutes_wrappers.host.account.credentials import SeedCredentials
from chutes_wrappers.host.account.keypairs import keypair_from_seed
from chutes_wrappers.host.platform_api.api_client import PlatformApi


@dataclass(frozen=True, kw_only=True)
class Account(SeedCredentials):
    """A registered user, with the private key of their hotkey."""

    username: str
    user_id: str
    payment_address: str
    hotkey: str

    @property
    def source(self) -> str:
        """The account, for messages."""
        return f"the temporary account {self.username}"


def generate_seed() -> str:
    """Return the private key of a new hotkey: 64 hexadecimal digits."""
    return secrets.token_hex(32)


def register(url: str, username: str, token: str) -> Account:
    """Register ``username`` with a new hotkey at the API at ``url``, with its registration ``token``.

    Raises WrapperError with the API's message when the API rejects it.
    """
    seed = generate_seed()
    coldkey = keypair_from_seed(generate_seed()).ss58_address
    with PlatformApi(url, SeedCredentials(seed=seed, secret_token=token)) as api:
        response = api.post(
            "/users/register",
            f"registering {username!r}",
            {"username": username, "coldkey": coldkey},
            params={"token": token},
        )
    return Account(
        username=response["username"],
        user_id=response["user_id"],
        payment_address=response["payment_address"],
        hotkey=keypair_from_seed(seed).ss58_address,
        seed=seed,
    )


def read_config(path: Path) -> Account:
    """Return the account that ``write_config`` wrote. Raises ConfigurationError for any other file."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        auth = parser["auth"]
        return Account(
            username=auth["username"],
            user_id=auth["user_id"],
            payment_address=parser["payment"]["address"],
            hotkey=auth["hotkey_ss58address"],
            seed=auth["hotkey_seed"],
        )
    except (OSError, UnicodeDecodeError, configparser.Error, KeyError) as error:
        # The error's message quotes the file, which may contain a key.
        raise ConfigurationError(
            "this is not a valid configuration file of the SDK's command line",
            where=str(path),
            evidence=type(error).__name__,
        ) from None


def ensure_config(
    url: str, username: str, path: Path, token: str, emulator: Mapping[str, str] | None = None
) -> Account:
    """Return the account in ``path``, and register one first when the file does not exist. Writes ``url`` into the file.

    ``emulator``: names and values of the section ``[emulator]``, which the SDK does not read.
    """
    account = read_config(path) if path.exists() else register(url, username, token)
    write_config(account, url, path, emulator)
    return account


def write_config(account: Account, url: str, path: Path, emulator: Mapping[str, str] | None = None) -> None:
    """Write a file for ``CHUTES_CONFIG_PATH`` (SDK ``config.py``) atomically, with mode 600."""
    text = config_file.format_config(
        config_file.NewAccount(
            url=url,
            username=account.username,
            user_id=account.user_id,
            payment_address=account.payment_address,
            hotkey_name="emulator",
            hotkey=account.hotkey,
            seed=account.seed,
        )
    )
    if emulator:
        text += "\n" + "\n".join(["[emulator]", *(f"{name} = {value}" for name, value in emulator.items())]) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text, mode=0o600)
