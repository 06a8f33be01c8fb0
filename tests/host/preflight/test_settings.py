from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_rules
from chutes_wrappers.host.preflight.settings import find_setting_problems

from .module_texts import FACTS, assert_one_problem, build_description, check_module

IMAGE = build_description()["image"]
LIMITS = {
    "concurrency": (0, 256),
    "max_instances": (1, 100),
    "shutdown_after_seconds": (60, 604_800),
    "scaling_threshold": (0, 1),
}


def build_setting(name: str, value: Any) -> dict[str, Any]:
    """Return one setting, the only one that differs."""
    return {name: value}


@pytest.mark.parametrize("name", ["ab", "n" * 128, "two words", "-case", "naïve"])
def test_the_name_of_a_chute(name: str) -> None:
    assert_one_problem(check_module(name=name), name, "chute name", "3 to 127")


@pytest.mark.parametrize("name", ["ab", "n" * 66, "tester/case", ".case"])
def test_the_name_of_an_image(name: str) -> None:
    assert_one_problem(check_module(image={**IMAGE, "name": name}), name, "image name", "3 to 65")


@pytest.mark.parametrize("tag", ["1", "t" * 34, "v1/2", "-v1"])
def test_the_tag_of_an_image(tag: str) -> None:
    assert_one_problem(check_module(image={**IMAGE, "tag": tag}), tag, "image tag", "2 to 33")


def test_a_name_of_the_modules_variable_is_reported_with_the_variable() -> None:
    facts = replace(FACTS, chute_name="-a")
    messages = [
        problem.what
        for problem in find_setting_problems(
            facts, build_description(name="-a", image={**IMAGE, "name": "-a"}), "tester"
        )
    ]
    assert messages == [
        "the platform does not accept CHUTE_NAME as the chute name: '-a'",
        "the platform does not accept CHUTE_NAME as the image name: '-a'",
    ]


def test_an_image_reference_is_not_checked() -> None:
    image: dict[str, Any] = {"name": "tester/case:v1", "tag": "", "holds_toolkit": None, "env": [], "bases": []}
    assert check_module(image=image, code="") == []


@pytest.mark.parametrize("username", ["ab", "a name", "n" * 16, ""])
def test_the_name_of_an_account(username: str) -> None:
    assert_one_problem(check_module(username=username), "username", "CHUTES_USERNAME", "3 to 15")


@pytest.mark.parametrize(("text", "limit"), [("readme", 16_384), ("tagline", 1_024)])
def test_the_length_of_a_text(text: str, limit: int) -> None:
    assert check_module(**build_setting(text, "x" * limit)) == []
    assert check_module(**build_setting(text, None)) == []
    assert_one_problem(check_module(**build_setting(text, "x" * (limit + 1))), text, f"{limit + 1:,}", f"{limit:,}")


def values_within(limits: dict[str, tuple[int, int]]) -> st.SearchStrategy[tuple[str, int]]:
    return st.sampled_from(sorted(limits)).flatmap(lambda name: st.tuples(st.just(name), st.integers(*limits[name])))


def values_beyond(limits: dict[str, tuple[int, int]]) -> st.SearchStrategy[tuple[str, int]]:
    return st.sampled_from(sorted(limits)).flatmap(
        lambda name: st.tuples(
            st.just(name),
            st.integers(max_value=limits[name][0] - 1) | st.integers(min_value=limits[name][1] + 1),
        )
    )


@given(values_within(LIMITS))
def test_numbers_within_their_limits(setting: tuple[str, int]) -> None:
    assert check_module(**build_setting(*setting)) == []


@given(values_beyond(LIMITS))
def test_a_number_of_the_chute_beyond_its_limits(setting: tuple[str, int]) -> None:
    name, value = setting
    assert_one_problem(check_module(**build_setting(name, value)), f"{name} is {value}", "Chute(", str(LIMITS[name][1]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("concurrency", "8"), ("concurrency", 1.5), ("max_instances", True), ("scaling_threshold", float("nan"))],
)
def test_a_value_of_the_wrong_type(name: str, value: Any) -> None:
    assert_one_problem(check_module(**build_setting(name, value)), name, repr(value))


def test_infinity_is_beyond_every_limit() -> None:
    assert_one_problem(check_module(shutdown_after_seconds=float("inf")), "shutdown_after_seconds is inf")


def test_a_fraction_is_a_threshold() -> None:
    assert check_module(scaling_threshold=0.25) == []


def test_the_limits_are_those_of_the_node_selector_of_the_sdk() -> None:
    from chutes.chute import NodeSelector

    limits = platform_rules.NODE_RANGES
    schema = NodeSelector.model_json_schema()["properties"]
    assert {name: (schema[name]["minimum"], schema[name]["maximum"]) for name in limits} == limits
