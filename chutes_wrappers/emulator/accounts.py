"""Throw-away accounts: registered through the API itself, and written down as the SDK's command line wants them."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import secrets
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import requests
from substrateinterface import Keypair

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.emulator.signatures import HOTKEY_HEADER, NONCE_HEADER, SIGNATURE_HEADER

_TIMEOUT_S = 30.0
_LONGEST_QUOTE = 300
# The emulator takes any; the SDK sends this one to an API that is not the platform's own (SDK entrypoint/register.py).
_TOKEN = "replaceme"


@dataclass(frozen=True, kw_only=True)
class Account:
    """A registered user and the private key that they sign with."""

    username: str
    user_id: str
    payment_address: str
    hotkey: str
    seed: str = field(repr=False)


def new_seed() -> str:
    """The private key of a new hotkey: 64 hexadecimal digits."""
    return secrets.token_hex(32)


def keypair(seed: str) -> Keypair:
    """The hotkey with this private key."""
    return Keypair.create_from_seed(seed_hex="0x" + seed)


def register(url: str, username: str) -> Account:
    """Register ``username`` with a new hotkey at the API at ``url``; WrapperError with its own words when it refuses."""
    seed = new_seed()
    key = keypair(seed)
    body = json.dumps({"username": username, "coldkey": keypair(new_seed()).ss58_address}).encode()
    nonce = str(int(time.time()))
    message = f"{key.ss58_address}:{nonce}:{hashlib.sha256(body).hexdigest()}"
    headers = {
        "Content-Type": "application/json",
        HOTKEY_HEADER: key.ss58_address,
        NONCE_HEADER: nonce,
        SIGNATURE_HEADER: key.sign(message.encode()).hex(),
    }
    answer = _post(f"{url}/users/register?token={_TOKEN}", body, headers, username)
    return Account(
        username=answer["username"],
        user_id=answer["user_id"],
        payment_address=answer["payment_address"],
        hotkey=key.ss58_address,
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
    # mkstemp makes it readable by its owner alone.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _post(url: str, body: bytes, headers: dict[str, str], username: str) -> dict[str, str]:
    try:
        answer = requests.post(url, data=body, headers=headers, timeout=_TIMEOUT_S)
        value = answer.json() if answer.status_code == 200 else None
    except (requests.RequestException, ValueError) as error:
        raise WrapperError("the emulator's API cannot be asked", where=url, evidence=str(error)) from error
    if not isinstance(value, dict):
        raise WrapperError(
            f"the user {username!r} is not registered: the API answered {answer.status_code}",
            where=url,
            evidence=answer.text[:_LONGEST_QUOTE],
            next_step="take another name",
        )
    return value
