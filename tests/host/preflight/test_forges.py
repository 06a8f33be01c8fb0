"""Bases that only one of the platform's forges builds on."""

from __future__ import annotations

import pytest

from chutes_wrappers.host.preflight.forges import find_base_problems


def describe(*bases: str) -> dict[str, object]:
    return {"image": {"bases": list(bases)}}


def test_another_base_is_a_warning_that_names_it_and_the_outcome() -> None:
    (problem,) = find_base_problems(describe("vendor/app:1", "scratch", "first"), "deploy_case.py")
    assert (problem.rule, problem.severity, problem.where) == ("forge-base", "warning", "deploy_case.py")
    assert "the newer builder of the platform takes only parachutes/* as base, not vendor/app:1, first" in problem.what
    assert "the image ends in 'error: …' after the upload" in problem.what
    assert problem.fix.startswith("build directly all the same, or see Two builders in the README")


@pytest.mark.parametrize("bases", [(), ("scratch",), ("parachutes/python:3.12", "parachutes/python:3.12-cu13")])
def test_the_platforms_own_base_and_a_reference_have_no_problem(bases: tuple[str, ...]) -> None:
    assert not [*find_base_problems(describe(*bases), "deploy_case.py")]
