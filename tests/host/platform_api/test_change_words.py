"""The words of ``--set``: what is sent, and everything that is wrong at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.overruled_rules import VARIABLE
from chutes_wrappers.host.platform_api.change_words import parse_changes


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["max_instances=2", "scaling_threshold=0.8"], {"max_instances": 2, "scaling_threshold": 0.8}),
        (["max_instances=100", "scaling_threshold=1"], {"max_instances": 100, "scaling_threshold": 1.0}),
        (["shutdown_after_seconds=60"], {"shutdown_after_seconds": 60}),
        (
            ["tagline=a = b", "readme=", "tool_description=x@y"],
            {"tagline": "a = b", "readme": "", "tool_description": "x@y"},
        ),
        (["logo_id=11111111-2222-4333-8444-555555555555"], {"logo_id": "11111111-2222-4333-8444-555555555555"}),
    ],
)
def test_words_become_the_body(words: list[str], changes: dict[str, Any]) -> None:
    parsed = parse_changes(words)
    assert parsed == changes
    assert [type(value) for value in parsed.values()] == [type(value) for value in changes.values()]


def test_a_text_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# OCR\n", encoding="utf-8")
    assert parse_changes([f"readme=@{tmp_path / 'README.md'}"]) == {"readme": "# OCR\n"}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("max_instances=0", "give a whole number from 1 to 100"),
        ("max_instances=1.5", "give a whole number from 1 to 100"),
        ("max_instances=@3", "give a whole number"),
        ("scaling_threshold=nan", "give a number from 0 to 1"),
        ("scaling_threshold=1.01", "rule number-range"),
        ("shutdown_after_seconds=59", "from 60 to 604,800"),
        ("shutdown_after_seconds=soon", "rule argument-type"),
        ("tagline=" + "x" * 1025, "tagline has 1,025 characters: give at most 1,024"),
        ("readme=@/nowhere/README", "No such file"),
        ("readme=@/dev/zero", "not a regular file"),
        ("logo_id=a\nb", "not the id of a logo"),
        ("max_instance=2", "did you mean max_instances?"),
        ("tag_line=x", "did you mean tagline?"),
        ("scaling=1", "did you mean scaling_threshold?"),
        ("", "unknown field"),
        ("max_instances", "write max_instances=VALUE"),
        ("disabled=true", "--disable NAME"),
        ("concurrency=9", "only a deployment changes it"),
        ("gpu_count=2", "only a deployment changes it"),
    ],
)
def test_an_invalid_word_names_its_reason(word: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ConfigurationError) as caught:
        parse_changes([word])
    assert reason in str(caught.value.evidence)
    assert "max_instances" in str(caught.value.next_step)


def test_everything_wrong_is_reported_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_changes(["max_instances=0", "scaling=1", "tagline=ok", "tagline=again", "readme"])
    lines = [line for line in str(caught.value.evidence).splitlines() if not line.startswith("  ")]
    assert [line.partition(" ")[0] for line in lines] == ["max_instances", "'scaling'", "tagline:", "readme:"]


def test_an_overruled_rule_lets_the_platform_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "number-range,argument-type,text-length")
    words = ["max_instances=500", "shutdown_after_seconds=soon", "tagline=" + "x" * 2000]
    assert parse_changes(words) == {"max_instances": 500, "shutdown_after_seconds": "soon", "tagline": "x" * 2000}
