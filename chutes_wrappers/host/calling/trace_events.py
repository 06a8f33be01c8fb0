"""The events of a call with the header ``X-Chutes-Trace: true`` (PLATFORM.md, section 3, sentence 9). Pure.

Only the frame of an event is known (SDK ``chute/cord.py``, ``_local_stream_call``): ``{"trace": {"timestamp", "message", …}}``,
``{"error": …}`` or ``{"result": …}``. So every key is shown, and other data is shown as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.text import clean_text

_MAX_TRACE_BYTES = 64 * 1024**2
_LONGEST_TEXT = 500
_PREFIX = b"data:"


@dataclass(frozen=True, kw_only=True)
class TraceEvent:
    """One event. ``value`` is its JSON, or its text when it is not JSON."""

    value: Any

    @property
    def trace(self) -> Mapping[str, Any]:
        """The API's own step, without its frame; empty for an event without keys."""
        inner = self._fields.get("trace")
        return inner if isinstance(inner, Mapping) else self._fields

    @property
    def error(self) -> str | None:
        """The error with which the call ended, or None."""
        error = self._fields.get("error")
        return None if error in (None, "") else clean_text(error if isinstance(error, str) else json.dumps(error))

    @property
    def status(self) -> int | None:
        """The status that the event names, or None."""
        status = self.trace.get("status", self.trace.get("status_code"))
        return status if type(status) is int else None

    @property
    def has_result(self) -> bool:
        """Whether the event contains the response's body."""
        return "result" in self._fields

    @property
    def result(self) -> Any:
        """The response's body, if the event contains it."""
        return self._fields.get("result")

    def format(self) -> str:
        """Return the event as one line: the time, the message, and all other keys."""
        if self.error is not None:
            return _shorten(f"error: {self.error}")
        if not self._fields:
            return _shorten(clean_text(self.value))
        others = [(name, value) for name, value in self.trace.items() if name not in ("timestamp", "message")]
        others.sort(key=lambda other: other[0] != "status")
        words = (f"{clean_text(name)}={_format_value(value)}" for name, value in others if value is not None)
        parts = (_format_time(self.trace.get("timestamp")), clean_text(self.trace.get("message")), *words)
        return _shorten("  ".join(filter(None, parts)))

    @property
    def _fields(self) -> Mapping[str, Any]:
        return self.value if isinstance(self.value, Mapping) else {}


@dataclass(frozen=True, kw_only=True)
class TraceOutcome:
    """How a call ended: its last ``status``, None when no event names it, and its ``error`` or an empty text."""

    status: int | None
    error: str

    @property
    def is_success(self) -> bool:
        """Whether the call succeeded."""
        return self.status is not None and 200 <= self.status < 300 and not self.error


def find_outcome(events: Sequence[TraceEvent]) -> TraceOutcome:
    """Return how the call of ``events`` ended. An error without a status counts as 500, and a result without one as 200."""
    error = next((event.error for event in reversed(events) if event.error is not None), "")
    status = next((event.status for event in reversed(events) if event.status is not None), None)
    if error and (status is None or status < 300):
        status = 500
    if status is None and any(event.has_result for event in events):
        status = 200
    return TraceOutcome(status=status, error=error)


def iter_trace_events(pieces: Iterable[bytes]) -> Iterator[TraceEvent]:
    """Yield each event of a stream as it arrives. Lines that are not data are left out. Raise WrapperError for more than 64 MiB."""
    pending, size = bytearray(), 0
    for piece in pieces:
        size += len(piece)
        if size > _MAX_TRACE_BYTES:
            raise WrapperError(
                f"the trace is larger than {_MAX_TRACE_BYTES // 1024**2} MiB",
                next_step="call again without --trace: the events are not those of a call",
            )
        pending += piece
        if b"\n" in piece:
            *lines, pending = pending.split(b"\n")
            yield from _parse_lines(lines)
    yield from _parse_lines([pending])


def _parse_lines(lines: Iterable[bytearray]) -> Iterator[TraceEvent]:
    for line in lines:
        text = bytes(line).strip()
        if text.startswith(_PREFIX):
            yield TraceEvent(value=_parse_value(text.removeprefix(_PREFIX).strip()))


def _parse_value(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")


def _format_value(value: Any) -> str:
    return clean_text(value if isinstance(value, str) else json.dumps(value))


def _format_time(timestamp: Any) -> str:
    """Return an ISO 8601 time as local time with milliseconds; any other text as it is."""
    try:
        return datetime.fromisoformat(str(timestamp).replace("Z", "+00:00")).astimezone().strftime("%H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError, OSError):
        return clean_text(timestamp)


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
