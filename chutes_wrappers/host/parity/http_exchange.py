"""One HTTP request, whose result is a value also when it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import requests

from chutes_wrappers.host.http_sessions import HostSession
from chutes_wrappers.host.parity.comparison import HttpResponse, ProblemKind, may_be_endless
from chutes_wrappers.host.platform_api.http_adapters import DeadlineAdapter

# As much as a route returns (runtime/gateway.py).
_MAX_BODY_BYTES = 512 * 1024**2
_PIECE_BYTES = 1024**2


def send_request(
    method: str, url: str, *, timeout_s: float, sample_s: float | None = None, **options: Any
) -> HttpResponse:
    """Return the response to a request, read completely within ``timeout_s`` seconds. ``options`` are those of requests.

    Of a stream that may have no end, only the first ``sample_s`` seconds after its first byte are read. Redirects are not
    followed. Never raises for a network error, or for a response of more than 512 MiB.
    """
    reading, started = _Reading(timeout_s), time.monotonic()
    try:
        with (
            reading,
            HostSession(reading.adapter) as session,
            session.request(method, url, timeout=timeout_s, stream=True, **options) as response,
        ):
            reading.read(response, sample_s)
    except (requests.RequestException, OSError) as error:
        reading.note_failure(error)
    seconds = time.monotonic() - started
    if reading.problem:
        return HttpResponse(status=0, seconds=seconds, problem=reading.problem, problem_kind=reading.problem_kind)
    return HttpResponse(
        status=response.status_code,
        content_type=response.headers.get("Content-Type", ""),
        body=bytes(reading.body),
        seconds=seconds,
        is_cut=reading.is_sampled,
    )


class _Reading:
    """The body of a response as far as it was read, and why that ended. A context manager, within which its time runs."""

    def __init__(self, timeout_s: float) -> None:
        self.adapter = DeadlineAdapter()
        self.body = bytearray()
        self.problem = ""
        self.problem_kind: ProblemKind = ""
        self.is_sampled = False
        self._timeout_s = timeout_s
        self._is_late = False
        self._timer = self._start_timer(timeout_s, self._end_late)

    def __enter__(self) -> _Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def read(self, response: requests.Response, sample_s: float | None) -> None:
        has_length = "Content-Length" in response.headers
        is_sample = sample_s is not None and not has_length and may_be_endless(response.headers.get("Content-Type", ""))
        for piece in response.iter_content(_PIECE_BYTES):
            if is_sample and not self.body:
                self._timer.cancel()
                self._timer = self._start_timer(sample_s or 0.0, self._end_sample)
            self.body += piece
            if len(self.body) > _MAX_BODY_BYTES:
                self.problem = f"the response is larger than {_MAX_BODY_BYTES // 1024**2} MiB"
                break
        if self._is_late:  # a body without a length looks complete when it is cut off
            raise requests.Timeout

    def note_failure(self, error: Exception) -> None:
        """Keep the reason of a failure, unless the end of a sample is the reason."""
        if self.is_sampled:
            return
        if self._is_late or isinstance(error, requests.ReadTimeout):
            self.problem, self.problem_kind = f"no response within {self._timeout_s:g} s", "timeout"
            return
        is_unreachable = isinstance(error, requests.ConnectionError) and "Failed to establish" in str(error)
        self.problem, self.problem_kind = f"{type(error).__name__}: {error}"[:300], "broken"
        if is_unreachable:
            self.problem_kind = "unreachable"

    def _start_timer(self, seconds: float, end: Callable[[], None]) -> threading.Timer:
        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        return timer

    def _end_late(self) -> None:
        self._is_late = True
        self.adapter.end()

    def _end_sample(self) -> None:
        self.is_sampled = True
        self.adapter.end()
