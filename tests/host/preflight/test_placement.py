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
        ({"tee": None}, "tee is None"),
        ({"node_selector": None}, "node_selector is not set"),
    ],
)
def test_a_chute_without_tee_or_selector(changes: dict[str, Any], message: str) -> None:
    assert_one_problem(check_module(**changes), message, "Chute(", TWO_LINES)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ({"gpu_count": 2}, "gpu_count is 2"),
        ({"gpu_count": 9}, "gpu_count is 9"),
        ({"include": None}, "include is not set"),
        ({"include": []}, "include is not set"),
        ({"include": ["h100"]}, "include is 'h100'"),
        ({"include": ["pro_6000", "h100"]}, "include is 'pro_6000', 'h100'"),
        ({"include": ["pro_6000", "pro_6000"]}, "include is 'pro_6000', 'pro_6000'"),
        ({"include": ["PRO_6000"]}, "'PRO_6000', which the API finds only in lower case"),
        ({"exclude": ["pro_6000"]}, "exclude has pro_6000"),
        ({"exclude": ["PRO_6000"]}, "exclude has pro_6000"),
        ({"exclude": ["rtx1"]}, "exclude has unknown GPUs: 'rtx1'"),
        ({"exclude": ["l4", "a10", "a40", "l40", "h100", "h200"]}, "exclude has 6 entries, more than 5"),
        ({"min_vram_gb_per_gpu": 97}, "min_vram_gb_per_gpu is 97, not from 16 to 96"),
        ({"min_vram_gb_per_gpu": 15}, "min_vram_gb_per_gpu is 15, not from 16 to 96"),
        ({"max_hourly_price_per_gpu": 1.79}, "max_hourly_price_per_gpu is 1.79, not from 1.80"),
        ({"max_hourly_price_per_gpu": 10}, "max_hourly_price_per_gpu is 10, not from 1.80 to below 10"),
    ],
)
def test_an_invalid_node_selector(selector: dict[str, Any], message: str) -> None:
    assert_one_problem(check_module(node_selector={**NODE, **selector}), message, "Chute(", TWO_LINES)


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
    assert_one_problem(check_module(name=name, tee=False), f"the name '{name}' needs tee=True", TWO_LINES)


@pytest.mark.parametrize("word", platform_rules.SUBNET_WORDS)
def test_a_name_that_belongs_to_a_subnet(word: str) -> None:
    assert_one_problem(check_module(name=f"my-{word.upper()}2"), f"'{word}', which belongs to a subnet", "CHUTE_NAME")


def test_placement_problems_only_matter_on_the_platform() -> None:
    problems = check_module(name="my-glyph", tee=False, concurrency=1000)
    assert [problem.only_on_platform for problem in problems] == [True, True, False]
