"""Wallets as Bittensor's tools write them, and files that are not wallets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bittensor_wallet import CRYPTO_ED25519, Wallet

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.account import wallets


@pytest.fixture
def hotkey(tmp_path: Path) -> Path:
    """The file of a new wallet's hotkey, in ``tmp_path``."""
    wallets.create_wallet(tmp_path)
    return tmp_path / "chutes" / "hotkeys" / "default"


def read_default_hotkey(folder: Path) -> wallets.Hotkey:
    return wallets.read_hotkey(folder, "chutes", "default")


def test_a_new_wallet_is_read_again_and_shows_no_seed(hotkey: Path, tmp_path: Path) -> None:
    file = json.loads(hotkey.read_text())
    key = read_default_hotkey(tmp_path)
    assert (key.address, f"0x{key.seed}") == (file["ss58Address"], file["secretSeed"])
    assert key.seed not in repr(key)
    assert wallets.create_wallet(tmp_path).wallet == "chutes-2"


def test_bittensors_tools_read_a_new_wallet(hotkey: Path, tmp_path: Path) -> None:
    wallet = Wallet(name="chutes", hotkey="default", path=str(tmp_path))
    key = read_default_hotkey(tmp_path)
    addresses = (wallet.hotkey.ss58_address, wallet.coldkeypub.ss58_address, wallet.coldkey.ss58_address)
    assert addresses == (key.address, key.coldkey, key.coldkey)
    assert "secret" not in (tmp_path / "chutes" / "coldkeypub.txt").read_text()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {0o600}


def test_a_wallet_of_bittensors_tools_is_read(tmp_path: Path) -> None:
    wallet = Wallet(name="own", hotkey="second", path=str(tmp_path))
    wallet.create_new_coldkey(use_password=False, suppress=True)
    wallet.create_new_hotkey(use_password=False, suppress=True)
    assert wallets.find_hotkeys(tmp_path) == [("own", "second")]
    key = wallets.read_hotkey(tmp_path, "own", "second")
    assert (key.address, key.coldkey) == (wallet.hotkey.ss58_address, wallet.coldkeypub.ss58_address)


def test_public_keys_and_hidden_files_are_not_hotkeys(hotkey: Path, tmp_path: Path) -> None:
    for name in ("defaultpub.txt", ".default.swp"):
        hotkey.with_name(name).write_text("{}")
    (hotkey.parent / "folder").mkdir()
    assert wallets.find_hotkeys(tmp_path) == [("chutes", "default")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"secretSeed": "0x" + "ab" * 31}, "64 hexadecimal digits"),
        ({"secretSeed": None}, "64 hexadecimal digits"),
        ({"secretSeed": "0x" + "zz" * 32}, "64 hexadecimal digits"),
        ({"secretSeed": "0x" + "ab" * 32}, "not that of its secretSeed"),
        ({"ss58Address": "5abc"}, "not that of its secretSeed"),
        ({"cryptoType": CRYPTO_ED25519}, "not an sr25519 key"),
    ],
)
def test_a_hotkey_that_cannot_sign_is_named(
    hotkey: Path, tmp_path: Path, change: dict[str, str | int | None], message: str
) -> None:
    hotkey.write_text(json.dumps({**json.loads(hotkey.read_text()), **change}))
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_default_hotkey(tmp_path)
    assert caught.value.where == str(hotkey)
    assert "ab" * 8 not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"$NACL\xff\x00", "encrypted"),
        (b"$ANSIBLE_VAULT;1.1", "encrypted"),
        (b"gAAAAABf", "encrypted"),
        (b"\xff\xfe", "not a valid wallet file"),
        (b"[]", "not a valid wallet file"),
    ],
)
def test_a_file_that_is_not_a_hotkey_is_reported(hotkey: Path, tmp_path: Path, content: bytes, message: str) -> None:
    hotkey.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        read_default_hotkey(tmp_path)


def test_a_missing_or_incomplete_wallet_is_reported(hotkey: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        wallets.read_hotkey(tmp_path, "nobody", "default")
    (tmp_path / "chutes" / "coldkeypub.txt").write_text("{}")
    with pytest.raises(ConfigurationError, match="lacks ss58Address"):
        read_default_hotkey(tmp_path)


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "wallets").write_text("a file")
    with pytest.raises(ConfigurationError, match="cannot create a wallet"):
        wallets.create_wallet(tmp_path / "wallets")
