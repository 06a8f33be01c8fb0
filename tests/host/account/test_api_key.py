"""Sources of the API key."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.account import api_key

KEY = "cpk_secret"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CHUTES_API_KEY", raising=False)


def test_the_variable_has_priority_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api_key.read_api_key() is None
    (tmp_path / ".chutes").mkdir()
    (tmp_path / ".chutes" / "api_key").write_text("of-the-file\n")
    assert api_key.read_api_key() == "of-the-file"
    monkeypatch.setenv("CHUTES_API_KEY", f" {KEY}\n")
    assert api_key.require_api_key() == KEY


def test_without_a_key_the_error_reports_how_to_get_one() -> None:
    with pytest.raises(ConfigurationError, match="--account --key"):
        api_key.require_api_key()
