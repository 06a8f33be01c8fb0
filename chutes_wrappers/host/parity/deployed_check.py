"""The check of a deployed chute: the calls that succeeded under ``--emulate``, compared with the record of their responses."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.calling.content import LONGEST_LAST_EVENT_BYTES, parse_content, parse_stream_error
from chutes_wrappers.host.parity.comparison import EVENTS, HttpResponse, find_differing_paths, normalize_content
from chutes_wrappers.host.parity.example_calls import ExampleCalls, PublicCall
from chutes_wrappers.host.parity.recording import compute_example_hash, parse_json
from chutes_wrappers.host.parity.response_record import ResponseRecord, RouteRecord
from chutes_wrappers.host.parity.response_shapes import find_shape_differences

MAX_FAILURES_IN_A_ROW = 3
STOP_REASON = f"{MAX_FAILURES_IN_A_ROW} calls in a row failed before it"
_MAX_NAMED_DIFFERENCES = 5

ResultKind = Literal["equal", "different", "failed", "not called"]


@dataclass(frozen=True, kw_only=True)
class CallResult:
    """The response of a deployed chute; if the call failed, ``problem``, its ``evidence`` and the ``next_step``."""

    response: HttpResponse
    problem: str = ""
    evidence: str = ""
    next_step: str = ""


@dataclass(frozen=True, kw_only=True)
class RouteResult:
    """The result of one route; ``message`` is a short form of it. ``response`` is None for a route that was not called."""

    name: str
    kind: ResultKind
    message: str
    stream: bool = False
    response: HttpResponse | None = None
    evidence: str = ""
    next_step: str = ""


@dataclass
class DeployedCheck:
    """Calls the routes of ``record`` that succeeded, one at a time, and compares the responses.

    ``send`` makes a call of the deployed chute. If its second argument is true, it reads only the beginning of the response.
    After three failures in a row no more calls are made.
    """

    calls: ExampleCalls
    record: ResponseRecord
    send: Callable[[PublicCall, bool], CallResult]
    _responses: dict[str, HttpResponse] = field(default_factory=dict)
    _failures_in_a_row: int = 0

    def list_cords(self) -> list[PlannedCord]:
        """Return the cords to call, in the order of the calls."""
        succeeded = {_key_of_route(route) for route in self.record.routes if not route.reason}
        return [cord for cord in self.calls.sort_cords() if _key_of_cord(cord) in succeeded]

    def list_not_called(self) -> Iterator[RouteResult]:
        """Yield the routes that are not called at all, with the reason."""
        planned = {*map(_key_of_cord, self.calls.cords)}
        for route in self.record.routes:
            reason = route.reason or (
                "" if _key_of_route(route) in planned else "the module does not have this route any more"
            )
            if reason:
                yield RouteResult(name=route.name, kind="not called", message=reason, stream=route.stream)

    def check_examples(self) -> None:
        """Raise ConfigurationError for a route whose example is another than the one in the record."""
        routes = self._index_routes()
        for cord in self.list_cords():
            if self.calls.find_sources(cord) or self.calls.find_story_sources(cord):
                continue  # it contains a response, and is known only when it is called
            call = self.calls.build_call(cord, self._get_response)
            if compute_example_hash(call) != routes[_key_of_cord(cord)].example:
                raise ConfigurationError(
                    "its example is not the one that --emulate sent: a file of CHUTE_EXAMPLES may have changed",
                    where=cord.name,
                    next_step="run --emulate with --check again, which writes the record again",
                )

    def run(self) -> Iterator[RouteResult]:
        """Yield the result of each route to call, in the order of the calls."""
        routes = self._index_routes()
        for cord in self.list_cords():
            yield self._check_cord(cord, routes[_key_of_cord(cord)])

    def _index_routes(self) -> dict[tuple[str, bool], RouteRecord]:
        return {_key_of_route(route): route for route in self.record.routes}

    def _check_cord(self, cord: PlannedCord, route: RouteRecord) -> RouteResult:
        name = cord.name
        if reason := self._find_obstacle(cord):
            return RouteResult(name=name, kind="not called", message=reason, stream=cord.stream)
        call = self.calls.build_call(cord, self._get_response)
        result = self.send(call, route.is_cut)
        problem = result.problem or _find_broken_stream(result.response)
        if problem:
            self._failures_in_a_row += 1
            return RouteResult(
                name=name,
                kind="failed",
                message=problem,
                stream=cord.stream,
                response=result.response,
                evidence=result.evidence,
                next_step=result.next_step,
            )
        self._failures_in_a_row = 0
        self._responses[name] = result.response
        has_same_example = compute_example_hash(call) == route.example
        return _compare(name, route, result.response, has_same_example=has_same_example)

    def _find_obstacle(self, cord: PlannedCord) -> str:
        """Return why a cord cannot be called now; empty if it can."""
        if self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            return STOP_REASON
        missing = sorted(self.calls.find_sources(cord) - self._responses.keys())
        return f"its example needs the response of {missing[0]}, which is missing" if missing else ""

    def _get_response(self, name: str) -> HttpResponse:
        return self._responses.get(name, HttpResponse(status=0))


def count_results(results: Sequence[RouteResult]) -> Mapping[ResultKind, int]:
    """Return how many results there are of each kind."""
    kinds: tuple[ResultKind, ...] = ("equal", "different", "failed", "not called")
    return {kind: sum(result.kind == kind for result in results) for kind in kinds}


def _key_of_cord(cord: PlannedCord) -> tuple[str, bool]:
    return cord.name, cord.stream


def _key_of_route(route: RouteRecord) -> tuple[str, bool]:
    return route.name, route.stream


def _find_broken_stream(response: HttpResponse) -> str:
    """Return the error with which a stream ended, or an empty text."""
    tail = response.body[-LONGEST_LAST_EVENT_BYTES:]
    error = parse_stream_error(tail) if response.media_type == EVENTS else None
    return f"the stream ended with an error: {error}" if error is not None else ""


def _compare(name: str, route: RouteRecord, response: HttpResponse, *, has_same_example: bool) -> RouteResult:
    """Compare content if it is deterministic and the call is the recorded one, else status, media type and shape."""
    is_content_compared = route.is_deterministic and has_same_example
    differences = [*islice(_find_differences(route, response, is_content_compared), _MAX_NAMED_DIFFERENCES)]
    return RouteResult(
        name=name,
        kind="different" if differences else "equal",
        message="; ".join(differences) or _describe_equality(route, response, is_content_compared, has_same_example),
        stream=route.stream,
        response=response,
        evidence=_excerpt_text(response) if differences else "",
    )


def _describe_equality(
    route: RouteRecord, response: HttpResponse, is_content_compared: bool, has_same_example: bool
) -> str:
    if is_content_compared:
        return "same bytes" if _hash(response.body) == route.body else "same content"
    cause = "the service responds differently each time" if has_same_example else "its example contains a response"
    return f"same {'media type' if route.shape is None else 'shape'}; {cause}"


def _excerpt_text(response: HttpResponse) -> str:
    is_binary = parse_content(response.content_type, response.body).kind == "binary"
    return "" if is_binary and response.media_type != EVENTS else response.excerpt


def _find_differences(route: RouteRecord, response: HttpResponse, is_content_compared: bool) -> Iterator[str]:
    """Yield what differs from the record, the most general first. The status is 200 on both sides."""
    if response.media_type not in route.media_types:
        yield f"{route.media_types[0] or 'no media type'} became {response.media_type or 'no media type'}"
        return
    if is_content_compared:
        if _hash(normalize_content(response)) != route.content:
            yield from _describe_other_content(route, response)
        return
    is_json, value = parse_json(response.body)
    if route.shape is not None:
        yield from find_shape_differences(route.shape, value) if is_json else ["JSON became something else"]
    elif bool(response.body.strip()) != bool(route.size):
        yield f"{route.size} bytes became {len(response.body)}"


def _describe_other_content(route: RouteRecord, response: HttpResponse) -> Iterator[str]:
    """Yield where a deterministic response differs: its shape, else the values if the record has the body."""
    is_json, value = parse_json(response.body)
    shape = find_shape_differences(route.shape, value) if route.shape is not None and is_json else iter(())
    if shape_differences := [*islice(shape, _MAX_NAMED_DIFFERENCES)]:
        yield from shape_differences
        return
    size = f"{route.size} bytes became {len(response.body)}" if route.size != len(response.body) else "same size"
    yield f"the content differs from the recorded response ({size})"
    is_kept, recorded = parse_json(_decode_kept_body(route))
    if is_json and is_kept and (paths := _list_differing_paths(value, recorded)):
        yield f"different values at {', '.join(paths)}"


def _list_differing_paths(value: Any, recorded: Any) -> list[str]:
    """Return the first paths at which two values differ; empty if they differ as a whole, or are nested too deeply."""
    with contextlib.suppress(RecursionError):
        return [*islice(filter(None, find_differing_paths(value, recorded)), _MAX_NAMED_DIFFERENCES)]
    return []


def _decode_kept_body(route: RouteRecord) -> bytes:
    if route.kept_body is None:
        return b""
    return base64.b64decode(route.kept_body) if route.is_base64 else route.kept_body.encode()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
