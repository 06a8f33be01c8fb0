"""Wallets in the format of Bittensor's tools: ``<wallets>/<name>/coldkeypub.txt`` and ``<wallets>/<name>/hotkeys/<hotkey>``."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.files import write_atomically
from chutes_wrappers.host.account.keypairs import is_seed, keypair_from_seed

NEW_WALLET, NEW_HOTKEY = "chutes", "default"
_PUBLIC_SUFFIX = "pub.txt"

_SR25519 = 1  # bittensor-wallet's cryptoType; a file without one is of this kind


@dataclass(frozen=True, kw_only=True)
class Hotkey:
    """A key that signs requests, and the address of the coldkey that owns it."""

    wallet: str
    name: str
    address: str
    coldkey: str
    seed: str = field(repr=False)


def get_wallets_folder() -> Path:
    """Return the folder of the wallets."""
    return Path.home() / ".bittensor" / "wallets"


def find_hotkeys(folder: Path) -> list[tuple[str, str]]:
    """Return (wallet, hotkey) of every hotkey in ``folder``, sorted, without the files of public keys beside them."""
    return sorted(
        (path.parent.parent.name, path.name)
        for path in folder.glob("*/hotkeys/*")
        if path.is_file() and not path.name.startswith(".") and not path.name.endswith(_PUBLIC_SUFFIX)
    )


def read_hotkey(folder: Path, wallet: str, name: str) -> Hotkey:
    """Return a hotkey with its seed.

    Raises ConfigurationError with the file that is missing, encrypted or not a valid wallet file.
    """
    public = folder / wallet / "coldkeypub.txt"
    path = folder / wallet / "hotkeys" / name
    secret = _read_json(path)
    if secret.get("cryptoType", _SR25519) != _SR25519:
        raise _make_error("it is not an sr25519 key, the only kind that Chutes accepts", path)
    seed = str(secret.get("secretSeed") or "").removeprefix("0x").lower()
    if not is_seed(seed):
        raise _make_error("its secretSeed is not 64 hexadecimal digits", path)
    address = keypair_from_seed(seed).ss58_address
    if secret.get("ss58Address") != address:
        raise _make_error("its ss58Address is not that of its secretSeed", path)
    coldkey = _read_json(public).get("ss58Address")
    if not isinstance(coldkey, str):
        raise _make_error("it lacks ss58Address", public)
    return Hotkey(wallet=wallet, name=name, address=address, coldkey=coldkey, seed=seed)


def _read_json(path: Path) -> dict[str, Any]:
    from bittensor_wallet.keyfile import keyfile_data_is_encrypted

    try:
        data = path.read_bytes()
    except OSError as error:
        raise _make_error(f"it cannot be read: {error.strerror}", path) from None
    if keyfile_data_is_encrypted(data):
        raise _make_error("it is encrypted; a hotkey that signs here must not be encrypted", path)
    try:
        value = json.loads(data)
    except ValueError:  # without its text, which may contain a key
        value = None
    if not isinstance(value, dict):
        raise _make_error("it is not a valid wallet file", path)
    return value


def _make_error(reason: str, path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"this hotkey cannot be used: {reason}", where=str(path), next_step="choose another wallet, or create a new one"
    )


def create_wallet(folder: Path) -> Hotkey:
    """Create a wallet with a hotkey, readable by its owner only and without a password. Return the hotkey.

    Its mnemonics are only in its files. Raises ConfigurationError when it cannot be written.
    """
    from bittensor_wallet import Keypair
    from bittensor_wallet.keyfile import serialized_keypair_to_keyfile_data as serialize

    name = next(each for each in _list_candidate_names() if not os.path.lexists(folder / each))
    wallet_folder = folder / name
    try:
        (wallet_folder / "hotkeys").mkdir(parents=True, mode=0o700)
        for path in (wallet_folder, wallet_folder / "hotkeys"):
            path.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(
            f"cannot create a wallet ({error.strerror})",
            where=str(wallet_folder),
            next_step="correct that, then try again",
        ) from error
    for file, public in (
        (wallet_folder / "coldkey", wallet_folder / "coldkeypub.txt"),
        (wallet_folder / "hotkeys" / NEW_HOTKEY, None),
    ):
        pair = Keypair.create_from_mnemonic(Keypair.generate_mnemonic())
        _write_key(file, serialize(pair))
        if public is not None:
            _write_key(public, serialize(Keypair(ss58_address=pair.ss58_address)))
    return read_hotkey(folder, name, NEW_HOTKEY)


def _list_candidate_names() -> list[str]:
    return [NEW_WALLET, *(f"{NEW_WALLET}-{number}" for number in range(2, 1000))]


def _write_key(path: Path, content: bytes) -> None:
    write_atomically(path, content.decode(), mode=0o600)
