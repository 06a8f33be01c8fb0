"""Rules that ``--allow`` overrules: what is recorded, reported and refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chutes_wrappers.core import overruled_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.overruled_rules import (
    build_variables,
    check_rule,
    is_overruled,
    list_overruled,
    record_overruled,
    refuse,
)
from chutes_wrappers.core.platform_rules import FACTS, OVERRULABLE_RULES

Reports = list[tuple[str, str]]


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reports]:
    """What is reported while subnet-name is overruled."""
    monkeypatch.delenv(overruled_rules.VARIABLE, raising=False)
    reported: Reports = []
    with record_overruled(["subnet-name"], lambda rule, reason: reported.append((rule, reason))):
        yield reported


def test_a_refusal_names_its_rule_and_how_to_overrule_it(reports: Reports) -> None:
    with pytest.raises(ConfigurationError) as refused:
        refuse("secret-name", ConfigurationError("LD_X is banned", evidence="seen", next_step="rename it"))
    assert str(refused.value) == (
        "LD_X is banned\nseen\nrule secret-name, as of 2026-07, sure; --allow secret-name lets the platform decide\n"
        "Next: rename it"
    )
    assert (list_overruled(), reports) == ([], [])


def test_an_overruled_rule_refuses_nothing_and_is_reported_once_with_its_reason(reports: Reports) -> None:
    for _ in range(2):
        refuse("subnet-name", ConfigurationError("'glyph' is reserved", where="deploy_x.py"))
    assert is_overruled("subnet-name")
    assert reports == [("subnet-name", "deploy_x.py: 'glyph' is reserved")]
    assert list_overruled() == ["subnet-name"]


def test_what_was_allowed_but_not_violated_is_not_listed(reports: Reports) -> None:
    assert not is_overruled("balance", "too low")
    assert (list_overruled(), reports) == ([], [])


def test_child_processes_overrule_the_same_rules_and_their_reasons_are_reported_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(overruled_rules.VARIABLE, raising=False)
    reported: Reports = []
    code = "from chutes_wrappers.core.overruled_rules import is_overruled; print(is_overruled('no-cord', 'no route'))"
    with record_overruled(["no-cord"], lambda rule, reason: reported.append((rule, reason))):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert (done.stdout, reported, list_overruled()) == ("True\n", [], ["no-cord"])
    assert reported == [("no-cord", "no route")]


def test_afterwards_nothing_is_overruled_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(overruled_rules.VARIABLE, "balance")
    before = dict(os.environ)
    records: list[str] = []

    def interrupt() -> None:
        with record_overruled(["no-gpu"], lambda rule, reason: None):
            assert build_variables() == {overruled_rules.VARIABLE: "balance,no-gpu"}
            records.append(os.environ[overruled_rules._RECORD_VARIABLE])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert dict(os.environ) == before
    assert not Path(records[0]).parent.exists()


def test_without_rules_there_is_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(overruled_rules.VARIABLE, raising=False)
    with record_overruled([], lambda rule, reason: None):
        assert overruled_rules._RECORD_VARIABLE not in os.environ
        assert (build_variables(), list_overruled()) == ({}, [])


@pytest.mark.parametrize("name", OVERRULABLE_RULES)
def test_every_rule_can_be_named(name: str) -> None:
    assert check_rule(name) == name


@pytest.mark.parametrize("name", [fact.name for fact in FACTS if not fact.refusal])
def test_a_fact_that_refuses_nothing_cannot_be_overruled(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be overruled: "):
        check_rule(name)


@pytest.mark.parametrize(("name", "near"), [("tee-requird", "tee-required"), ("TEE-REQUIRED", None), ("", None)])
def test_an_unknown_rule_gets_the_nearest_and_the_list(name: str, near: str | None) -> None:
    with pytest.raises(ConfigurationError) as unknown:
        check_rule(name)
    assert unknown.value.next_step is not None
    assert unknown.value.next_step.startswith(f"did you mean {near}? " if near else "The rules: ")
    assert ", version-exists" in unknown.value.next_step


def test_a_record_of_a_process_that_has_ended_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(overruled_rules.VARIABLE, raising=False)
    monkeypatch.setenv(overruled_rules._RECORD_VARIABLE, str(tmp_path / "gone"))
    with record_overruled([], lambda rule, reason: None):
        assert list_overruled() == []
