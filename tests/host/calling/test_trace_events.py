"""The events of a traced call, in the emulator's shape and in others."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.calling.trace_events import TraceEvent, find_outcome, iter_trace_events

TRACE = {"timestamp": "2026-08-01T10:00:00.5+00:00", "status": 200, "target": "i-1", "message": "done"}


def make_event(**values: Any) -> TraceEvent:
    return TraceEvent(value=values)


def test_events_are_yielded_as_they_arrive_in_any_pieces() -> None:
    data = b"".join(f"data: {json.dumps({'trace': {'n': n}})}\n\n".encode() for n in range(3)) + b": ping\ndata: [DONE]"
    whole = [event.value for event in iter_trace_events([data])]
    assert [event.value for event in iter_trace_events(bytes([byte]) for byte in data)] == whole
    assert whole == [{"trace": {"n": 0}}, {"trace": {"n": 1}}, {"trace": {"n": 2}}, "[DONE]"]


def test_events_without_an_end_are_not_read_into_memory() -> None:
    with pytest.raises(WrapperError, match="the trace is larger than 64 MiB"):
        list(iter_trace_events(itertools.repeat(b"x" * 1024**2)))


def test_a_long_event_in_many_pieces_is_read_in_linear_time() -> None:
    (event,) = iter_trace_events([b"data: ", *[b"x" * 100] * 100_000])
    assert len(event.value) == 10_000_000


def test_a_line_has_the_time_the_message_and_every_other_key() -> None:
    line = make_event(trace=TRACE).format()
    assert line.endswith(":00.500  done  status=200  target=i-1")
    assert make_event(other={"a": 1}, status=5).format() == 'status=5  other={"a": 1}'
    assert TraceEvent(value="no JSON").format() == "no JSON"
    assert make_event(trace={"timestamp": "later", "message": "m"}).format() == "later  m"


def test_a_line_is_short_and_cannot_control_a_terminal() -> None:
    line = make_event(trace={"message": "\x1b[2Jgone\n\x07", "more": "x" * 1000}).format()
    assert "\x1b" not in line
    assert "\n" not in line
    assert len(line) == 500


@pytest.mark.parametrize(
    ("events", "status", "is_success"),
    [
        ([make_event(trace={"status": 500}), make_event(trace={"status": 200})], 200, True),
        ([make_event(trace={"status_code": 201})], 201, True),
        ([make_event(status=200)], 200, True),
        ([make_event(result={"a": 1})], 200, True),
        ([make_event(trace={"status": 429}), make_event(error="busy")], 429, False),
        ([make_event(error={"a": 1})], 500, False),
        ([make_event(trace={"status": 200}), make_event(error="broken")], 500, False),
        ([make_event(trace={"status": True})], None, False),
        ([make_event(trace={"message": "m"})], None, False),
        ([], None, False),
    ],
)
def test_the_outcome_is_the_last_status_unless_there_is_an_error(
    events: list[TraceEvent], status: int | None, is_success: bool
) -> None:
    outcome = find_outcome(events)
    assert (outcome.status, outcome.is_success) == (status, is_success)
