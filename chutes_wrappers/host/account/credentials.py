"""How a request shows whose it is: by the SDK's signature, or by an API key."""

from __future__ import annotations

import configparser
import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from loguru import logger

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, get_key_path
from chutes_wrappers.host.account.keypairs import keypair_from_seed
from chutes_wrappers.sdk.username import get_config_path

_REQUIRED_FIELDS = ("username", "user_id", "hotkey_seed", "hotkey_name", "hotkey_ss58address")
_SEED = re.compile(r"[0-9a-fA-F]{64}\Z")
_REGISTER_STEP = f"run {NAMES.account}, or name the account's file in CHUTES_CONFIG_PATH"


class Credentials(Protocol):
    """Who asks the platform."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be shown nowhere."""
        ...

    @property
    def source(self) -> str:
        """Where they come from, for a message."""
        ...

    def headers(self, body: bytes | None, purpose: str) -> Mapping[str, str]:
        """The headers of a request with ``body``, or without one for ``purpose`` (PLATFORM.md, section 5)."""
        ...


class NoCredentials:
    """Nobody: for what the API tells everybody."""

    secrets: tuple[str, ...] = ()
    source = "no account, which this needs none of"

    def headers(self, body: bytes | None, purpose: str) -> Mapping[str, str]:
        """None."""
        return {}


@dataclass(frozen=True, kw_only=True)
class KeyCredentials:
    """An API key."""

    key: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key."""
        return (self.key,)

    @property
    def source(self) -> str:
        """Both places that a key may be in."""
        return f"the API key in {KEY_VARIABLE} or {get_key_path()}"

    def headers(self, body: bytes | None, purpose: str) -> Mapping[str, str]:
        """The same for every request."""
        return {"Authorization": f"Bearer {self.key}"}


@dataclass(frozen=True, kw_only=True)
class AccountCredentials:
    """The account of the SDK's configuration file, whose hotkey signs. ``username``, ``user_id`` and ``address`` are the file's."""

    file: Path
    username: str
    user_id: str
    address: str
    seed: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The hotkey's seed, as it stands in the file and without its prefix."""
        return (self.seed, self.seed.removeprefix("0x"))

    @property
    def source(self) -> str:
        """The file."""
        return f"the account in {self.file}"

    def headers(self, body: bytes | None, purpose: str) -> Mapping[str, str]:
        """Signed by the SDK (``util/auth.py: sign_request``). ConfigurationError for a seed that is none."""
        logger.disable("chutes")  # the SDK says on standard error which file it reads
        from chutes.util.auth import sign_request

        try:
            signed, _ = sign_request(payload=body, purpose=purpose)
        except (ValueError, TypeError, IndexError):
            # Not the error's own words: they may quote the seed.
            raise ConfigurationError(
                "the account's hotkey cannot sign",
                where=str(self.file),
                next_step="hotkey_seed is 64 hexadecimal digits",
            ) from None
        return {str(name): str(value) for name, value in signed.items()}


@dataclass(frozen=True, kw_only=True)
class SeedCredentials:
    """A hotkey that the SDK's configuration file need not have; ``user_id`` is its user's, where it has one already.

    ``secret_token`` is what else of its requests must not be shown.
    """

    seed: str = field(repr=False)
    user_id: str = ""
    secret_token: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The private key, and the token."""
        return tuple(filter(None, (self.seed, self.secret_token)))

    @property
    def source(self) -> str:
        """Whose it is."""
        return "the hotkey"

    def headers(self, body: bytes | None, purpose: str) -> Mapping[str, str]:
        """Signed as the SDK signs (``entrypoint/register.py``). ConfigurationError for a seed that is none."""
        from chutes.constants import HOTKEY_HEADER, NONCE_HEADER, SIGNATURE_HEADER, USER_ID_HEADER

        try:
            key = keypair_from_seed(self.seed)
        except (ValueError, TypeError):
            # Not the error's own words: they may quote the seed.
            raise ConfigurationError(
                "the hotkey cannot sign", next_step="its secretSeed is 64 hexadecimal digits"
            ) from None
        nonce = str(int(time.time()))
        message = purpose if body is None else hashlib.sha256(body).hexdigest()
        signature = key.sign(f"{key.ss58_address}:{nonce}:{message}".encode()).hex()
        user = {USER_ID_HEADER: self.user_id} if self.user_id else {}
        return {**user, HOTKEY_HEADER: key.ss58_address, NONCE_HEADER: nonce, SIGNATURE_HEADER: signature}


def read_account() -> AccountCredentials:
    """The account of the SDK's configuration file; ConfigurationError says what is missing from it, and how to get one."""
    path = get_config_path()
    try:
        return parse_account(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        raise ConfigurationError("no Chutes account is set up", where=str(path), next_step=_REGISTER_STEP) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _make_unreadable_error(path, error) from None


def parse_account(text: str, path: Path) -> AccountCredentials:
    """The account that ``text``, which is in the file ``path``, describes; ConfigurationError says what it lacks."""
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
    """What keeps the account's hotkey from signing, as far as its file tells; the platform only says that it refuses."""
    seed = account.seed.removeprefix("0x")
    if not _SEED.match(seed):
        return ConfigurationError(
            "hotkey_seed is no seed",
            where=str(account.file),
            next_step=f"hotkey_seed is 64 hexadecimal digits, the hotkey's secretSeed: correct it, or {NAMES.account}",
        )
    seed_address = keypair_from_seed(seed).ss58_address
    if seed_address == account.address:
        return None
    return ConfigurationError(
        f"hotkey_seed and hotkey_ss58address do not belong together: the seed is that of {seed_address}, the address is {account.address}",
        where=str(account.file),
        next_step=f"take both from the same hotkey, or {NAMES.account}",
    )


def _make_unreadable_error(path: Path, error: Exception) -> ConfigurationError:
    # Not the error's own words: they quote the file, and it holds a key.
    return ConfigurationError(
        "the Chutes configuration cannot be read",
        where=str(path),
        evidence=type(error).__name__,
        next_step=_REGISTER_STEP,
    )
