"""The deployed chute's responses, compared with the record. The chute is a function."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity import recording
from chutes_wrappers.host.parity.comparison import EVENTS, HttpResponse
from chutes_wrappers.host.parity.deployed_check import (
    STOP_REASON,
    CallResult,
    DeployedCheck,
    RouteResult,
    count_results,
)
from chutes_wrappers.host.parity.example_calls import ExampleCalls, PublicCall
from chutes_wrappers.host.parity.recording import Recorder
from chutes_wrappers.host.parity.response_record import ResponseRecord
from tests.host.parity.scripted_ends import make_check

Chute = Callable[[PublicCall], HttpResponse]


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def respond(value: Any, content_type: str = "application/json", status: int = 200) -> HttpResponse:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return HttpResponse(status=status, content_type=content_type, body=body)


def emulate_and_verify(
    emulated: Mapping[str, Any],
    deployed: Chute,
    *,
    examples: Mapping[str, Any] | None = None,
    is_deterministic: bool = True,
    keeps_bodies: bool = False,
    **route: Any,
) -> tuple[list[RouteResult], list[PublicCall]]:
    """Record a parity check of POST routes, whose ``emulated`` responses are by path; then check ``deployed``."""
    cords = plan_cords([Route.model_validate({"path": path, **route}) for path in emulated], 9000).cords
    count = iter(range(1000))

    def vary(response: HttpResponse) -> HttpResponse:
        return response if is_deterministic else respond({**(response.json() or {}), "n": next(count)})

    by_path = {path: value if isinstance(value, HttpResponse) else respond(value) for path, value in emulated.items()}
    parity = make_check(
        cords,
        lambda call, timeout_s: vary(by_path[call.path]),
        lambda request, timeout_s: vary(by_path[request.target]),
        examples=examples or {},
    )
    recorder = Recorder(lambda request: by_path[request.target], keeps_bodies=keeps_bodies)
    record = ResponseRecord(module="m", manifest="m", routes=tuple(recorder.record(list(parity.run()))))
    sent: list[PublicCall] = []

    def send(call: PublicCall, is_cut: bool) -> CallResult:
        sent.append(call)
        response = deployed(call)
        return CallResult(response=response, problem="" if response.status == 200 else f"became {response.status}")

    calls = ExampleCalls(cords=cords, examples=examples or {}, folder=Path("."))
    check = DeployedCheck(calls=calls, record=record, send=send)
    check.check_examples()
    return [*check.run(), *check.list_not_called()], sent


def verify_one(emulated: Any, deployed: HttpResponse, **options: Any) -> tuple[str, str]:
    (result,), _ = emulate_and_verify({"/a": emulated}, lambda call: deployed, **options)
    return result.kind, result.message


@pytest.mark.parametrize(
    ("emulated", "deployed", "kind", "message"),
    [
        ({"a": 1}, respond({"a": 1}), "equal", "same bytes"),
        ({"a": 1, "b": 2}, respond(b'{"b":2,"a":1}'), "equal", "same content"),
        (respond(b"RIFF", "audio/wav"), respond(b"RIFF", "audio/wav; x=1"), "equal", "same bytes"),
        ({"a": 1}, respond({"a": 2}), "different", "the content differs from the recorded response (same size)"),
        ({"a": 1}, respond({"a": "1"}), "different", "a: number became string"),
        ({"a": 1}, respond(b"hi", "text/plain"), "different", "application/json became text/plain"),
        (
            respond(b"RIFF", "audio/wav"),
            respond(b"RIF", "audio/wav"),
            "different",
            "the content differs from the recorded response (4 bytes became 3)",
        ),
        ({"a": 1}, respond({"error": "x"}, status=500), "failed", "became 500"),
    ],
)
def test_a_deterministic_response_must_be_the_same(
    emulated: Any, deployed: HttpResponse, kind: str, message: str
) -> None:
    assert verify_one(emulated, deployed) == (kind, message)


@pytest.mark.parametrize(
    ("deployed", "kind", "message"),
    [
        (respond({"id": "x", "n": 99}), "equal", "same shape; the service responds differently each time"),
        (respond({"id": 7, "n": 99}), "different", "id: string became number"),
        (respond(b"hi"), "different", "JSON became something else"),
        (respond(b"hi", "text/plain"), "different", "application/json became text/plain"),
    ],
)
def test_another_response_must_have_the_same_shape(deployed: HttpResponse, kind: str, message: str) -> None:
    assert verify_one({"id": "a"}, deployed, is_deterministic=False) == (kind, message)


def test_kept_bodies_name_the_values_that_differ() -> None:
    kind, message = verify_one({"a": {"b": 1}, "c": 2}, respond({"a": {"b": 3}, "c": 2}), keeps_bodies=True)
    assert (kind, message.endswith("different values at a.b")) == ("different", True)


def test_streams_are_compared_by_their_events_and_an_error_at_the_end_is_a_failure() -> None:
    events = respond(b"data: 1\n\ndata: 2\n\n", EVENTS)
    assert verify_one(events, respond(b"data: 1\r\n\r\ndata: 2\n\n", EVENTS), stream=True) == ("equal", "same content")
    assert verify_one(events, respond(b"data: 1\n\n", EVENTS), stream=True)[0] == "different"
    broken = respond(b'data: 1\n\ndata: {"error": "the service aborted"}\n\n', EVENTS)
    assert verify_one(events, broken, stream=True) == ("failed", "the stream ended with an error: the service aborted")


def test_what_was_refused_on_both_sides_is_not_called() -> None:
    refused = respond({"detail": {"status": 422}}, status=400)
    cords = {"/a": {"a": 1}, "/refused": refused}
    results, sent = emulate_and_verify(cords, lambda call: respond({"a": 1}))
    assert [call.path for call in sent] == ["/a"]
    assert {result.name: result.kind for result in results} == {"POST /a": "equal", "POST /refused": "not called"}


def test_after_three_failures_in_a_row_nothing_is_called_any_more() -> None:
    emulated = {f"/{letter}": {"a": 1} for letter in "abcdefg"}
    failing = {"/a", "/b", "/d", "/e", "/f"}
    results, sent = emulate_and_verify(
        emulated, lambda call: respond({"a": 1}, status=503 if call.path in failing else 200)
    )
    assert [call.path for call in sent] == ["/a", "/b", "/c", "/d", "/e", "/f"]
    assert (results[-1].name, results[-1].message) == ("POST /g", STOP_REASON)
    assert count_results(results) == {"equal": 1, "different": 0, "failed": 5, "not called": 1}


EXAMPLES = {"POST /a": {"text": "SOS"}, "POST /b": {"file": {"answer_of": "POST /a"}}}


def test_an_example_with_a_response_gets_that_of_the_deployed_chute() -> None:
    emulated = {"/b": {"b": 1}, "/a": {"a": 1}}
    results, sent = emulate_and_verify(emulated, lambda call: respond(emulated[call.path]), examples=EXAMPLES)
    assert [result.message for result in results] == ["same bytes", "same bytes"]
    assert [call.path for call in sent] == ["/a", "/b"]
    assert sent[1].example["file"]["data"] == "eyJhIjogMX0="

    results, _ = emulate_and_verify(emulated, lambda call: respond({call.path[1:]: 9}), examples=EXAMPLES)
    assert [(result.kind, result.message) for result in results] == [
        ("different", "the content differs from the recorded response (same size)"),
        ("equal", "same shape; its example contains a response"),
    ]


def test_an_example_whose_response_is_missing_is_not_called() -> None:
    results, sent = emulate_and_verify(
        {"/a": {"a": 1}, "/b": {"b": 1}}, lambda call: respond({}, status=500), examples=EXAMPLES
    )
    assert [call.path for call in sent] == ["/a"]
    assert [result.kind for result in results] == ["failed", "not called"]
    assert "POST /a, which is missing" in results[1].message


def test_an_example_that_has_changed_is_found_before_any_call(tmp_path: Path) -> None:
    file = tmp_path / "page.txt"
    file.write_text("one")
    examples = {"POST /a": {"file": {"content_of": str(file)}}}

    def deployed(call: PublicCall) -> HttpResponse:
        raise AssertionError("called")

    cords = plan_cords([Route(path="/a")], 9000).cords
    calls = ExampleCalls(cords=cords, examples=examples, folder=tmp_path)
    record = {"method": "POST", "path": "/a"}
    call = calls.build_call(cords[0], lambda name: HttpResponse(status=0))
    routes = [{**record, "example": recording.compute_example_hash(call)}]
    check = DeployedCheck(
        calls=calls,
        record=ResponseRecord.model_validate({"module": "m", "manifest": "m", "routes": routes}),
        send=lambda call, is_cut: CallResult(response=deployed(call)),
    )
    check.check_examples()
    file.write_text("two")
    with pytest.raises(ConfigurationError, match="POST /a"):
        check.check_examples()


def test_a_route_that_the_module_no_longer_has_is_named() -> None:
    record = ResponseRecord.model_validate(
        {"module": "m", "manifest": "m", "routes": [{"method": "GET", "path": "/gone"}]}
    )
    calls = ExampleCalls(cords=(), examples={}, folder=Path("."))
    check = DeployedCheck(
        calls=calls, record=record, send=lambda call, is_cut: CallResult(response=HttpResponse(status=200))
    )
    assert [result.name for result in check.list_not_called()] == ["GET /gone"]
    assert list(check.run()) == []
