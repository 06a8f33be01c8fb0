"""The flags of the emulator's command."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.emulator.__main__ import _build_settings, _parse_options
from chutes_wrappers.emulator.staleness import PLATFORM_STALENESS, Staleness


def test_responses_are_stale_on_request_only(tmp_path: Path) -> None:
    line = ["--folder", str(tmp_path)]
    assert _build_settings(_parse_options(line)).staleness == Staleness()
    assert _build_settings(_parse_options([*line, "--stale"])).staleness == PLATFORM_STALENESS


def test_several_rules_can_be_overruled(tmp_path: Path) -> None:
    options = _parse_options(["--folder", str(tmp_path), "--allow", "tee-required", "--allow", "no-gpu"])
    assert options.allow == ["tee-required", "no-gpu"]


def test_an_unknown_rule_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        _parse_options(["--folder", str(tmp_path), "--allow", "tee-requird"])
    assert stopped.value.code == 2
    assert "did you mean tee-required?" in capsys.readouterr().err
