"""Recording of a parity check: its outcomes as the routes of a response record."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from chutes_wrappers.core.routes import STREAM_SWITCH
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.parity.comparison import EVENTS, HttpResponse, normalize_content
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.outcomes import Outcome
from chutes_wrappers.host.parity.response_record import RouteRecord
from chutes_wrappers.host.parity.response_shapes import REST, describe_shape

# A response may have the time in seconds. Calls that are this many seconds apart have different times.
_CLOCK_STEP_S = 1.1
_LARGEST_BODY_BYTES = 1024**2
_MAX_KEPT_BYTES = 16 * 1024**2
_LARGEST_SHAPE = 64 * 1024
_SHAPE_DEPTHS = (16, 6, 3, 1)


def find_failure(outcome: Outcome) -> str:
    """Return why the route is not proven by a success; empty if it is, at the service and through the platform.

    ``--verify`` calls the routes without a failure. A status that CHUTE_CHECKS expects may prove a route, and is not a success.
    """
    if outcome.cord is None:
        return "a cord of the module itself, without a service to compare with"
    if not outcome.verdict.is_proven:
        return outcome.verdict.message
    has_service_status = outcome.service_status is not None and outcome.cord.route.gradio is None
    if has_service_status and not 200 <= (outcome.service_status or 0) < 300:
        return f"the service responded {outcome.service_status}"
    if outcome.response.status != 200:
        return f"the platform responded {outcome.response.status}"
    return ""


class Recorder:
    """Makes the records of routes. ``call_service`` sends a request to the service in the instance.

    With ``keeps_bodies`` they have the responses' bodies: 1 MiB of one, 16 MiB of all at most.
    """

    def __init__(self, call_service: Callable[[DirectRequest], HttpResponse], *, keeps_bodies: bool = False) -> None:
        self._call_service = call_service
        self._free_bytes = _MAX_KEPT_BYTES if keeps_bodies else 0

    def record(self, outcomes: Sequence[Outcome]) -> Iterator[RouteRecord]:
        """Yield the record of each route.

        A response is deterministic if independent calls returned the same. Fast ones are requested once more at the service,
        a second later: a response with the time in seconds is the same within one second.
        """
        fast = [outcome for outcome in outcomes if _is_fast(outcome)]
        if fast:
            time.sleep(_CLOCK_STEP_S)
        changing = {id(outcome) for outcome in fast if not self._is_repeated(outcome)}
        for outcome in outcomes:
            is_deterministic = _has_repeatable_content(outcome) and id(outcome) not in changing
            yield self._build_record(outcome, is_deterministic=is_deterministic)

    def _is_repeated(self, outcome: Outcome) -> bool:
        assert outcome.request is not None
        repeated = self._call_service(outcome.request)
        if repeated.problem or repeated.status != outcome.service_status:
            return False
        return not repeated.body or normalize_content(repeated) == normalize_content(outcome.response)

    def _build_record(self, outcome: Outcome, *, is_deterministic: bool) -> RouteRecord:
        call, response, reason = outcome.call, outcome.response, find_failure(outcome)
        route: dict[str, Any] = {
            "method": call.method,
            "path": call.path,
            "stream": outcome.cord is not None and outcome.cord.stream,
            "example": compute_example_hash(call),
            "status": response.status,
            "service_status": outcome.service_status,
        }
        if reason:
            return RouteRecord(**route, reason=reason)
        is_json, value = parse_json(response.body)
        return RouteRecord(
            **route,
            media_types=_list_media_types(outcome),
            size=len(response.body),
            body=hashlib.sha256(response.body).hexdigest(),
            content=hashlib.sha256(normalize_content(response)).hexdigest(),
            shape=_describe_bounded_shape(value) if is_json else None,
            is_deterministic=is_deterministic,
            is_cut=response.is_cut,
            **self._keep_body(response.body),
        )

    def _keep_body(self, body: bytes) -> dict[str, Any]:
        if not self._free_bytes or len(body) > min(_LARGEST_BODY_BYTES, self._free_bytes):
            return {}
        self._free_bytes -= len(body)
        with contextlib.suppress(UnicodeDecodeError):
            return {"kept_body": body.decode()}
        return {"kept_body": base64.b64encode(body).decode(), "is_base64": True}


def compute_example_hash(call: PublicCall) -> str:
    """Return the SHA-256 of the call's example."""
    return hashlib.sha256(json.dumps(call.example, sort_keys=True).encode()).hexdigest()


def parse_json(body: bytes) -> tuple[bool, Any]:
    """Return whether ``body`` is JSON, and its value."""
    with contextlib.suppress(ValueError, RecursionError):
        return True, json.loads(body)
    return False, None


def _has_repeatable_content(outcome: Outcome) -> bool:
    return not find_failure(outcome) and outcome.has_same_content


def _is_fast(outcome: Outcome) -> bool:
    return outcome.request is not None and _has_repeatable_content(outcome) and outcome.response.seconds < _CLOCK_STEP_S


def _list_media_types(outcome: Outcome) -> tuple[str, ...]:
    media_type, cord = outcome.response.media_type, outcome.cord
    if cord is not None and cord.route.stream == STREAM_SWITCH and not cord.stream:
        # Of two cords on one path the platform may use the streaming one, or the one that was meant (PLATFORM.md, section 3).
        return tuple(dict.fromkeys((media_type, EVENTS, "application/json")))
    return (media_type,)


def _describe_bounded_shape(value: Any) -> Any:
    shapes = (describe_shape(value, depth) for depth in _SHAPE_DEPTHS)
    return next((shape for shape in shapes if len(json.dumps(shape)) <= _LARGEST_SHAPE), REST)
