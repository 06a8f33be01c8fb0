"""Wallets as Bittensor's tools keep them: ``<wallets>/<name>/coldkeypub.txt`` and ``<wallets>/<name>/hotkeys/<hotkey>``."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError

NEW_WALLET, NEW_HOTKEY = "chutes", "default"


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
    """(wallet, hotkey) of every hotkey in ``folder``, sorted."""
    return sorted((path.parent.parent.name, path.name) for path in folder.glob("*/hotkeys/*") if path.is_file())


def read(folder: Path, wallet: str, name: str) -> Hotkey:
    """A hotkey with its seed; ConfigurationError names the file that is missing or is none of a wallet."""
    public = _json(folder / wallet / "coldkeypub.txt")
    path = folder / wallet / "hotkeys" / name
    secret = _json(path)
    try:
        return Hotkey(
            wallet=wallet,
            name=name,
            address=str(secret["ss58Address"]),
            coldkey=str(public["ss58Address"]),
            seed=str(secret["secretSeed"]).removeprefix("0x"),
        )
    except KeyError as error:
        raise ConfigurationError(
            f"the wallet's file lacks {error.args[0]}",
            where=str(path),
            next_step="name another wallet, or make a new one",
        ) from None


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        # Not the error's own words: they may quote a key.
        raise ConfigurationError(
            f"the wallet's file cannot be read ({type(error).__name__})",
            where=str(path),
            next_step="name another wallet, or make a new one",
        ) from None
    if not isinstance(value, dict):
        raise ConfigurationError("this is no file of a wallet", where=str(path), next_step="name another wallet")
    return value


def make(folder: Path) -> Hotkey:
    """A new wallet with a hotkey, for its owner alone and without a password; its phrases are in its files, and nowhere else."""
    from substrateinterface import Keypair

    name = next(each for each in _names() if not (folder / each).exists())
    place = folder / name
    (place / "hotkeys").mkdir(parents=True, mode=0o700)
    for path in (place, place / "hotkeys"):
        path.chmod(0o700)
    for file, public in ((place / "coldkey", place / "coldkeypub.txt"), (place / "hotkeys" / NEW_HOTKEY, None)):
        phrase = Keypair.generate_mnemonic()
        pair = Keypair.create_from_mnemonic(phrase)
        told = {
            "accountId": f"0x{pair.public_key.hex()}",
            "publicKey": f"0x{pair.public_key.hex()}",
            "ss58Address": pair.ss58_address,
        }
        _write(file, {**told, "secretPhrase": phrase, "secretSeed": _seed(pair)})
        if public is not None:
            _write(public, told)
    return read(folder, name, NEW_HOTKEY)


def _seed(pair: Any) -> str:
    seed = pair.seed_hex
    return (
        seed
        if isinstance(seed, str) and seed.startswith("0x")
        else f"0x{seed.hex() if isinstance(seed, bytes) else seed}"
    )


def _names() -> list[str]:
    return [NEW_WALLET, *(f"{NEW_WALLET}-{number}" for number in range(2, 1000))]


def _write(path: Path, value: dict[str, Any]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(value, file)
