"""Request authentication: SDK signature or API key."""

from __future__ import annotations

import configparser
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from loguru import logger

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.files import read_small_file
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, get_key_path
from chutes_wrappers.host.account.keypairs import is_seed, keypair_from_seed
from chutes_wrappers.sdk.username import get_config_path

_REQUIRED_FIELDS = ("username", "user_id", "hotkey_seed", "hotkey_name", "hotkey_ss58address")

_REGISTER_STEP = f"run {NAMES.account}, or set CHUTES_CONFIG_PATH to the account's file"


class Credentials(Protocol):
    """The credentials of requests to the platform. ``username`` is the account's, or empty when they do not contain it."""

    @property
    def username(self) -> str: ...

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that no message may contain."""
        ...

    @property
    def source(self) -> str:
        """Where the credentials come from, for a message."""
        ...

    def headers(self, body: bytes | None, purpose: str) -> Mapping[str, str]:
        """Return the headers of a request with ``body``, or without one for ``purpose`` (PLATFORM.md, section 5).

        Raises ConfigurationError for an invalid seed.
        """
        ...


class NoCredentials:
    """No credentials, for requests that the API accepts from everybody."""

    username = ""
    secrets: tuple[str, ...] = ()
    source = "no account, since none is needed"

    def headers(self, body: bytes | None, purpose: str) -> Mapping[str, str]:
        return {}


@dataclass(frozen=True, kw_only=True)
class KeyCredentials:
    """An API key."""

    key: str = field(repr=False)
    username: str = field(default="", init=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.key,)

    @property
    def source(self) -> str:
        return f"the API key in {KEY_VARIABLE} or {get_key_path()}"

    def headers(self, body: bytes | None, purpose: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@dataclass(frozen=True, kw_only=True)
class AccountCredentials:
    """The account in the SDK's configuration file. Its hotkey signs requests; the fields are those of the file."""

    file: Path
    username: str
    user_id: str
    address: str
    seed: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        # With and without the prefix that the file may have.
        return (self.seed, self.seed.removeprefix("0x"))

    @property
    def source(self) -> str:
        return f"the account in {self.file}"

    def headers(self, body: bytes | None, purpose: str) -> Mapping[str, str]:
        logger.disable("chutes")  # the SDK logs to standard error which file it reads
        from chutes.util.auth import sign_request

        try:
            signed, _ = sign_request(payload=body, purpose=purpose)
        except (ValueError, TypeError, IndexError):
            # Without the error's text, which may contain the seed.
            raise ConfigurationError(
                "the account's hotkey cannot sign",
                where=str(self.file),
                next_step="set hotkey_seed to 64 hexadecimal digits",
            ) from None
        return {str(name): str(value) for name, value in signed.items()}


@dataclass(frozen=True, kw_only=True)
class SeedCredentials:
    """A hotkey, which need not be in the SDK's configuration file. ``user_id`` is its user's, if it has one already.

    ``secret_token`` is another value in its requests that no message may contain.
    """

    seed: str = field(repr=False)
    username: str = ""
    user_id: str = ""
    secret_token: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.seed, self.secret_token)))

    @property
    def source(self) -> str:
        return "the hotkey"

    def headers(self, body: bytes | None, purpose: str) -> Mapping[str, str]:
        # The same signature as in the SDK's entrypoint/register.py.
        from chutes.constants import HOTKEY_HEADER, NONCE_HEADER, SIGNATURE_HEADER, USER_ID_HEADER

        try:
            key = keypair_from_seed(self.seed)
        except (ValueError, TypeError):
            # Without the error's text, which may contain the seed.
            raise ConfigurationError(
                "the hotkey cannot sign", next_step="use a secretSeed of 64 hexadecimal digits"
            ) from None
        nonce = str(int(time.time()))
        message = purpose if body is None else hashlib.sha256(body).hexdigest()
        signature = key.sign(f"{key.ss58_address}:{nonce}:{message}".encode()).hex()
        user = {USER_ID_HEADER: self.user_id} if self.user_id else {}
        return {**user, HOTKEY_HEADER: key.ss58_address, NONCE_HEADER: nonce, SIGNATURE_HEADER: signature}


def has_account() -> bool:
    """Return whether the SDK's configuration file has an account, valid or not."""
    try:
        text = read_small_file(get_config_path()).decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, UnicodeDecodeError):
        return True  # ``read_account`` reports it
    return "[auth]" in text


def read_account() -> AccountCredentials:
    """Return the account in the SDK's configuration file.

    Raises ConfigurationError with what is missing, and how to get an account.
    """
    path = get_config_path()
    try:
        return parse_account(read_small_file(path).decode("utf-8"), path)
    except FileNotFoundError:
        raise ConfigurationError("no Chutes account is set up", where=str(path), next_step=_REGISTER_STEP) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _make_unreadable_error(path, error) from None


def parse_account(text: str, path: Path) -> AccountCredentials:
    """Return the account in ``text``, the content of the file ``path``. Raises ConfigurationError with what is missing."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise _make_unreadable_error(path, error) from None
    missing = [name for name in _REQUIRED_FIELDS if not parser.get("auth", name, fallback="").strip()]
    if missing:
        raise ConfigurationError(
            f"the Chutes account lacks {', '.join(missing)} in [auth]", where=str(path), next_step=_REGISTER_STEP
        )
    auth = parser["auth"]
    return AccountCredentials(
        file=path,
        username=auth["username"].strip(),
        user_id=auth["user_id"].strip(),
        address=auth["hotkey_ss58address"].strip(),
        seed=auth["hotkey_seed"].strip(),
    )


def find_hotkey_problem(account: AccountCredentials) -> ConfigurationError | None:
    """Return why the account's hotkey cannot sign, as far as its file shows; None without a reason.

    The platform only reports that it rejects a signature.
    """
    seed = account.seed.removeprefix("0x")
    if not is_seed(seed):
        return ConfigurationError(
            "hotkey_seed is not a valid seed",
            where=str(account.file),
            next_step=f"set it to the hotkey's secretSeed, 64 hexadecimal digits, or run {NAMES.account}",
        )
    seed_address = keypair_from_seed(seed).ss58_address
    if seed_address == account.address:
        return None
    return ConfigurationError(
        f"hotkey_seed and hotkey_ss58address do not belong together: the seed is that of {seed_address}, the address is {account.address}",
        where=str(account.file),
        next_step=f"set both to the values of the same hotkey, or run {NAMES.account}",
    )


def _make_unreadable_error(path: Path, error: Exception) -> ConfigurationError:
    # Without the error's text, which quotes the file, and the file contains a key.
    return ConfigurationError(
        "the Chutes configuration cannot be read",
        where=str(path),
        evidence=type(error).__name__,
        next_step=_REGISTER_STEP,
    )
