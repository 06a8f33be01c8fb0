from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chutes_wrappers.host.parity.comparison import HttpResponse, Verdict, compare

WAV = HttpResponse(status=200, content_type="audio/wav", body=b"RIFF")
EMPTY = HttpResponse(status=204)


def json_response(value: Any, status: int = 200, content_type: str = "application/json") -> HttpResponse:
    return HttpResponse(status=status, content_type=content_type, body=json.dumps(value).encode())


def rejected_response(status: int) -> HttpResponse:
    detail = json.dumps({"detail": {"error": "the service answered", "status": status}})
    return json_response({"detail": f"Invalid request: {detail}"}, 400)


def compare_once(
    platform: HttpResponse, service: HttpResponse, repeated: HttpResponse | None = None, *, stream: bool = False
) -> Verdict:
    return compare(platform, service, repeated or service, stream=stream)


def repeat_request(boundary: str) -> HttpResponse:
    """The response of a service that repeats a multipart request."""
    parts = f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--{boundary}--\r\n'
    return json_response({"type": f"multipart/form-data; boundary={boundary}", "length": len(parts), "body": parts})


GOOD = [
    (
        repeat_request("0123456789abcdef"),
        repeat_request("fedcba9876543210"),
        repeat_request("fedcba9876543210"),
        "same, but for the boundary of the request's parts",
    ),
    (WAV, WAV, None, "same bytes"),
    (json_response({"a": 1, "b": 2}), json_response({"b": 2, "a": 1}), None, "same JSON"),
    (
        HttpResponse(status=200, content_type="application/octet-stream", body=b"x"),
        HttpResponse(status=200, body=b"x"),
        None,
        "same bytes",
    ),
    (json_response({"status": 204}), EMPTY, None, "empty, returned as its status"),
    (HttpResponse(status=200), HttpResponse(status=200), None, "no body, as for HEAD"),
    (
        json_response({"t": 1}),
        json_response({"t": 2}),
        json_response({"t": 3}),
        "same shape; the service responds differently each time",
    ),
    (
        WAV,
        HttpResponse(status=200, content_type="audio/wav", body=b"RIFx"),
        HttpResponse(status=200, content_type="audio/wav", body=b"RIFy"),
        "same media type; the service responds differently each time",
    ),
]
NOT_PROVEN = [
    (rejected_response(422), json_response({"detail": "no"}, 422), None, "the service refused the example: 422"),
    (rejected_response(401), json_response({"detail": "key"}, 401), None, "the service refused the example: 401"),
    (rejected_response(501), json_response({"detail": "not yet"}, 501), None, "the service refused the example: 501"),
    (
        json_response({"id": "a"}),
        json_response({"error": "exists"}, 409),
        None,
        "not comparable: the service responded 409 to the same request, sent directly",
    ),
    (
        rejected_response(409),
        json_response({"id": "a"}, 201),
        json_response({}, 409),
        "not comparable: the service responded 409 to a second request",
    ),
    (WAV, json_response({}, 503), None, "the service itself failed: 503"),
    (WAV, HttpResponse(status=0, problem="refused"), None, "the service is not reachable"),
    (WAV, HttpResponse(status=0, problem="30 s", problem_kind="timeout"), None, "no response in time"),
]
BAD = [
    (rejected_response(404), json_response({"detail": "no"}, 422), None, "status 422 became 404"),
    (HttpResponse(status=500, body=b"No infrastructure available"), WAV, None, "status 200 became 500"),
    (json_response("RIFF"), WAV, None, "audio/wav became application/json"),
    (
        HttpResponse(status=200, content_type="audio/wav", body=b"RIFx"),
        WAV,
        None,
        "the response differs from the service's own",
    ),
    (json_response({"t": 1}), json_response({"t": 2}), None, "the response differs from the service's own"),
    (
        json_response([1]),
        json_response({"t": 2}),
        json_response({"t": 3}),
        "the response's shape differs from the service's own",
    ),
    (json_response({"status": 200}), EMPTY, None, "an empty response became another one"),
    (rejected_response(401), json_response({"id": 1}), None, "status 200 became 401"),
    (HttpResponse(status=0, problem="reset"), WAV, None, "the platform's response was interrupted"),
]


@pytest.mark.parametrize(("platform", "service", "repeated", "message"), GOOD)
def test_equivalent_responses_are_good(
    platform: HttpResponse, service: HttpResponse, repeated: HttpResponse | None, message: str
) -> None:
    assert compare_once(platform, service, repeated) == Verdict(kind="proven", message=message)


@pytest.mark.parametrize(("platform", "service", "repeated", "message"), NOT_PROVEN)
def test_without_a_success_of_the_service_nothing_is_proven(
    platform: HttpResponse, service: HttpResponse, repeated: HttpResponse | None, message: str
) -> None:
    verdict = compare_once(platform, service, repeated)
    assert (verdict.kind, verdict.message) == ("not proven", message)


def test_an_expected_status_proves_a_route_and_another_one_does_not() -> None:
    refused, missing = rejected_response(404), json_response({"detail": "no"}, 404)
    assert compare(refused, missing, missing, stream=False, expected=404).kind == "proven"
    assert compare(refused, missing, missing, stream=False, expected=409).kind == "not proven"
    assert compare(WAV, WAV, WAV, stream=False, expected=200).kind == "proven"
    assert compare(WAV, missing, missing, stream=False, expected=404).kind == "failing"


@pytest.mark.parametrize(("platform", "service", "repeated", "message"), BAD)
def test_different_responses_are_bad(
    platform: HttpResponse, service: HttpResponse, repeated: HttpResponse | None, message: str
) -> None:
    verdict = compare_once(platform, service, repeated)
    assert (verdict.kind, verdict.message) == ("failing", message)


EVENTS = HttpResponse(status=200, content_type="text/event-stream; charset=utf-8", body=b"data: 1\n\ndata: 2\n\n")
LINES = HttpResponse(status=200, content_type="application/x-ndjson", body=b'{"a":1}\n')


@pytest.mark.parametrize(
    ("platform", "service", "is_good"),
    [
        (EVENTS, EVENTS, True),
        (EVENTS, LINES, True),
        (HttpResponse(status=200, content_type="text/event-stream", body=b"data: 1\n\n"), EVENTS, False),
        (HttpResponse(status=200, content_type="text/event-stream"), EVENTS, False),
        (LINES, EVENTS, False),
    ],
)
def test_streams_are_compared_event_by_event(platform: HttpResponse, service: HttpResponse, is_good: bool) -> None:
    assert compare_once(platform, service, stream=True).is_proven is is_good


def cut(body: bytes, content_type: str = "text/event-stream") -> HttpResponse:
    return HttpResponse(status=200, content_type=content_type, body=body, is_cut=True)


TICK, TOCK = cut(b': hi\n\ndata: {"n": 1}\n\ndata: {"n"'), cut(b'data: {"n": 7}\n\n')
NO_RESPONSE = HttpResponse(status=0, problem="30 s", problem_kind="timeout")


@pytest.mark.parametrize(
    ("platform", "service", "stream", "kind", "message"),
    [
        (TICK, TOCK, True, "proven", "same first events, as they are produced"),
        (cut(b"data: 1\n\n"), TOCK, True, "failing", "the first event's shape differs from the service's own"),
        (NO_RESPONSE, TOCK, True, "failing", "the stream does not arrive while it is produced"),
        (NO_RESPONSE, TOCK, False, "failing", "text/event-stream has no end, and a call returns only complete responses"),
        (NO_RESPONSE, replace(WAV, seconds=25), False, "failing", "no response through the platform in time; the service took 25 s"),
    ],
)  # fmt: skip
def test_a_stream_without_an_end_is_judged_by_its_beginning(
    platform: HttpResponse, service: HttpResponse, stream: bool, kind: str, message: str
) -> None:
    verdict = compare_once(platform, service, stream=stream)
    assert (verdict.kind, verdict.message) == (kind, message)


def test_evidence_names_differing_paths_before_the_body() -> None:
    platform = json_response({"origin": "127.0.0.1", "headers": {"Host": "a", "Accept": "*/*"}, "url": "/x"})
    service = json_response({"origin": "172.17.0.1", "headers": {"Host": "b", "Accept": "*/*"}, "url": "/x"})
    first, _, rest = compare_once(platform, service).evidence.partition("\n")
    assert first.startswith("differs in headers.Host, origin: ")
    assert rest == platform.body.decode()
    assert compare_once(json_response([1]), json_response([2])).evidence == "[1]"


def test_evidence_does_not_excuse_a_response_that_is_not_json() -> None:
    other = HttpResponse(status=200, content_type="audio/wav", body=b"RIFx")
    assert "harmless" not in compare_once(other, WAV).evidence


@pytest.mark.parametrize("depth", [400, 900, 100_000])
@pytest.mark.parametrize(("head", "end"), [("[", "]"), ('{"a":', "}")])
def test_responses_that_are_nested_too_deeply_have_a_verdict(depth: int, head: str, end: str) -> None:
    one, other, third = (json_text(f"{head * depth}{value}{end * depth}") for value in "123")
    assert compare(one, one, one, stream=False).is_proven
    verdicts = (compare(one, other, third, stream=False), compare(replace(one, status=400), other, third, stream=False))
    assert all(verdict.message for verdict in verdicts)


def json_text(text: str) -> HttpResponse:
    return replace(json_response(None), body=text.encode())


def test_line_ends_and_a_byte_order_mark_are_no_difference_of_event_streams() -> None:
    platform = HttpResponse(status=200, content_type="text/event-stream", body=b"data: 1\n\ndata: 2\n\n")
    service = replace(platform, body=b"\xef\xbb\xbfdata: 1\r\rdata: 2\r\n\r\n")
    assert compare_once(platform, service, stream=True).message == "same events"
