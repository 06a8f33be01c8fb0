"""Wallets as Bittensor's tools keep them: ``<wallets>/<name>/coldkeypub.txt`` and ``<wallets>/<name>/hotkeys/<hotkey>``."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import write_atomically
from chutes_wrappers.host.account.keypairs import keypair

NEW_WALLET, NEW_HOTKEY = "chutes", "default"
_PUBLIC = "pub.txt"
_SEED = re.compile(r"[0-9a-f]{64}\Z")
_SR25519 = 1  # bittensor-wallet's cryptoType; a file without one is of this kind


@dataclass(frozen=True, kw_only=True)
class Hotkey:
    """A key that signs, and the address of the cold key that owns it."""

    wallet: str
    name: str
    address: str
    coldkey: str
    seed: str = field(repr=False)


def wallets_folder() -> Path:
    """Where wallets are kept."""
    return Path.home() / ".bittensor" / "wallets"


def find(folder: Path) -> list[tuple[str, str]]:
    """(wallet, hotkey) of every hotkey in ``folder``, sorted; public halves, which lie beside them, are none."""
    return sorted(
        (path.parent.parent.name, path.name)
        for path in folder.glob("*/hotkeys/*")
        if path.is_file() and not path.name.startswith(".") and not path.name.endswith(_PUBLIC)
    )


def read(folder: Path, wallet: str, name: str) -> Hotkey:
    """A hotkey with its seed; ConfigurationError names the file that is missing, encrypted, or none of a wallet."""
    public = folder / wallet / "coldkeypub.txt"
    path = folder / wallet / "hotkeys" / name
    secret = _json(path)
    if secret.get("cryptoType", _SR25519) != _SR25519:
        raise _unfit("it is not an sr25519 key, and Chutes takes no other", path)
    seed = str(secret.get("secretSeed") or "").removeprefix("0x").lower()
    if not _SEED.match(seed):
        raise _unfit("its secretSeed is not 64 hexadecimal digits", path)
    address = keypair(seed).ss58_address
    if secret.get("ss58Address") != address:
        raise _unfit("its ss58Address is not that of its secretSeed", path)
    coldkey = _json(public).get("ss58Address")
    if not isinstance(coldkey, str):
        raise _unfit("it lacks ss58Address", public)
    return Hotkey(wallet=wallet, name=name, address=address, coldkey=coldkey, seed=seed)


def _json(path: Path) -> dict[str, Any]:
    from bittensor_wallet.keyfile import keyfile_data_is_encrypted

    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unfit(f"it cannot be read: {error.strerror}", path) from None
    if keyfile_data_is_encrypted(data):
        raise _unfit("it is encrypted, and a hotkey that signs here must not be", path)
    try:
        value = json.loads(data)
    except ValueError:  # not its own words: they may quote a key
        value = None
    if not isinstance(value, dict):
        raise _unfit("it is not a file of a wallet", path)
    return value


def _unfit(why: str, path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"this hotkey cannot be used: {why}", where=str(path), next_step="name another wallet, or make a new one"
    )


def make(folder: Path) -> Hotkey:
    """A new wallet with a hotkey, for its owner alone and without a password; its phrases are in its files, and nowhere else.

    ConfigurationError where it cannot be written.
    """
    from bittensor_wallet import Keypair
    from bittensor_wallet.keyfile import serialized_keypair_to_keyfile_data as serialized

    name = next(each for each in _names() if not os.path.lexists(folder / each))
    place = folder / name
    try:
        (place / "hotkeys").mkdir(parents=True, mode=0o700)
        for path in (place, place / "hotkeys"):
            path.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(
            f"no wallet can be made there ({error.strerror})",
            where=str(place),
            next_step="correct that, then try again",
        ) from error
    for file, public in ((place / "coldkey", place / "coldkeypub.txt"), (place / "hotkeys" / NEW_HOTKEY, None)):
        pair = Keypair.create_from_mnemonic(Keypair.generate_mnemonic())
        _write(file, serialized(pair))
        if public is not None:
            _write(public, serialized(Keypair(ss58_address=pair.ss58_address)))
    return read(folder, name, NEW_HOTKEY)


def _names() -> list[str]:
    return [NEW_WALLET, *(f"{NEW_WALLET}-{number}" for number in range(2, 1000))]


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, content.decode(), mode=0o600)
