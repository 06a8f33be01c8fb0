"""The limits of a deployment, on both sides of each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.deployment_request import ChuteRequest, find_image_problem, find_name_problem
from tests.emulator.api.client import CORD, make_definition

RANGES: dict[str, tuple[float, float]] = {**platform_rules.CHUTE_RANGES, **platform_rules.NODE_RANGES}


def make_definition_with(name: str, value: float) -> dict[str, Any]:
    if name in platform_rules.NODE_RANGES:
        return make_definition(node_selector={name: value})
    return make_definition(**{name: value})


def find_refused_fields(body: dict[str, Any]) -> list[str]:
    try:
        ChuteRequest.model_validate(body)
    except ValidationError as refused:
        return [str(error["loc"][-1]) for error in refused.errors()]
    return []


@pytest.mark.parametrize("name", RANGES)
def test_a_setting_is_accepted_within_its_range_only(name: str) -> None:
    low, high = RANGES[name]
    assert (
        find_refused_fields(make_definition_with(name, low))
        == find_refused_fields(make_definition_with(name, high))
        == []
    )
    step = 1 if isinstance(high, int) and high > 1 else 0.01
    assert find_refused_fields(make_definition_with(name, low - step)) == [name]
    assert find_refused_fields(make_definition_with(name, high + step)) == [name]


@pytest.mark.parametrize(("price", "is_taken"), [(0, False), (0.01, True), (9.99, True), (10, False), (None, True)])
def test_a_highest_price_is_above_0_and_below_10(price: float | None, is_taken: bool) -> None:
    refused = find_refused_fields(make_definition(node_selector={"max_hourly_price_per_gpu": price}))
    assert refused == ([] if is_taken else ["max_hourly_price_per_gpu"])


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("code", platform_rules.MAX_SOURCE_LENGTH),
        ("readme", platform_rules.MAX_README_LENGTH),
        ("tagline", platform_rules.MAX_TAGLINE_LENGTH),
    ],
)
def test_a_text_is_accepted_up_to_its_maximum_length(name: str, most: int) -> None:
    assert find_refused_fields(make_definition(**{name: "x" * most})) == []
    assert find_refused_fields(make_definition(**{name: "x" * (most + 1)})) == [name]


@given(st.text("/a0-_A. é\n", max_size=12))
def test_paths_are_those_of_the_api(path: str) -> None:
    assert (find_refused_fields(make_definition(cords=[{**CORD, "path": path}])) == []) == bool(
        platform_rules.API_INTERNAL_PATH.match(path)
    )
    assert (find_refused_fields(make_definition(cords=[{**CORD, "public_api_path": path}])) == []) == bool(
        platform_rules.API_PUBLIC_PATH.match(path)
    )


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "post", "HEAD"])
def test_a_public_method_other_than_get_and_post_rejects_the_deployment(method: str) -> None:
    assert find_refused_fields(make_definition(cords=[CORD, {**CORD, "public_api_method": method}])) == [
        "public_api_method"
    ]
    assert find_refused_fields(make_definition(cords=[{**CORD, "method": method}])) == []


@pytest.mark.parametrize("name", ["abc", "a" * 127, "me/model-1.0", "Me/model", "0_a"])
def test_valid_chute_names(name: str) -> None:
    assert find_name_problem(ChuteRequest.model_validate(make_definition(name=name))) is None


@pytest.mark.parametrize("name", ["ab", "a" * 128, "-abc", "a b c", "abc\n", "/abc", ""])
def test_invalid_chute_names(name: str) -> None:
    problem = find_name_problem(ChuteRequest.model_validate(make_definition(name=name)))
    assert problem is not None
    assert problem.startswith("Invalid chute name")


@pytest.mark.parametrize(
    ("filename", "reference"),
    [
        ("Deploy.py", "Deploy:chute"),
        ("1a.py", "1a:chute"),
        ("deploy-a.py", "deploy-a:chute"),
        ("deploy.txt", "deploy:chute"),
        ("deploy.py", "other:chute"),
        ("deploy.py", "deploy:Chute"),
        ("deploy.py", "deploy"),
        ("../deploy.py", "deploy:chute"),
    ],
)
def test_invalid_modules(filename: str, reference: str) -> None:
    request = ChuteRequest.model_validate(make_definition(filename=filename, ref_str=reference))
    problem = find_name_problem(request)
    assert problem is not None
    assert "filename" in problem or "reference" in problem


@pytest.mark.parametrize(("name", "tag"), [("abc", "v1"), ("A" * 65, "t" * 33), ("a.b-c_d", "1.0-x"), ("abc", "v")])
def test_valid_image_names(name: str, tag: str) -> None:
    assert find_image_problem(name, tag) is None  # a tag of one character is a 500


@pytest.mark.parametrize(
    ("name", "tag"), [("ab", "v1"), ("a" * 66, "v1"), ("a/b", "v1"), ("-abc", "v1"), ("abc", ""), ("abc", "t" * 34)]
)
def test_invalid_image_names(name: str, tag: str) -> None:
    problem = find_image_problem(name, tag)
    assert problem is not None
    assert problem.startswith("Invalid image")
