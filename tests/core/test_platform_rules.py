"""The table of facts: complete, dated, and consistent with the constants."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.platform_rules import FACTS, Fact, find_fact

CONSTANTS = {name for name in vars(platform_rules) if re.fullmatch("[A-Z][A-Z0-9_]*", name)}


def test_every_constant_belongs_to_exactly_one_fact() -> None:
    counts = Counter(name for fact in FACTS for name in fact.values)
    assert set(counts) == CONSTANTS - {"FACTS", "OVERRULABLE_RULES"}
    assert set(counts.values()) == {1}


def test_names_are_unique() -> None:
    assert len({fact.name for fact in FACTS}) == len(FACTS)


@pytest.mark.parametrize("fact", FACTS, ids=[fact.name for fact in FACTS])
def test_a_fact_has_a_text_a_source_and_a_date(fact: Fact) -> None:
    assert find_fact(fact.name) is fact
    assert re.fullmatch("[a-z]+(-[a-z]+)*", fact.name)
    assert re.fullmatch(r"2026(-\d\d){0,2}", fact.date)
    assert re.search(r"section \d|SDK [a-z]|^API", fact.source)
    assert fact.text.endswith(".")
    assert len(fact.text.split()) <= 25


def test_what_only_the_newest_commit_says_refuses_no_module() -> None:
    newest = {fact.name for fact in FACTS if fact.sureness == "newest commit only" and fact.refusal}
    assert newest == {"body-size"}  # the emulator's 413; before a call it is a warning


def test_the_order_of_checks_names_rules() -> None:
    assert {rule for group in platform_rules.CHECK_ORDER for rule in group} <= {fact.name for fact in FACTS}
