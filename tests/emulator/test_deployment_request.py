"""The limits of a deployment, on both sides of each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chutes_wrappers.core import overruled_rules, platform_rules
from chutes_wrappers.emulator.deployment_request import ChuteRequest, list_content_problems
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


def find_content_rules(**overrides: Any) -> list[str]:
    return [rule for rule, _ in list_content_problems(ChuteRequest.model_validate(make_definition(**overrides)))]


@given(st.text("/a0-_A. é\n", max_size=12))
def test_paths_are_those_of_the_api(path: str) -> None:
    is_internal, is_public = (
        bool(pattern.match(path)) for pattern in (platform_rules.API_INTERNAL_PATH, platform_rules.API_PUBLIC_PATH)
    )
    assert find_content_rules(cords=[{**CORD, "path": path}]) == ([] if is_internal else ["cord-path"])
    assert find_content_rules(cords=[{**CORD, "public_api_path": path}]) == ([] if is_public else ["public-path"])


@pytest.mark.parametrize("method", ["post", "OPTIONS", "TRACE", ""])
def test_a_method_that_no_api_knows_is_a_problem(method: str) -> None:
    assert find_content_rules(cords=[CORD, {**CORD, "public_api_method": method}]) == ["public-method"]
    assert find_content_rules(cords=[{**CORD, "method": method}]) == []


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
def test_methods_that_only_the_newest_api_knows_are_accepted(method: str) -> None:
    assert find_content_rules(cords=[{**CORD, "public_api_method": method}]) == []


@pytest.mark.parametrize("name", ["abc", "a" * 127, "me/model-1.0", "Me/model", "0_a"])
def test_valid_chute_names(name: str) -> None:
    assert find_refused_fields(make_definition(name=name)) == []
    assert find_content_rules(name=name) == []


@pytest.mark.parametrize("name", ["-abc", "a b c", "abc\n", "/abc"])
def test_invalid_chute_names(name: str) -> None:
    assert find_content_rules(name=name) == ["chute-name"]


@pytest.mark.parametrize("name", ["", "ab", "a" * 128])
def test_the_length_of_a_name_is_a_matter_of_shape(name: str) -> None:
    assert find_refused_fields(make_definition(name=name)) == ["name"]


@pytest.mark.parametrize(
    ("overrides", "rule"),
    [
        ({"filename": "Deploy.py"}, "module-file"),
        ({"filename": "1a.py"}, "module-file"),
        ({"filename": "deploy-a.py"}, "module-file"),
        ({"filename": "deploy.txt"}, "module-file"),
        ({"filename": "../deploy.py"}, "module-file"),
        ({"ref_str": "deploy:Chute"}, "module-reference"),
        ({"ref_str": "deploy"}, "module-reference"),
        ({"code": "x = ("}, "module-syntax"),
        ({"code": "x = 1\0"}, "module-syntax"),
    ],
)
def test_invalid_modules(overrides: dict[str, Any], rule: str) -> None:
    assert find_content_rules(**overrides) == [rule]


def test_a_rule_that_the_user_overruled_rejects_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    body = make_definition(
        name="ab",
        concurrency=300,
        tagline="t" * 2000,
        node_selector={"include": ["rtx1"], "max_hourly_price_per_gpu": 99},
    )
    rules = {
        "name": "text-length",
        "concurrency": "number-range",
        "tagline": "text-length",
        "include": "gpu-name",
        "max_hourly_price_per_gpu": "number-range",
    }
    assert sorted(find_refused_fields(body)) == sorted(rules)
    for rule in sorted(set(rules.values())):
        monkeypatch.setenv(overruled_rules.VARIABLE, rule)
        assert sorted(find_refused_fields(body)) == sorted(field for field, its in rules.items() if its != rule)
    monkeypatch.setenv(overruled_rules.VARIABLE, ",".join(rules.values()))
    assert find_refused_fields(body) == []
