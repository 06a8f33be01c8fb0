"""What the checks say about ``CHUTE_HEADERS``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chutes_wrappers.core.module_headers import parse_headers
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.preflight.headers import find_header_problems
from chutes_wrappers.host.preflight.problem import Problem

from .module_texts import FACTS, assert_one_problem, build_description

SECURED = Route.model_validate(
    {"path": "/a", "method": "GET", "parameters": [{"name": "X-API-Key", "in": "header", "credential": True}]}
)


def check(headers: object, *routes: Route, code: str | None = None, env: list[str] | None = None) -> list[Problem]:
    facts = replace(FACTS, headers=parse_headers(headers, str(FACTS.path)))
    description = build_description()
    description["image"]["env"] = env or []
    return list(find_header_problems(facts, description, code or f"CHUTE_HEADERS = {headers!r}", routes))


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "api-key", "Cookie", "X-Auth-Token", "Ocp-Apim-Key"])
def test_a_literal_that_looks_like_a_secret_is_a_warning(name: str) -> None:
    value = "literal-and-secret"
    problems = check({name: value})
    assert_one_problem(problems, name, "image layer", "${SERVICE_KEY}", "--secret case SERVICE_KEY", severity="warning")
    assert value not in f"{problems[0]} {problems[0].fix}"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X-API-Key": "${SERVICE_KEY}"}, None),
        ({"Accept-Language": "de", "X-Keyboard": "qwertz"}, None),
        ({"X-API-Key": "read"}, 'CHUTE_HEADERS = {"X-API-Key": os.environ["K"]}'),
    ],
)
def test_other_values_are_no_problem(headers: object, code: str | None) -> None:
    assert check(headers, code=code) == []


def test_a_variable_that_the_image_sets_and_one_that_the_platform_refuses_are_named() -> None:
    assert_one_problem(check({"X-A": "${KEY}"}, env=["PATH", "KEY"]), "KEY is set in the image", severity="warning")
    assert_one_problem(check({"X-A": "${LD_KEY}"}), "LD_KEY", severity="rejected", rule="secret-name")


def test_credentials_that_nothing_sends_are_a_note_with_the_line_to_add() -> None:
    assert_one_problem(
        check({}, SECURED), "X-API-Key", 'CHUTE_HEADERS = {"X-API-Key": "${SERVICE_KEY}"}', severity="warning"
    )


def test_credentials_of_the_module_are_found_by_the_name_of_their_header() -> None:
    assert check({"x-api-key": "${SERVICE_KEY}"}, SECURED) == []
    assert check({"GET /a": {"X-API-Key": "${SERVICE_KEY}"}}, SECURED) == []
    assert_one_problem(check({"X-Other": "${SERVICE_KEY}"}, SECURED), "X-API-Key", severity="warning")


def test_a_port_and_a_route_that_the_module_does_not_have_are_named() -> None:
    assert_one_problem(check({9: {"X-A": "b"}}), "9 is not a port or a route", severity="warning")
    assert_one_problem(check({"GET /speak": {"X-A": "b"}}), "GET /speak is not a port or a route", severity="warning")
    assert check({8020: {"X-A": "b"}, "POST /v1/speak-now": {"X-A": "b"}, "POST /v1/{x}": {"X-A": "b"}}) == []
