from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator.deployment_request import ChuteRequest
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.host.preflight.settings import find_setting_problems

from .module_texts import FACTS, assert_one_problem, build_description, check_module

IMAGE = build_description()["image"]
LIMITS = {
    "concurrency": (0, 256),
    "max_instances": (1, 100),
    "shutdown_after_seconds": (60, 604_800),
    "scaling_threshold": (0, 1),
}


SENT_FIELDS = [
    *LIMITS, "name", "tagline", "readme", "tee", "allow_external_egress", "encrypted_fs", "lock_modules", "revision",
    "standard_template",
]  # fmt: skip


def build_setting(name: str, value: Any) -> dict[str, Any]:
    """Return one setting, the only one that differs."""
    return {name: value}


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("ab", "text-length"), ("n" * 128, "text-length"), ("two words", "chute-name"), ("-case", "chute-name"),
        ("naïve", "chute-name"), ("a/", None), ("user/case", None), ("/case", "chute-name"),
    ],
)  # fmt: skip
def test_the_name_of_a_chute(name: str, rule: str | None) -> None:
    if rule is None:
        assert check_module(name=name + "x") == []
    else:
        assert_one_problem(check_module(name=name), name, "chute name", "3 to 127", rule=rule)


def test_a_name_that_is_too_short_and_has_another_character_breaks_two_rules() -> None:
    assert [problem.rule for problem in check_module(name="é")] == ["text-length", "chute-name"]


def test_a_slash_in_the_name_of_an_image_is_refused_by_the_sdk_itself() -> None:
    assert_one_problem(check_module(image={**IMAGE, "name": "a/bcd"}), "the SDK itself refuses '/'", rule="image-name")


@pytest.mark.parametrize("name", ["ab", "n" * 66, "tester/case", ".case"])
def test_the_name_of_an_image(name: str) -> None:
    assert_one_problem(check_module(image={**IMAGE, "name": name}), name, "image name", "3 to 65")


@pytest.mark.parametrize("tag", ["1", "t" * 34, "v1/2", "-v1"])
def test_the_tag_of_an_image(tag: str) -> None:
    assert_one_problem(check_module(image={**IMAGE, "tag": tag}), tag, "image tag", "2 to 33")


def test_a_name_of_the_modules_variable_is_reported_with_the_variable() -> None:
    facts = replace(FACTS, chute_name="-ab")
    messages = [
        problem.what
        for problem in find_setting_problems(
            facts, build_description(name="-ab", image={**IMAGE, "name": "-ab"}), "tester"
        )
    ]
    assert messages == [
        "the platform does not accept CHUTE_NAME as the chute name: '-ab'",
        "the platform does not accept CHUTE_NAME as the image name: '-ab'",
    ]


def test_an_image_reference_is_not_checked() -> None:
    image: dict[str, Any] = {"name": "tester/case:v1", "tag": "", "holds_toolkit": None, "env": [], "bases": []}
    assert check_module(image=image, code="") == []


def test_a_username_may_have_a_dash() -> None:
    assert check_module(username="a-b_c") == []


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
    [
        ("concurrency", "many"), ("concurrency", 1.5), ("max_instances", None), ("readme", 5), ("tagline", ["a"]),
        ("scaling_threshold", [0.5]), ("encrypted_fs", "maybe"), ("tee", None), ("lock_modules", "x"), ("revision", 3),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type(name: str, value: Any) -> None:
    problem = check_module(**build_setting(name, value))[0]
    assert_one_problem([problem], name, repr(value), rule="argument-type")


def test_a_number_that_is_a_text_is_accepted_where_nothing_computes_with_it() -> None:
    assert check_module(max_instances="2", shutdown_after_seconds=300.0, scaling_threshold=True) == []
    assert_one_problem(check_module(concurrency="8"), "the SDK on the instance cannot compute", "concurrency=8")
    assert_one_problem(check_module(scaling_threshold=float("nan")), "scaling_threshold is nan", rule="number-range")


VALUES: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-2, 700_000) | st.floats() | st.sampled_from(["1", "0.5", "yes", "", " 8 ", "x"])
    | st.lists(st.integers(), max_size=2) | st.text(max_size=5) | st.just("x" * 1_025) | st.just("x" * 16_385)
)  # fmt: skip


@given(st.sampled_from(SENT_FIELDS), VALUES)
def test_a_value_has_the_verdict_of_the_emulator(name: str, value: Any) -> None:
    body = {
        "name": "case", "image": "i", "filename": "m.py", "ref_str": "m:chute", "code": "", "node_selector": {}, name: value,
    }  # fmt: skip
    try:
        ChuteRequest.model_validate(body)
    except ValidationError:
        assert platform_checks.find_setting_rule(name, value) is not None
    else:
        assert platform_checks.find_setting_rule(name, value) is None


def test_infinity_is_beyond_every_limit() -> None:
    assert_one_problem(check_module(shutdown_after_seconds=float("inf")), "shutdown_after_seconds is inf")


def test_a_fraction_is_a_threshold() -> None:
    assert check_module(scaling_threshold=0.25) == []


def test_the_limits_are_those_of_the_node_selector_of_the_sdk() -> None:
    from chutes.chute import NodeSelector

    limits = platform_rules.NODE_RANGES
    schema = NodeSelector.model_json_schema()["properties"]
    assert {name: (schema[name]["minimum"], schema[name]["maximum"]) for name in limits} == limits


def check_owner(username: str, image_owner: str | None, chute_owner: str | None) -> list[Problem]:
    image = {**IMAGE, "username": image_owner}
    chute_id = platform_checks.compute_chute_id(chute_owner, "case") if chute_owner else None
    return check_module(username=username, image=image, chute_id=chute_id)


@pytest.mark.parametrize("username", ["abc", "a-b-c", "-ab", "ab-", "a_b", "Mixed-Case_1", "abcdefghijklmno", "---"])
def test_the_accounts_own_name_is_accepted(username: str) -> None:
    assert check_owner(username, username, username) == []
    assert check_owner(username, None, username) == []  # an image of the platform
    assert check_owner(username, None, None) == []


@pytest.mark.parametrize(
    ("image_owner", "chute_owner", "severity", "text"),
    [
        ("other", "other", "rejected", "the image and the chute would belong to 'other', and the account is 'a-b'"),
        ("other", "a-b", "rejected", "the image would belong to 'other', and the account is 'a-b'"),
        ("other", "third", "rejected", "the image would belong to 'other' and the chute would belong to another user"),
        ("x" * 1000, "y", "rejected", "xxx"),
        # The API computes the chute's id by itself, and ignores the case of an image's.
        ("a-b", "other", "warning", "the chute would belong to another user, and the account is 'a-b'"),
        (None, "other", "warning", "the chute would belong to another user"),
        ("A-b", "A-b", "warning", "the image and the chute would belong to 'A-b'"),
    ],
)
def test_another_owner_than_the_account_is_a_problem(
    image_owner: str | None, chute_owner: str, severity: str, text: str
) -> None:
    (problem,) = check_owner("a-b", image_owner, chute_owner)
    assert (problem.rule, problem.severity, problem.only_on_platform) == ("username", severity, True)
    assert text in problem.what
    assert (problem.where, len(problem.what) < 300) == ("/x/deploy_case.py, USERNAME", True)
    assert "USERNAME = chutes_username()" in problem.fix
    assert "USERNAME = 'a-b'" in problem.fix
