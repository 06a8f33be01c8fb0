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


GOOD = [
    (WAV, WAV, None, "same bytes"),
    (json_response({"a": 1, "b": 2}), json_response({"b": 2, "a": 1}), None, "same JSON"),
    (json_response({"status": 204}), EMPTY, None, "empty, returned as its status"),
    (HttpResponse(status=200), HttpResponse(status=200), None, "no body, as for HEAD"),
    (rejected_response(422), json_response({"detail": "no"}, 422), None, "same error status: 422"),
    (json_response({"detail": {"status": 404}}, 400), json_response({}, 404), None, "same error status: 404"),
    (rejected_response(501), json_response({"detail": "not yet"}, 501), None, "same error status: 501"),
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
    (
        json_response({"id": "a"}),
        json_response({"error": "exists"}, 409),
        None,
        "not comparable: the service responded 409 to the second request",
    ),
]
BAD = [
    (rejected_response(404), json_response({"detail": "no"}, 422), None, "status 422 became 400"),
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
    (WAV, json_response({}, 503), None, "the service itself failed: 503"),
    (WAV, HttpResponse(status=0, problem="refused"), None, "the service is not reachable"),
    (HttpResponse(status=0, problem="reset"), WAV, None, "the platform's response was interrupted"),
]


@pytest.mark.parametrize(("platform", "service", "repeated", "message"), GOOD)
def test_equivalent_responses_are_good(
    platform: HttpResponse, service: HttpResponse, repeated: HttpResponse | None, message: str
) -> None:
    assert compare_once(platform, service, repeated) == Verdict(is_good=True, message=message)


@pytest.mark.parametrize(("platform", "service", "repeated", "message"), BAD)
def test_different_responses_are_bad(
    platform: HttpResponse, service: HttpResponse, repeated: HttpResponse | None, message: str
) -> None:
    verdict = compare_once(platform, service, repeated)
    assert (verdict.is_good, verdict.message) == (False, message)


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
    assert compare_once(platform, service, stream=True).is_good is is_good


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
    assert compare(one, one, one, stream=False).is_good
    verdicts = (compare(one, other, third, stream=False), compare(replace(one, status=400), other, third, stream=False))
    assert all(verdict.message for verdict in verdicts)


def json_text(text: str) -> HttpResponse:
    return replace(json_response(None), body=text.encode())
