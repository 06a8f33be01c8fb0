from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.sdk.username import chutes_username


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CHUTES_USERNAME", raising=False)
    path = tmp_path / "config.ini"
    monkeypatch.setenv("CHUTES_CONFIG_PATH", str(path))
    return path


def test_the_variable_has_priority(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("[auth]\nusername = filed\n")
    monkeypatch.setenv("CHUTES_USERNAME", "named")
    assert chutes_username() == "named"


def test_without_the_variable_the_configuration_of_the_sdk_is_read(config: Path) -> None:
    config.write_text("[auth]\nusername = filed\nhotkey_seed = 100%secret\n")
    assert chutes_username() == "filed"


def test_the_default_location_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHUTES_USERNAME", "CHUTES_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".chutes").mkdir()
    (tmp_path / ".chutes" / "config.ini").write_text("[auth]\nusername = at_home\n")
    assert chutes_username() == "at_home"


@pytest.mark.parametrize("text", [None, "", "[auth]\n", "no section\nhotkey_seed = canary"])
def test_without_an_account_the_error_names_the_file_and_no_content(config: Path, text: str | None) -> None:
    if text is not None:
        config.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        chutes_username()
    assert str(config) in str(caught.value)
    assert "canary" not in str(caught.value)
