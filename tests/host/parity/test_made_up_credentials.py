"""A service that wants credentials and accepts any is called with made-up ones, and one that refuses them is not asked again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import PlannedCord, plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.modules.module_checks import parse_checks
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.made_up_credentials import build_credentials
from chutes_wrappers.host.parity.parity_check import ParityCheck
from tests.host.parity.scripted_ends import make_check

KEY = {"name": "X-Key", "in": "header", "required": False, "credential": True}
AUTHORIZATION = {**KEY, "name": "Authorization"}


def plan(*paths: str, parameters: list[dict[str, Any]] | None = None) -> tuple[PlannedCord, ...]:
    fields = {"method": "GET", "parameters": parameters or [KEY]}
    return plan_cords(
        [Route.model_validate({"path": path, **fields}) for path in paths], 8020, expose=["parameters"]
    ).cords


def respond(status: int) -> HttpResponse:
    return HttpResponse(status=status, content_type="application/json", body=b"{}")


def make_service_check(
    requests: list[Mapping[str, str]], status_with_key: int, *paths: str, **options: Any
) -> ParityCheck:
    """Return the check of a service that responds 401 without a key; ``requests`` gets the headers of the direct calls."""

    def call_service(request: DirectRequest, timeout_s: float) -> HttpResponse:
        requests.append(request.headers)
        return respond(status_with_key if "X-Key" in request.headers else 401)

    def call_platform(call: PublicCall, timeout_s: float) -> HttpResponse:
        return respond(200 if "X-Key" in call.example and status_with_key == 200 else 400)

    return make_check(plan(*paths), call_platform, call_service, **options)


def test_a_service_that_accepts_any_key_is_proven_with_one() -> None:
    requests: list[Mapping[str, str]] = []
    check = make_service_check(requests, 200, "/a")
    (outcome,) = check.run()
    assert (outcome.verdict.kind, outcome.call.example) == ("proven", {"X-Key": "made-up-key"})
    assert outcome.verdict.message.endswith("; any X-Key is accepted")
    assert check.calls.list_recorded_examples({outcome.name: outcome.call.example}) == {"GET /a": outcome.call.example}


def test_a_service_that_refuses_a_made_up_key_gets_it_once() -> None:
    requests: list[Mapping[str, str]] = []
    outcomes = make_service_check(requests, 403, "/a", "/b", "/c").run()
    assert [outcome.service_status for outcome in outcomes] == [401, 401, 401]
    assert sum("X-Key" in headers for headers in requests) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"examples": {"GET /a": {"X-Key": "a key"}}},
        {"rules": parse_checks({"GET /a": {"headers": {"X-Key": "a key"}}}, "m.py")},
        {"rules": parse_checks({"GET /a": {"status": 401}}, "m.py")},
    ],
)
def test_nothing_is_made_up_where_the_module_says_something(options: dict[str, Any]) -> None:
    requests: list[Mapping[str, str]] = []
    make_service_check(requests, 403, "/a", **options).run()
    assert "made-up-key" not in [headers.get("X-Key") for headers in requests]


@pytest.mark.parametrize(("description", "scheme"), [("The whole value: Basic …", "Basic"), ("A key.", "Bearer")])
def test_the_value_has_the_scheme_that_the_specification_names(description: str, scheme: str) -> None:
    schema = {"properties": {"Authorization": {"type": "string", "description": description}}}
    route = Route.model_validate({"path": "/a", "parameters": [AUTHORIZATION], "input_schema": schema})
    (cord,) = plan_cords([route], 8020, expose=["parameters"]).cords
    assert build_credentials(cord)["Authorization"].split()[0] == scheme
    assert build_credentials(cord, ["authorization"]) == {}
