"""The only form of TEE and GPU that the platform accepts, and other forms."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_checks, platform_rules

from .module_texts import assert_one_problem, build_description, check_module

NODE = build_description()["node_selector"]
TWO_LINES = '    tee=True,\n    node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),'


@pytest.mark.parametrize(
    "selector",
    [
        {},
        {"min_vram_gb_per_gpu": 96},
        {"max_hourly_price_per_gpu": 1.8},
        {"max_hourly_price_per_gpu": 9.99},
        {"exclude": ["h100", "a100", "b200", "L40S", "4090"]},
    ],
)
def test_the_accepted_placement(selector: dict[str, Any]) -> None:
    assert check_module(node_selector={**NODE, **selector}) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tee": False}, "tee is False"),
        ({"tee": 0}, "tee is 0"),
        ({"tee": "no"}, "tee is 'no'"),
        ({"node_selector": None}, "node_selector is not set"),
    ],
)
def test_a_chute_without_tee_or_selector(changes: dict[str, Any], message: str) -> None:
    assert_one_problem(check_module(**changes), message, "Chute(", TWO_LINES)


@pytest.mark.parametrize("tee", [True, 1, "yes"])
def test_tee_is_what_the_api_reads_as_true(tee: Any) -> None:
    assert check_module(tee=tee) == []


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ({"gpu_count": 2}, "gpu_count is 2"),
        ({"include": None}, "include is not set"),
        ({"include": []}, "include is not set"),
        ({"include": ["h100"]}, "include is 'h100'"),
        ({"include": ["pro_6000", "h100"]}, "include is 'pro_6000', 'h100'"),
        ({"include": ["pro_6000", "pro_6000"]}, "include is 'pro_6000', 'pro_6000'"),
    ],
)
def test_another_placement(selector: dict[str, Any], message: str) -> None:
    assert_one_problem(
        check_module(node_selector={**NODE, **selector}), message, "Chute(", TWO_LINES, rule="tee-placement"
    )


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ({"include": ["PRO_6000"]}, "'PRO_6000', which the API finds only in lower case"),
        ({"exclude": ["pro_6000"]}, "exclude has pro_6000"),
        ({"exclude": ["PRO_6000"]}, "exclude has pro_6000"),
        ({"min_vram_gb_per_gpu": 97}, "min_vram_gb_per_gpu is 97, more than the 96"),
        ({"max_hourly_price_per_gpu": 1.79}, "max_hourly_price_per_gpu is 1.79, less than the 1.80"),
        ({"max_hourly_price_per_gpu": "1.79"}, "max_hourly_price_per_gpu is 1.79, less than the 1.80"),
    ],
)
def test_a_selector_that_leaves_no_gpu(selector: dict[str, Any], message: str) -> None:
    problems = check_module(node_selector={**NODE, **selector})
    assert_one_problem(problems, message, "a bare 500 without a reason", TWO_LINES, rule="no-gpu")
    assert platform_checks.resolve_gpus({**NODE, **selector}) == frozenset()


@pytest.mark.parametrize(
    ("selector", "message", "rule"),
    [
        ({"exclude": ["rtx1"]}, "exclude has unknown GPUs: 'rtx1'", "gpu-name"),
        ({"exclude": [4090]}, "exclude has unknown GPUs: '4090'", "gpu-name"),
        ({"exclude": "h100"}, "exclude is 'h100', not a list of names", "gpu-name"),
        (
            {"exclude": ["l4", "a10", "a40", "l40", "h100", "h200"]},
            "exclude has 6 entries, more than 5",
            "exclude-count",
        ),
        ({"min_vram_gb_per_gpu": 15}, "min_vram_gb_per_gpu is 15, not a whole number from 16 to 140", "number-range"),
        ({"min_vram_gb_per_gpu": None}, "min_vram_gb_per_gpu is None", "argument-type"),
        (
            {"max_hourly_price_per_gpu": 10},
            "max_hourly_price_per_gpu is 10, not a number above 0 and below 10",
            "number-range",
        ),
        ({"max_hourly_price_per_gpu": "cheap"}, "max_hourly_price_per_gpu is 'cheap'", "argument-type"),
    ],
)
def test_an_invalid_node_selector(selector: dict[str, Any], message: str, rule: str) -> None:
    assert_one_problem(check_module(node_selector={**NODE, **selector}), message, "Chute(", rule=rule)


@pytest.mark.parametrize(
    "selector",
    [
        {"min_vram_gb_per_gpu": 141},
        {"max_hourly_price_per_gpu": 0},
        {"max_hourly_price_per_gpu": float("nan")},
    ],
)
def test_a_number_outside_its_range_that_also_leaves_no_gpu_breaks_two_rules(selector: dict[str, Any]) -> None:
    problems = check_module(node_selector={**NODE, **selector})
    assert [problem.rule for problem in problems] == ["number-range", "no-gpu"]


@pytest.mark.parametrize(
    ("selector", "rules"),
    [
        ({"include": ["h200"], "min_vram_gb_per_gpu": 140}, ["tee-placement"]),
        ({"include": ["h200"], "max_hourly_price_per_gpu": 2.0}, ["tee-placement", "no-gpu"]),
        ({"include": ["newest"]}, ["gpu-name", "tee-placement"]),
        ({"include": ["newest"], "exclude": ["NEWEST"]}, ["gpu-name", "gpu-name", "tee-placement", "no-gpu"]),
    ],
)
def test_other_gpus_are_checked_as_the_emulator_does_when_their_rules_are_overruled(
    selector: dict[str, Any], rules: list[str]
) -> None:
    problems = check_module(node_selector={**NODE, **selector})
    assert [problem.rule for problem in problems] == rules


def test_a_number_of_gpus_beyond_the_limit_breaks_two_rules_in_the_order_of_the_api() -> None:
    problems = check_module(node_selector={**NODE, "gpu_count": 9, "include": ["rtx1"]})
    assert [problem.rule for problem in problems] == ["number-range", "gpu-name", "tee-placement"]


def test_the_text_of_the_api_error_is_quoted() -> None:
    assert_one_problem(
        check_module(tee=False), "400", "Only TEE chutes are supported as of 2026-05-12, please set tee=True"
    )
    limited = "TEE private deployments are limited at this time due to infrastructure capacity limitations."
    assert_one_problem(check_module(node_selector={**NODE, "gpu_count": 2}), "400", limited)


@given(
    st.one_of(st.integers(0, 9), st.none()),
    st.one_of(st.none(), st.lists(st.sampled_from(["pro_6000", "PRO_6000", "h100", "rtx1", ""]), max_size=3)),
)
def test_every_placement_that_the_api_rejects_is_a_problem(gpu_count: int | None, include: list[str] | None) -> None:
    problems = check_module(node_selector={**NODE, "gpu_count": gpu_count, "include": include})
    assert problems or platform_checks.is_tee_placement(gpu_count, include)


def test_all_placement_faults_are_one_problem() -> None:
    old = {**NODE, "include": None, "gpu_count": 4}
    assert_one_problem(
        check_module(tee=False, node_selector=old), "tee is False; gpu_count is 4; include is not set", TWO_LINES
    )


@pytest.mark.parametrize("name", ["aTEEd", "goatee", "my-Tee"])
def test_a_name_that_claims_tee(name: str) -> None:
    assert check_module(name=name) == []
    claim, tee = check_module(name=name, tee=False)
    assert_one_problem([claim], f"the name '{name}' needs tee=True", "write tee=True", rule="tee-name")
    assert_one_problem([tee], TWO_LINES, rule="tee-required")


@pytest.mark.parametrize("word", platform_rules.SUBNET_WORDS)
def test_a_name_that_belongs_to_a_subnet(word: str) -> None:
    assert_one_problem(check_module(name=f"my-{word.upper()}2"), f"'{word}', which belongs to a subnet", "CHUTE_NAME")


def test_placement_problems_only_matter_on_the_platform() -> None:
    problems = check_module(name="my-glyph", tee=False, concurrency=1000)
    assert [(problem.rule, problem.only_on_platform) for problem in problems] == [
        ("number-range", False),
        ("subnet-name", True),
        ("tee-required", True),
    ]
