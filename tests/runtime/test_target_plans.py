from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime.target_plans import TargetPlan, plan_target


def plan(target: str, *parameters: dict[str, Any]) -> TargetPlan:
    route = Route.model_validate({"path": "/x", "target_path": target, "parameters": parameters})
    return plan_target(route.target_path, route.parameters)


@pytest.mark.parametrize(
    ("target", "fixed"),
    [("/a b/ü", "/a%20b/%C3%BC"), ("/a?b=c#d", "/a?b=c"), ("/a#?b", "/a"), ("/a/{id}", None), ("/a?b={c}", None)],
)
def test_a_target_without_parameters_is_fixed(target: str, fixed: str | None) -> None:
    assert plan(target).fixed_target == fixed


def test_a_declared_parameter_is_one_also_without_a_place_in_the_path() -> None:
    assert plan("/a", {"name": "q"}).fixed_target is None


def test_variables_that_are_not_declared_are_parameters_of_the_path() -> None:
    found = plan(
        "/a/{id}/{rest:path}?q={q}&r={r}&s={id}", {"name": "q"}, {"name": "id", "in": "path", "style": "label"}
    )
    assert list(found.parameters) == [("query", "q"), ("path", "id"), ("path", "rest"), ("path", "r")]
    assert found.parameters["path", "id"].style == "label"
    assert found.texts == ("/a/", "/", "")


def test_a_route_has_one_plan() -> None:
    assert plan("/a/{id}", {"name": "q"}) is plan("/a/{id}", {"name": "q"})
    assert plan("/a/{id}", {"name": "q"}) is not plan("/a/{id}", {"name": "r"})
