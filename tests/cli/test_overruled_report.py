"""``--allow RULE`` on the command line: its values, its warnings and the last line."""

from __future__ import annotations

import json

import pytest

from chutes_wrappers.cli import output
from chutes_wrappers.cli.main import run_arguments
from chutes_wrappers.cli.overruled_report import report_overruled
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.overruled_rules import refuse


@pytest.fixture(autouse=True)
def plain_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console of this test's standard error."""
    monkeypatch.setattr(output, "_console", None)


def run_overruled(*rules: str) -> None:
    with report_overruled(rules):
        refuse("subnet-name", ConfigurationError("'glyph' is reserved", where="deploy_x.py"))
        output.print_json({"good": True})
        output.success("deployed")


def test_the_reason_comes_first_and_the_last_line_says_that_it_is_not_proven(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_overruled("subnet-name", "balance")
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        "! deploy_x.py: 'glyph' is reserved (rule subnet-name is overruled: the platform decides)",
        "✓ deployed",
        "! rule subnet-name was overruled: not proven",
    ]
    assert json.loads(printed.out) == {"good": True, "overruled": ["subnet-name"]}


def test_another_rule_still_refuses_and_nothing_is_said_of_one_that_was_not_violated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ConfigurationError, match="glyph"):
        run_overruled("balance")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("subnet-nam", "unknown rule 'subnet-nam'; did you mean subnet-name? The rules: argument-type, "),
        ("instance-user", "'instance-user' is a fact that cannot be overruled: "),
    ],
)
def test_an_invalid_rule_is_wrong_usage(rule: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_arguments(["--doctor", "--facts", "--allow", rule]) == 2
    assert message in capsys.readouterr().err


def test_the_facts_are_printed_with_text_values_and_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_arguments(["--allow", "balance", "--doctor", "--facts"]) == 0
    printed = capsys.readouterr()
    assert "exclude-count\n    exclude has a limited number of entries.\n    max excluded gpus: 5\n" in printed.out
    assert "as of 2026-05-12, sure; refused: 400" in printed.out
    assert "overruled" not in printed.err
