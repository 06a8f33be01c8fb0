from __future__ import annotations

import json
from typing import Any

import pytest

from chutes_wrappers.host.parity.comparison import Exchange, Verdict, compare

WAV = Exchange(status=200, content_type="audio/wav", body=b"RIFF")
EMPTY = Exchange(status=204)


def said(value: Any, status: int = 200, content_type: str = "application/json") -> Exchange:
    return Exchange(status=status, content_type=content_type, body=json.dumps(value).encode())


def refused(status: int) -> Exchange:
    own = json.dumps({"detail": {"error": "the service answered", "status": status}})
    return said({"detail": f"Invalid request: {own}"}, 400)


def verdict(through: Exchange, direct: Exchange, again: Exchange | None = None, *, stream: bool = False) -> Verdict:
    return compare(through, direct, again or direct, stream=stream)


GOOD = [
    (WAV, WAV, None, "same bytes"),
    (said({"a": 1, "b": 2}), said({"b": 2, "a": 1}), None, "same JSON"),
    (said({"status": 204}), EMPTY, None, "empty, told as its status"),
    (refused(422), said({"detail": "no"}, 422), None, "refused alike: 422"),
    (said({"detail": {"status": 404}}, 400), said({}, 404), None, "refused alike: 404"),
    (refused(501), said({"detail": "not yet"}, 501), None, "refused alike: 501"),
    (said({"t": 1}), said({"t": 2}), said({"t": 3}), "same kind; the service answers differently each time"),
    (said({"id": "a"}), said({"error": "exists"}, 409), None, "not comparable: asked again, the service says 409"),
]
BAD = [
    (refused(404), said({"detail": "no"}, 422), None, "422 becomes 400"),
    (Exchange(status=500, body=b"No infrastructure available"), WAV, None, "200 becomes 500"),
    (said("RIFF"), WAV, None, "audio/wav became application/json"),
    (Exchange(status=200, content_type="audio/wav", body=b"RIFx"), WAV, None, "another answer than the service's own"),
    (said({"t": 1}), said({"t": 2}), None, "another answer than the service's own"),
    (said([1]), said({"t": 2}), said({"t": 3}), "another shape than the service's own"),
    (said({"status": 200}), EMPTY, None, "an empty answer came as another"),
    (WAV, said({}, 503), None, "the service itself fails: 503"),
    (WAV, Exchange(status=0, problem="refused"), None, "the service cannot be reached"),
    (Exchange(status=0, problem="reset"), WAV, None, "the platform's answer broke off"),
]


@pytest.mark.parametrize(("through", "direct", "again", "words"), GOOD)
def test_what_a_caller_gets_is_good(through: Exchange, direct: Exchange, again: Exchange | None, words: str) -> None:
    assert verdict(through, direct, again) == Verdict(good=True, words=words)


@pytest.mark.parametrize(("through", "direct", "again", "words"), BAD)
def test_what_a_caller_gets_is_bad(through: Exchange, direct: Exchange, again: Exchange | None, words: str) -> None:
    found = verdict(through, direct, again)
    assert (found.good, found.words) == (False, words)


EVENTS = Exchange(status=200, content_type="text/event-stream; charset=utf-8", body=b"data: 1\n\ndata: 2\n\n")
LINES = Exchange(status=200, content_type="application/x-ndjson", body=b'{"a":1}\n')


@pytest.mark.parametrize(
    ("through", "direct", "good"),
    [
        (EVENTS, EVENTS, True),
        (EVENTS, LINES, True),
        (Exchange(status=200, content_type="text/event-stream", body=b"data: 1\n\n"), EVENTS, False),
        (Exchange(status=200, content_type="text/event-stream"), EVENTS, False),
        (LINES, EVENTS, False),
    ],
)
def test_streams_are_compared_event_by_event(through: Exchange, direct: Exchange, good: bool) -> None:
    assert verdict(through, direct, stream=True).good is good


def test_where_two_objects_differ_is_named_before_the_answer_itself() -> None:
    through = said({"origin": "127.0.0.1", "headers": {"Host": "a", "Accept": "*/*"}, "url": "/x"})
    direct = said({"origin": "172.17.0.1", "headers": {"Host": "b", "Accept": "*/*"}, "url": "/x"})
    first, _, rest = verdict(through, direct).evidence.partition("\n")
    assert first.startswith("differs in headers.Host, origin: ")
    assert rest == through.body.decode()
    assert verdict(said([1]), said([2])).evidence == "[1]"
