from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.account.credentials import KeyCredentials, read_account

SEED = "0x" + "ab" * 32
GOOD = (
    f"[auth]\nusername = someone\nuser_id = 1\nhotkey_seed = {SEED}\nhotkey_name = default\nhotkey_ss58address = 5abc\n"
)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.ini"
    path.write_text(GOOD)
    monkeypatch.setenv("CHUTES_CONFIG_PATH", str(path))
    return path


def test_an_account_is_read_and_shows_no_seed(config: Path) -> None:
    account = read_account()
    assert (account.username, account.user_id, account.file) == ("someone", "1", config)
    assert SEED not in repr(account)
    assert {SEED, SEED[2:]} == {*account.secrets}


@pytest.mark.parametrize("field", ["username", "user_id", "hotkey_seed", "hotkey_name", "hotkey_ss58address"])
def test_a_missing_field_is_named(config: Path, field: str) -> None:
    config.write_text("".join(line for line in GOOD.splitlines(keepends=True) if not line.startswith(field)))
    with pytest.raises(ConfigurationError, match=field) as caught:
        read_account()
    assert caught.value.where == str(config)
    assert "ab" * 32 not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\0", b"no section", b"[auth]\n[auth]\n", GOOD.encode() + b"%\xff"])
def test_an_invalid_file_is_reported_without_its_content(config: Path, content: bytes) -> None:
    config.write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        read_account()
    assert "ab" * 32 not in str(caught.value)


def test_a_folder_in_place_of_the_file_is_reported(config: Path) -> None:
    config.unlink()
    config.mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_account()


def test_a_missing_file_reports_how_to_create_one(config: Path) -> None:
    config.unlink()
    with pytest.raises(ConfigurationError, match=r"setup\.sh --account"):
        read_account()


def test_a_key_is_in_no_repr() -> None:
    assert "cpk_canary" not in repr(KeyCredentials(key="cpk_canary"))
