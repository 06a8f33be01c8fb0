from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_rules

from .module_texts import described, found, the_only

IMAGE = described()["image"]
LIMITS = {
    "concurrency": (0, 256),
    "max_instances": (1, 100),
    "shutdown_after_seconds": (60, 604_800),
    "scaling_threshold": (0, 1),
}


def one(name: str, value: Any) -> dict[str, Any]:
    """The only setting that differs."""
    return {name: value}


@pytest.mark.parametrize("name", ["ab", "n" * 128, "two words", "-case", "naïve"])
def test_the_name_of_a_chute(name: str) -> None:
    the_only(found(name=name), name, "chute name", "3 to 127")


@pytest.mark.parametrize("name", ["ab", "n" * 66, "tester/case", ".case"])
def test_the_name_of_an_image(name: str) -> None:
    the_only(found(image={**IMAGE, "name": name}), name, "image name", "3 to 65")


@pytest.mark.parametrize("tag", ["1", "t" * 34, "v1/2", "-v1"])
def test_the_tag_of_an_image(tag: str) -> None:
    the_only(found(image={**IMAGE, "tag": tag}), tag, "image tag", "2 to 33")


def test_an_image_that_is_only_named_is_the_platforms_already() -> None:
    named: dict[str, Any] = {"name": "tester/case:v1", "tag": "", "holds_toolkit": None, "env": []}
    assert found(image=named, code="") == []


@pytest.mark.parametrize("username", ["ab", "a name", "n" * 16, ""])
def test_the_name_of_an_account(username: str) -> None:
    the_only(found(username=username), "username", "CHUTES_USERNAME", "3 to 15")


@pytest.mark.parametrize(("text", "longest"), [("readme", 16_384), ("tagline", 1_024)])
def test_the_length_of_a_text(text: str, longest: int) -> None:
    assert found(**one(text, "x" * longest)) == []
    assert found(**one(text, None)) == []
    the_only(found(**one(text, "x" * (longest + 1))), text, f"{longest + 1:,}", f"{longest:,}")


def within(limits: dict[str, tuple[int, int]]) -> st.SearchStrategy[tuple[str, int]]:
    return st.sampled_from(sorted(limits)).flatmap(lambda name: st.tuples(st.just(name), st.integers(*limits[name])))


def beyond(limits: dict[str, tuple[int, int]]) -> st.SearchStrategy[tuple[str, int]]:
    return st.sampled_from(sorted(limits)).flatmap(
        lambda name: st.tuples(
            st.just(name),
            st.integers(max_value=limits[name][0] - 1) | st.integers(min_value=limits[name][1] + 1),
        )
    )


@given(within(LIMITS))
def test_numbers_within_their_limits(setting: tuple[str, int]) -> None:
    assert found(**one(*setting)) == []


@given(beyond(LIMITS))
def test_a_number_of_the_chute_beyond_its_limits(setting: tuple[str, int]) -> None:
    name, value = setting
    the_only(found(**one(name, value)), f"{name} is {value}", "Chute(", str(LIMITS[name][1]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("concurrency", "8"), ("concurrency", 1.5), ("max_instances", True), ("scaling_threshold", float("nan"))],
)
def test_what_is_no_such_number(name: str, value: Any) -> None:
    the_only(found(**one(name, value)), name, repr(value))


def test_infinity_is_beyond_every_limit() -> None:
    the_only(found(shutdown_after_seconds=float("inf")), "shutdown_after_seconds is inf")


def test_a_fraction_is_a_threshold() -> None:
    assert found(scaling_threshold=0.25) == []


def test_the_limits_are_those_of_the_sdks_own_node_selector() -> None:
    from chutes.chute import NodeSelector

    limits = platform_rules.NODE_RANGES
    schema = NodeSelector.model_json_schema()["properties"]
    assert {name: (schema[name]["minimum"], schema[name]["maximum"]) for name in limits} == limits
