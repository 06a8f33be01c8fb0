"""Rehearsals on a real chute: the SDK's own dev run of our cords, in front of a service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity.comparison import Exchange
from chutes_wrappers.host.parity.direct_request import DirectRequest
from chutes_wrappers.host.parity.http_exchange import requested
from chutes_wrappers.host.parity.parity_check import Outcome, PublicCall, Rehearsal
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


def rehearsed(chute: DevChute, service: HttpFixture, examples: dict[str, Any]) -> dict[str, Outcome]:
    def through(call: PublicCall) -> Exchange:
        body = dict(call.example) if call.method == "POST" else None
        answer = requested(call.method, f"{chute.base_url}{call.path}", timeout_s=30, json=body, params=call.query)
        # A dev run leaves out what the platform says of every stream (PLATFORM.md, section 3).
        return answer if answer.content_type else replace(answer, content_type="text/event-stream")

    def direct(request: DirectRequest) -> Exchange:
        url = f"http://127.0.0.1:{request.port}{request.target}"
        return requested(request.method, url, timeout_s=30, data=request.body, headers=dict(request.headers))

    cords = plan_cords(map(Route.model_validate, ROUTES), service.port, expose=["internal"]).cords
    rehearsal = Rehearsal(cords=cords, through=through, direct=direct, examples=examples, folder=Path("."))
    return {f"{outcome.name} {outcome.travels}": outcome for outcome in rehearsal.outcomes()}


def test_each_route_gets_the_verdict_that_it_deserves(chute: DevChute, service: HttpFixture) -> None:
    found = {name: outcome.verdict for name, outcome in rehearsed(chute, service, EXAMPLES).items()}
    assert {name: verdict.words for name, verdict in found.items() if verdict.good} == {
        "POST /form multipart": "same bytes",
        "GET /bytes query": "same bytes",
        "POST /answered multipart": "same bytes",
        "GET /events query, streamed": "same events",
        "POST /chat json, streamed": "same events",
        "GET /missing query": "refused alike: 404",
        "GET /empty query": "empty, told as its status",
    }
    assert found["POST /failing json"].words == "the service itself fails: 500"
    assert not found["GET /native JSON, by the SDK's passthrough"].good


def test_a_route_waits_for_the_answer_that_it_needs(chute: DevChute, service: HttpFixture) -> None:
    names = [*rehearsed(chute, service, EXAMPLES)]
    assert names.index("GET /bytes query") < names.index("POST /answered multipart")


def test_an_answer_that_never_came_is_named(chute: DevChute, service: HttpFixture) -> None:
    examples = {**EXAMPLES, "POST /answered": {"sound": {"answer_of": "POST /failing"}}}
    outcome = rehearsed(chute, service, examples)["POST /answered multipart"]
    assert (outcome.verdict.good, outcome.verdict.words) == (False, "the answer of POST /failing is missing")


def test_examples_that_need_each_other_end(chute: DevChute, service: HttpFixture) -> None:
    circle = {
        **EXAMPLES,
        "POST /form": {"sound": {"answer_of": "POST /answered"}},
        "POST /answered": {"sound": {"answer_of": "POST /form"}},
    }
    outcomes = rehearsed(chute, service, circle)
    assert outcomes["POST /form multipart"].verdict.words == "the answer of POST /answered is missing"


@pytest.mark.parametrize(
    ("through", "good", "words"),
    [(b'{"text":"hi"}', True, "same bytes, as text/event-stream"), (b'{"text":"ho"}', False, "another answer than")],
)
def test_a_whole_answer_on_a_streams_path_may_have_the_streams_media_type(
    through: bytes, good: bool, words: str
) -> None:
    cords = plan_cords([Route.model_validate({"path": "/talk", "stream": "switch"})], 9000).cords
    rehearsal = Rehearsal(
        cords=cords,
        through=lambda call: Exchange(status=200, content_type="text/event-stream", body=through),
        direct=lambda request: Exchange(status=200, content_type="application/json", body=b'{"text":"hi"}'),
        examples={},
        folder=Path("."),
    )
    whole = next(outcome for outcome in rehearsal.outcomes() if outcome.travels == "json")
    assert whole.verdict.good is good
    assert words in whole.verdict.words


@pytest.mark.parametrize(
    ("bodies", "good"),
    [((b'{"created":1}', b'{"created":2}'), True), ((b'{"created":1}', b'{"created":1}'), False), ((b"{}",), False)],
)
def test_a_clock_that_moves_on_between_two_calls_is_not_a_difference(bodies: tuple[bytes, ...], good: bool) -> None:
    left = iter(bodies)
    rehearsal = Rehearsal(
        cords=plan_cords([Route.model_validate({"path": "/clock", "method": "GET"})], 9000).cords,
        through=lambda call: Exchange(status=200, content_type="application/json", body=next(left)),
        direct=lambda request: Exchange(status=200, content_type="application/json", body=b'{"created":2}'),
        examples={},
        folder=Path("."),
    )
    (outcome,) = rehearsal.outcomes()
    assert (outcome.verdict.good, list(left)) == (good, [])
