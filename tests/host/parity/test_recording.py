"""What a parity check leaves behind for ``--verify``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity import recording
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.outcomes import Outcome
from chutes_wrappers.host.parity.recording import Recorder, find_failure
from chutes_wrappers.host.parity.response_record import RouteRecord
from tests.host.parity.scripted_ends import make_check

WAV = HttpResponse(status=200, content_type="audio/wav", body=b"RIFF\xff")


def json_response(body: str, status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, content_type="application/json", body=body.encode())


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def check(
    platform: HttpResponse, service: Sequence[HttpResponse], *, module_cords: Any = (), **route: Any
) -> list[Outcome]:
    remaining = list(service)
    cords = plan_cords([Route.model_validate({"path": "/a", "method": "GET", **route})], 9000).cords
    check = make_check(
        cords,
        lambda call, timeout_s: platform,
        lambda request, timeout_s: remaining.pop(0) if len(remaining) > 1 else remaining[0],
        module_cords=module_cords,
    )
    return check.run()


def record_one(outcomes: Sequence[Outcome], repeated: HttpResponse, *, keeps_bodies: bool = False) -> RouteRecord:
    return next(iter(Recorder(lambda request: repeated, keeps_bodies=keeps_bodies).record(outcomes)))


def test_a_success_is_recorded_with_hashes_and_shape_but_without_its_values() -> None:
    body = '{"text": "secret value", "n": [1]}'
    response = json_response(body)
    record = record_one(check(response, [response]), response)
    assert (record.name, record.reason, record.status, record.service_status) == ("GET /a", "", 200, 200)
    assert (record.is_deterministic, record.size, record.media_types) == (True, len(body), ("application/json",))
    assert record.shape == {"text": "string", "n": ["number"]}
    assert record.body == hashlib.sha256(body.encode()).hexdigest()
    assert "secret value" not in record.model_dump_json()


@pytest.mark.parametrize(
    ("platform", "service", "reason"),
    [
        (
            json_response('{"detail": {"status": 422}}', 400),
            json_response("{}", 422),
            "the service refused the example: 422",
        ),
        (json_response("{}", 500), json_response("{}"), "status 200 became 500"),
        (
            json_response('{"detail": {"status": 501}}', 400),
            json_response("{}", 501),
            "the service refused the example: 501",
        ),
        (
            json_response("{}"),
            json_response("{}", 409),
            "not comparable: the service responded 409 to the same request, sent directly",
        ),
        (json_response("{}"), json_response("{}", 500), "the service itself failed: 500"),
    ],
)
def test_only_a_success_on_both_sides_is_one(platform: HttpResponse, service: HttpResponse, reason: str) -> None:
    (outcome,) = check(platform, [service])
    assert find_failure(outcome) == reason
    record = record_one([outcome], service)
    assert (record.reason, record.body, record.shape) == (reason, "", None)


def test_a_cord_of_the_module_has_nothing_to_compare_with() -> None:
    outcomes = check(WAV, [WAV], module_cords=[("GET", "/health")])
    *_, own = Recorder(lambda request: WAV).record(outcomes)
    assert (own.name, "module itself" in own.reason) == ("GET /health", True)


def test_an_empty_response_is_a_success_whose_status_arrives_as_json() -> None:
    empty = HttpResponse(status=204)
    record = record_one(check(json_response('{"status": 204}'), [empty]), empty)
    assert (record.reason, record.service_status, record.is_deterministic) == ("", 204, True)


def test_a_time_in_seconds_is_found_by_a_later_call() -> None:
    now, later = json_response('{"at": 1}'), json_response('{"at": 2}')
    assert record_one(check(now, [now]), now).is_deterministic
    assert not record_one(check(now, [now]), later).is_deterministic
    assert not record_one(check(now, [now]), HttpResponse(status=0, problem="gone")).is_deterministic
    assert not record_one(check(now, [later, json_response('{"at": 3}')]), now).is_deterministic


def test_other_formatting_of_the_same_json_is_deterministic() -> None:
    service = json_response('{"b":2,"a":1}')
    assert record_one(check(json_response('{"a": 1, "b": 2}'), [service]), service).is_deterministic


def test_a_slow_route_is_not_called_again() -> None:
    slow = HttpResponse(status=200, content_type="audio/wav", body=b"RIFF", seconds=2.0)
    calls: list[Any] = []
    (record,) = Recorder(lambda request: calls.append(request) or slow).record(check(slow, [slow]))  # type: ignore[func-returns-value]
    assert (record.is_deterministic, calls) == (True, [])


def test_bodies_are_kept_only_on_request_and_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json_response('{"a": "ü"}')
    assert record_one(check(WAV, [WAV]), WAV).kept_body is None
    kept = record_one(check(WAV, [WAV]), WAV, keeps_bodies=True)
    assert (kept.kept_body, kept.is_base64) == ("UklGRv8=", True)
    assert record_one(check(text, [text]), text, keeps_bodies=True).kept_body == '{"a": "ü"}'
    monkeypatch.setattr(recording, "_LARGEST_BODY_BYTES", 4)
    assert record_one(check(WAV, [WAV]), WAV, keeps_bodies=True).kept_body is None


def test_a_huge_or_deep_body_has_a_bounded_record() -> None:
    wide = json_response(json.dumps({f"key{n}": {f"k{n}": {f"{'x' * 150}{n}": 1}} for n in range(3000)}))
    deep = json_response("[" * 100_000 + "]" * 100_000)
    assert len(record_one(check(wide, [wide]), wide).model_dump_json()) < 100_000
    assert record_one(check(deep, [deep]), deep).shape is None


def test_of_two_cords_on_one_path_the_whole_response_may_have_the_media_type_of_events() -> None:
    response = json_response("{}")
    outcomes = check(response, [response], path="/talk", method="POST", stream="switch")
    records = {record.stream: record for record in Recorder(lambda request: response).record(outcomes)}
    assert records[False].media_types == ("application/json", "text/event-stream")
    assert records[True].reason
