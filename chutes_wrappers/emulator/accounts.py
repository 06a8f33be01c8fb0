"""Throw-away accounts: registered through the API itself, and written down as the SDK's command line wants them."""

from __future__ import annotations

import configparser
import secrets
from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import write_atomically
from chutes_wrappers.host import account_file
from chutes_wrappers.host.credentials import SeedCredentials
from chutes_wrappers.host.keypairs import keypair
from chutes_wrappers.host.platform_api import PlatformApi

# The emulator takes any; the SDK sends this one to an API that is not the platform's own (SDK entrypoint/register.py).
_TOKEN = "replaceme"


@dataclass(frozen=True, kw_only=True)
class Account(SeedCredentials):
    """A registered user and the private key that they sign with."""

    username: str
    user_id: str
    payment_address: str
    hotkey: str

    @property
    def source(self) -> str:
        """Whose account it is."""
        return f"the throw-away account {self.username}"


def new_seed() -> str:
    """The private key of a new hotkey: 64 hexadecimal digits."""
    return secrets.token_hex(32)


def register(url: str, username: str) -> Account:
    """Register ``username`` with a new hotkey at the API at ``url``; WrapperError with its own words when it refuses."""
    seed = new_seed()
    coldkey = keypair(new_seed()).ss58_address
    with PlatformApi(url, SeedCredentials(seed=seed)) as api:
        answer = api.post(
            "/users/register",
            f"registering {username!r}",
            {"username": username, "coldkey": coldkey},
            params={"token": _TOKEN},
        )
    return Account(
        username=answer["username"],
        user_id=answer["user_id"],
        payment_address=answer["payment_address"],
        hotkey=keypair(seed).ss58_address,
        seed=seed,
    )


def read_config(path: Path) -> Account:
    """The account that ``write_config`` wrote; ConfigurationError for a file that holds none."""
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
        # Not the error's own words: they quote the file, and it may hold a key.
        raise ConfigurationError(
            "this is no account of the SDK's command line", where=str(path), evidence=type(error).__name__
        ) from None


def ensure_config(url: str, username: str, path: Path) -> Account:
    """The account in ``path``, registered first when there is no such file; the file names ``url`` from now on."""
    account = read_config(path) if path.exists() else register(url, username)
    write_config(account, url, path)
    return account


def write_config(account: Account, url: str, path: Path) -> None:
    """Write what ``CHUTES_CONFIG_PATH`` can name (SDK ``config.py``), readable by its owner alone; all of it or nothing."""
    text = account_file.text(
        account_file.NewAccount(
            url=url,
            username=account.username,
            user_id=account.user_id,
            payment_address=account.payment_address,
            hotkey_name="emulator",
            hotkey=account.hotkey,
            seed=account.seed,
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text, mode=0o600)
