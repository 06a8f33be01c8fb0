"""Throw-away accounts: registered through the API itself, and written down as the SDK's command line wants them."""

from __future__ import annotations

import configparser
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from substrateinterface import Keypair

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import write_atomically
from chutes_wrappers.emulator.signatures import HOTKEY_HEADER, NONCE_HEADER, SIGNATURE_HEADER
from chutes_wrappers.host.platform_api import PlatformApi

# The emulator takes any; the SDK sends this one to an API that is not the platform's own (SDK entrypoint/register.py).
_TOKEN = "replaceme"


@dataclass(frozen=True, kw_only=True)
class _Signer:
    """A private key; credentials for the API (``host/credentials.py``)."""

    seed: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The private key."""
        return (self.seed,)

    @property
    def source(self) -> str:
        """Whose it is."""
        return "the new hotkey"

    def headers(self, body: bytes | None, purpose: str) -> Mapping[str, str]:
        """Signed as the SDK signs."""
        key, nonce = keypair(self.seed), str(int(time.time()))
        signs = purpose if body is None else hashlib.sha256(body).hexdigest()
        return {
            HOTKEY_HEADER: key.ss58_address,
            NONCE_HEADER: nonce,
            SIGNATURE_HEADER: key.sign(f"{key.ss58_address}:{nonce}:{signs}".encode()).hex(),
        }


@dataclass(frozen=True, kw_only=True)
class Account(_Signer):
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


def keypair(seed: str) -> Keypair:
    """The hotkey with this private key."""
    return Keypair.create_from_seed(seed_hex="0x" + seed)


def register(url: str, username: str) -> Account:
    """Register ``username`` with a new hotkey at the API at ``url``; WrapperError with its own words when it refuses."""
    seed = new_seed()
    coldkey = keypair(new_seed()).ss58_address
    with PlatformApi(url, _Signer(seed=seed)) as api:
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
    text = "\n".join(
        (
            *("[api]", f"base_url = {url}", ""),
            *(
                "[auth]",
                f"username = {account.username}",
                f"user_id = {account.user_id}",
                f"hotkey_seed = {account.seed}",
            ),
            *("hotkey_name = emulator", f"hotkey_ss58address = {account.hotkey}", ""),
            *("[payment]", f"address = {account.payment_address}", ""),
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text, mode=0o600)
