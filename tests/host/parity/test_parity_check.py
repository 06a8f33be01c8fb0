"""Parity checks on a real chute: the SDK's own dev run of our cords, in front of a service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.direct_request import DirectRequest
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.http_exchange import send_request
from chutes_wrappers.host.parity.parity_check import Outcome, ParityCheck
from tests.dev_chute import DevChute, dev_chute
from tests.upstreams.http_fixture import HttpFixture

FILE_SCHEMA = {"type": "object", "properties": {"sound": {"type": "object"}}, "required": ["sound"]}
ROUTES: list[dict[str, Any]] = [
    {"path": "/form", "request": {"encoding": "multipart", "files": ["sound"]}, "input_schema": FILE_SCHEMA},
    {"path": "/bytes", "method": "GET"},
    {"path": "/answered", "target_path": "/form", "request": {"encoding": "multipart", "files": ["sound"]}},
    {"path": "/events", "method": "GET", "stream": True},
    {"path": "/chat", "stream": True},
    {"path": "/missing", "method": "GET", "target_path": "/status/404"},
    {"path": "/empty", "method": "GET", "target_path": "/status/204"},
    {"path": "/failing", "target_path": "/status/500"},
    {"path": "/native", "method": "GET", "target_path": "/bytes", "native": True},
]
EXAMPLES = {
    "POST /answered": {"sound": {"answer_of": "GET /bytes"}},
    "POST /chat": {"text": "one two three", "stream": True},
}


@pytest.fixture(scope="module")
def chute(service: HttpFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevChute]:
    with dev_chute(tmp_path_factory.mktemp("chute"), ROUTES, service.port) as running:
        yield running


def run_parity_check(chute: DevChute, service: HttpFixture, examples: dict[str, Any]) -> dict[str, Outcome]:
    def call_platform(call: PublicCall) -> HttpResponse:
        body = dict(call.example) if call.method == "POST" else None
        response = send_request(call.method, f"{chute.base_url}{call.path}", timeout_s=30, json=body, params=call.query)
        # A dev run leaves out what the platform says of every stream (PLATFORM.md, section 3).
        return response if response.content_type else replace(response, content_type="text/event-stream")

    def call_service(request: DirectRequest) -> HttpResponse:
        url = f"http://127.0.0.1:{request.port}{request.target}"
        return send_request(request.method, url, timeout_s=30, data=request.body, headers=dict(request.headers))

    cords = plan_cords(map(Route.model_validate, ROUTES), service.port, expose=["internal"]).cords
    check = ParityCheck(
        cords=cords, call_platform=call_platform, call_service=call_service, examples=examples, folder=Path(".")
    )
    return {f"{outcome.name} {outcome.encoding}": outcome for outcome in check.run()}


def test_each_route_gets_its_verdict(chute: DevChute, service: HttpFixture) -> None:
    verdicts = {name: outcome.verdict for name, outcome in run_parity_check(chute, service, EXAMPLES).items()}
    assert {name: verdict.message for name, verdict in verdicts.items() if verdict.is_good} == {
        "POST /form multipart": "same bytes",
        "GET /bytes query": "same bytes",
        "POST /answered multipart": "same bytes",
        "GET /events query, streamed": "same events",
        "POST /chat json, streamed": "same events",
        "GET /missing query": "same error status: 404",
        "GET /empty query": "empty, returned as its status",
    }
    assert verdicts["POST /failing json"].message == "the service itself failed: 500"
    assert not verdicts["GET /native JSON, by the SDK's passthrough"].is_good


def test_a_route_runs_after_the_route_whose_response_it_needs(chute: DevChute, service: HttpFixture) -> None:
    names = [*run_parity_check(chute, service, EXAMPLES)]
    assert names.index("GET /bytes query") < names.index("POST /answered multipart")


def test_a_missing_response_is_named(chute: DevChute, service: HttpFixture) -> None:
    examples = {**EXAMPLES, "POST /answered": {"sound": {"answer_of": "POST /failing"}}}
    outcome = run_parity_check(chute, service, examples)["POST /answered multipart"]
    assert (outcome.verdict.is_good, outcome.verdict.message) == (False, "the response of POST /failing is missing")


def test_circular_examples_terminate(chute: DevChute, service: HttpFixture) -> None:
    circle = {
        **EXAMPLES,
        "POST /form": {"sound": {"answer_of": "POST /answered"}},
        "POST /answered": {"sound": {"answer_of": "POST /form"}},
    }
    outcomes = run_parity_check(chute, service, circle)
    assert outcomes["POST /form multipart"].verdict.message == "the response of POST /answered is missing"


@pytest.mark.parametrize(
    ("body", "is_good", "message"),
    [(b'{"text":"hi"}', True, "same bytes, as text/event-stream"), (b'{"text":"ho"}', False, "the response differs")],
)
def test_a_whole_response_on_a_stream_path_may_have_the_media_type_of_events(
    body: bytes, is_good: bool, message: str
) -> None:
    cords = plan_cords([Route.model_validate({"path": "/talk", "stream": "switch"})], 9000).cords
    check = ParityCheck(
        cords=cords,
        call_platform=lambda call: HttpResponse(status=200, content_type="text/event-stream", body=body),
        call_service=lambda request: HttpResponse(status=200, content_type="application/json", body=b'{"text":"hi"}'),
        examples={},
        folder=Path("."),
    )
    whole = next(outcome for outcome in check.run() if outcome.encoding == "json")
    assert whole.verdict.is_good is is_good
    assert message in whole.verdict.message


@pytest.mark.parametrize(
    ("bodies", "is_good"),
    [((b'{"created":1}', b'{"created":2}'), True), ((b'{"created":1}', b'{"created":1}'), False), ((b"{}",), False)],
)
def test_a_clock_that_changes_between_two_calls_is_not_a_difference(bodies: tuple[bytes, ...], is_good: bool) -> None:
    remaining = iter(bodies)
    check = ParityCheck(
        cords=plan_cords([Route.model_validate({"path": "/clock", "method": "GET"})], 9000).cords,
        call_platform=lambda call: HttpResponse(status=200, content_type="application/json", body=next(remaining)),
        call_service=lambda request: HttpResponse(status=200, content_type="application/json", body=b'{"created":2}'),
        examples={},
        folder=Path("."),
    )
    (outcome,) = check.run()
    assert (outcome.verdict.is_good, list(remaining)) == (is_good, [])
