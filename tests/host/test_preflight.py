from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.exposure import CATEGORIES
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.preflight import check, problems

SETTINGS: dict[str, float] = {
    "concurrency": 8,
    "max_instances": 1,
    "shutdown_after_seconds": 300,
    "scaling_threshold": 0.75,
}


def cord(**different: Any) -> dict[str, Any]:
    return {"path": "/cw_post/a", "public_api_path": "/a", "public_api_method": "POST", **different}


def said(
    *cords: dict[str, Any], code: str = "x = 1\n", tagline: str = "", settings: Mapping[str, float] = SETTINGS
) -> list[str]:
    found = problems({**settings, "cords": [*cords]}, code, tagline)
    return [f"{problem.what}: {problem.fix}" for problem in found]


def test_a_module_as_the_template_has_it_is_taken() -> None:
    assert said(cord(), cord(path="/cw_get/a", public_api_method="GET")) == []
    assert said(cord(public_api_path=None)) == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_public_method_beside_get_and_post(method: str) -> None:
    (problem,) = said(cord(public_api_method=method))
    assert f"{method} /a is public as {method}" in problem
    assert "publish it as POST" in problem


@pytest.mark.parametrize("path", ["/a-b", "/1", "/_a", "/A", "/a/"])
def test_an_internal_path_that_the_sdk_takes_and_the_api_does_not(path: str) -> None:
    (problem,) = said(cord(path=path))
    assert path in problem


@pytest.mark.parametrize("path", ["/1", "/_a", "/v1/2", "/A"])
def test_a_public_path_that_is_refused(path: str) -> None:
    (problem,) = said(cord(public_api_path=path))
    assert path in problem


def test_a_source_and_a_tagline_that_are_too_long() -> None:
    assert said(code="#" + "x" * 149_998 + "\n") == []
    (problem,) = said(code="#" + "x" * 150_000 + "\n")
    assert "150,002 characters" in problem
    assert said(tagline="t" * 1024) == []
    (problem,) = said(tagline="t" * 1025)
    assert "CHUTE_TAGLINE" in problem


def test_the_line_that_breaks_a_start() -> None:
    (problem,) = said(code="from __future__ import annotations\n")
    assert "remove that line" in problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("concurrency", 257),
        ("max_instances", 0),
        ("shutdown_after_seconds", 59),
        ("shutdown_after_seconds", 604_801),
        ("scaling_threshold", 1.5),
    ],
)
def test_a_setting_out_of_its_range(name: str, value: float) -> None:
    (problem,) = said(settings={**SETTINGS, name: value})
    low, high = platform_rules.CHUTE_RANGES[name]
    assert f"{name} is {value}: set it between {low} and {high}" in problem


def test_all_is_said_at_once_with_the_file() -> None:
    found = problems({**SETTINGS, "concurrency": 999, "cords": [cord(public_api_method="PUT")]}, "x = 1\n")
    with pytest.raises(WrapperError) as caught:
        check(found, "deploy_x.py")
    assert "deploy_x.py: Chutes would refuse the module for 2 reasons" in str(caught.value)
    assert "concurrency is 999" in str(caught.value)
    assert "PUT /a" in str(caught.value)
    check([], "deploy_x.py")


@given(st.lists(st.text(min_size=1, max_size=12).map("/{}".format), max_size=5, unique=True))
def test_what_our_own_routes_become_is_never_refused(paths: list[str]) -> None:
    plan = plan_cords([Route(path=path) for path in paths], 8020, expose=CATEGORIES)
    made = [
        cord(path=each.internal_path, public_api_path=each.public_path, public_api_method=each.public_method)
        for each in plan.cords
    ]
    assert said(*made) == []
