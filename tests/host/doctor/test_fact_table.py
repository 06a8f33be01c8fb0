"""The facts about the platform as ``--doctor`` shows them."""

from __future__ import annotations

import json

import pytest

from chutes_wrappers.core.platform_rules import FACTS, OVERRULABLE_RULES, find_fact
from chutes_wrappers.host.doctor.fact_table import describe_facts, format_long_fact, format_short_facts, format_value


def test_the_short_form_has_every_fact_under_its_date_and_marks_rules() -> None:
    shown = [(heading, text) for heading, texts in format_short_facts() for text in texts]
    assert len(shown) == len(FACTS)
    for fact in FACTS:
        mark = "*" if fact.name in OVERRULABLE_RULES else ""
        heading = f"{fact.date}, {fact.sureness}"
        assert any(each == heading and (text + " ").startswith(f"{fact.name}{mark} ") for each, text in shown), (
            fact.name
        )


def test_the_long_form_has_text_values_date_sureness_and_refusal() -> None:
    assert format_long_fact(find_fact("exclude-count")) == (
        "exclude has a limited number of entries.",
        "max excluded gpus: 5",
        "as of 2026-08, sure; refused: 400; source: API, section 4",
    )
    assert "a fact, which --allow does not take" in format_long_fact(find_fact("instance-user"))[-1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("INSTANCE_SHM_BYTES", "16 GiB"),
        ("API_CALL_LIMIT_S", "1800 s"),
        ("MIN_GLIBC", "2.34"),
        ("INSTANCE_VOLUMES", "/tmp, /cache"),
        ("REGISTRATION_DEPOSIT_TAO", "0.25 TAO"),
        ("MODULE_FILE", r"^[a-z][a-z0-9_]*\.py\Z"),
    ],
)
def test_a_value_has_its_unit(name: str, text: str) -> None:
    assert format_value(name) == text


def test_as_data_every_fact_is_json() -> None:
    facts = json.loads(json.dumps(describe_facts()))
    assert [fact["name"] for fact in facts] == [fact.name for fact in FACTS]
    assert {fact["name"] for fact in facts if fact["is_rule"]} == set(OVERRULABLE_RULES)
