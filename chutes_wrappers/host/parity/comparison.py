"""Comparison of the platform's response with the service's own: a verdict. Pure."""

from __future__ import annotations

import codecs
import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import islice
from typing import Any, Literal

from chutes_wrappers.host.parity.response_shapes import describe_shape, find_shape_differences

EVENTS = "text/event-stream"
# Responses of these types may have no end.
ENDLESS_TYPES = frozenset({EVENTS, "multipart/x-mixed-replace"})
STREAM_TYPES = ENDLESS_TYPES | {
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/json-seq",
    "application/stream+json",
}
_MAX_NAMED_PATHS = 4
# RFC 2046, section 5.1.1; in JSON its quotes are escaped.
_BOUNDARY = re.compile(rb"boundary=(?:\\?\")?([\w'()+,./:=?-]{8,70})")
_MAX_BOUNDARIES = 4
# What a response without a media type is (RFC 9110, section 8.3).
_NO_TYPE = "application/octet-stream"
_MOST_READABLE_BYTES = 20_000

# proven: a success at the service, and the same through the platform. not proven: there was no success to compare.
VerdictKind = Literal["proven", "not proven", "failing"]
KINDS: tuple[VerdictKind, ...] = ("proven", "not proven", "failing")
# timeout: no response in time. unreachable: no connection. broken: the connection ended during the call. occupied: the
# instance runs as many calls as it may.
ProblemKind = Literal["", "timeout", "unreachable", "broken", "occupied"]


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """A response, and its duration in seconds. Status 0 means that there was none, for the reason in ``problem``.

    ``is_cut``: the body is only the beginning of a stream, which went on. ``challenge`` is the WWW-Authenticate header.
    """

    status: int
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    seconds: float = 0.0
    problem: str = ""
    problem_kind: ProblemKind = ""
    is_cut: bool = False
    challenge: str = ""

    @property
    def media_type(self) -> str:
        """The media type without its parameters."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def excerpt(self) -> str:
        """The problem, otherwise the beginning of the body as text."""
        return self.problem or self.body[:500].decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as JSON; None when it is not valid JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def is_readable(response: HttpResponse) -> bool:
    """Return whether a person can read the response in a terminal: text or JSON of modest size."""
    media_type = response.media_type
    is_text = media_type.startswith("text/") or media_type.endswith(("json", "+xml", "/xml", "/yaml"))
    return is_text and not response.is_cut and 0 < len(response.body) <= _MOST_READABLE_BYTES


def may_be_endless(content_type: str) -> bool:
    """Return whether a response of this type without a length may go on for ever, as event feeds and logs do."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in STREAM_TYPES or media_type.startswith("text/")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the calls of a route have shown, in a short message, with evidence when it is not proven."""

    kind: VerdictKind
    message: str
    evidence: str = ""

    @property
    def is_proven(self) -> bool:
        """Whether the route was a success at the service, and the same through the platform."""
        return self.kind == "proven"


def compare(
    platform: HttpResponse,
    service: HttpResponse,
    repeated: HttpResponse | None,
    *,
    stream: bool,
    expected: int | None = None,
) -> Verdict:
    """Return the verdict on the platform's response, compared with two responses of the service to the same request.

    ``repeated`` is None if the requests had different values: then only shapes are compared. Of the headers only the media
    type is. ``expected`` is the status that proves the route; None: any success.
    """
    try:
        verdict = judge_service(service, expected)
        if verdict is not None and (is_service_failure(service) or service.problem):
            return verdict
        return _compare_responses(platform, service, repeated, stream=stream, refusal=verdict)
    except RecursionError:
        return Verdict(
            kind="failing", message="the responses are nested too deeply to compare", evidence=platform.excerpt
        )


def judge_service(service: HttpResponse, expected: int | None = None) -> Verdict | None:
    """Return why the service's response to the example proves nothing, or None if it is the ``expected`` one or a success."""
    if service.problem_kind == "timeout":
        return _not_proven("no response in time", service)
    if service.problem_kind == "broken":
        return _not_proven("the service sent no complete response", service)
    if service.problem:
        return _not_proven("the service is not reachable", service)
    if expected is not None:
        if service.status == expected:
            return None
        return _not_proven(f"the service responded {service.status}, and CHUTE_CHECKS expects {expected}", service)
    if is_service_failure(service):
        return _not_proven(f"the service itself failed: {service.status}", service)
    if service.status >= 300:
        return _not_proven(f"the service refused the example: {service.status}", service)
    return None


def is_service_failure(service: HttpResponse) -> bool:
    """Return whether the service failed."""
    return is_failure_status(service.status)


def is_failure_status(status: int) -> bool:
    """Return whether a service with this status failed: a 5xx other than 501, which a healthy service may return."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED


def _not_proven(message: str, response: HttpResponse) -> Verdict:
    return Verdict(kind="not proven", message=message, evidence=response.excerpt)


def _failing(message: str, response: HttpResponse) -> Verdict:
    return Verdict(kind="failing", message=message, evidence=response.excerpt)


def _compare_responses(
    platform: HttpResponse,
    service: HttpResponse,
    repeated: HttpResponse | None,
    *,
    stream: bool,
    refusal: Verdict | None,
) -> Verdict:
    if platform.problem_kind == "timeout":
        return _failing(_describe_missing(service, stream=stream), platform)
    if platform.problem:
        return _failing("the platform's response was interrupted", platform)
    passed_status = find_service_status(platform) if platform.status == 400 else None
    if passed_status is not None and passed_status == service.status:
        return refusal or Verdict(kind="proven", message=f"same status: {service.status}")
    if refusal is not None and platform.status == 200:
        return Verdict(
            kind="not proven",
            message=f"not comparable: the service responded {service.status} to the same request, sent directly",
            evidence=service.excerpt,
        )
    if platform.status != 200:
        if repeated is not None and passed_status == repeated.status != service.status:
            message = f"not comparable: the service responded {repeated.status} to a second request"
            return _not_proven(message, repeated)
        return _failing(f"status {service.status} became {passed_status or platform.status}", platform)
    if service.status >= 300:  # it was expected
        return _failing(f"status {service.status} became {platform.status}", platform)
    return _compare_contents(platform, service, repeated, stream=stream)


def _describe_missing(service: HttpResponse, *, stream: bool) -> str:
    """Return why no response came through the platform in time, although the service's came."""
    if not service.is_cut:
        return f"no response through the platform in time; the service took {service.seconds:.0f} s"
    if stream:
        return "the stream does not arrive while it is produced"
    return f"{service.media_type or 'the response'} has no end, and a call returns only complete responses"


def find_service_status(response: HttpResponse) -> int | None:
    """Return the service's status from a 400 of the gateway, with or without the platform's text around it."""
    payload = response.json()
    while isinstance(payload, Mapping) and "detail" in payload:
        payload = payload["detail"]
        payload = _parse_embedded_json(payload) if isinstance(payload, str) else payload
    status = payload.get("status") if isinstance(payload, Mapping) else None
    return status if isinstance(status, int) else None


def _parse_embedded_json(text: str) -> Any:
    """Parse JSON in a text that may begin with a message of the platform."""
    start = text.find("{")
    try:
        return json.loads(text[start:]) if start >= 0 else None
    except ValueError:
        return None


def _compare_contents(
    platform: HttpResponse, service: HttpResponse, repeated: HttpResponse | None, *, stream: bool
) -> Verdict:
    if stream:
        return _compare_streams(platform, service, repeated)
    if service.is_cut:
        return _failing(_describe_missing(service, stream=False), platform)
    if not service.body and not platform.body:  # a HEAD: any other empty response arrives as JSON with its status
        return Verdict(kind="proven", message="no body, as for HEAD")
    if not service.body:
        payload = platform.json()
        is_good = isinstance(payload, Mapping) and payload.get("status") == service.status
        return Verdict(
            kind="proven" if is_good else "failing",
            message="empty, returned as its status" if is_good else "an empty response became another one",
        )
    if platform.media_type != (service.media_type or _NO_TYPE):
        message = f"{service.media_type or 'no media type'} became {platform.media_type or 'no media type'}"
        return _failing(message, platform)
    if platform.body == service.body:
        return Verdict(kind="proven", message="same bytes")
    if service.json() is not None and platform.json() == service.json():
        return Verdict(kind="proven", message="same JSON")
    return _compare_shapes(platform, service, repeated)


def _compare_shapes(platform: HttpResponse, service: HttpResponse, repeated: HttpResponse | None) -> Verdict:
    """If the service's own responses differ, the platform's must only have their shape, or their media type if not JSON."""
    if _hide_boundaries(platform) == _hide_boundaries(service):
        return Verdict(kind="proven", message="same, but for the boundary of the request's parts")
    if repeated is not None and service.body == repeated.body and service.status == repeated.status:
        return Verdict(
            kind="failing",
            message="the response differs from the service's own",
            evidence=_format_differences(platform, service) + platform.excerpt,
        )
    if service.json() is None:
        return Verdict(kind="proven", message="same media type; the service responds differently each time")
    differences = [*islice(find_shape_differences(describe_shape(service.json()), platform.json()), _MAX_NAMED_PATHS)]
    if differences:
        evidence = "\n".join([*differences, platform.excerpt])
        return Verdict(kind="failing", message="the response's shape differs from the service's own", evidence=evidence)
    return Verdict(kind="proven", message="same shape; the service responds differently each time")


def _hide_boundaries(response: HttpResponse) -> bytes:
    """Return the content without the boundaries of multipart bodies, which differ where a service repeats its request."""
    body = response.body
    for match in islice(_BOUNDARY.finditer(response.body), _MAX_BOUNDARIES):
        body = body.replace(match[1], b"")
    return normalize_content(replace(response, body=body))


def _compare_streams(platform: HttpResponse, service: HttpResponse, repeated: HttpResponse | None) -> Verdict:
    if platform.media_type != EVENTS:
        return _failing(f"a stream became {platform.media_type}", platform)
    if not platform.body.strip():
        kind: VerdictKind = "failing" if service.body.strip() else "proven"
        return Verdict(kind=kind, message="an empty stream")
    if service.media_type != EVENTS:
        return Verdict(kind="proven", message="streamed as events")
    if platform.is_cut or service.is_cut:
        return _compare_beginnings(platform, service, repeated)
    if _parse_events(platform) == _parse_events(service):
        return Verdict(kind="proven", message="same events")
    return _compare_shapes(platform, service, repeated)


def _compare_beginnings(platform: HttpResponse, service: HttpResponse, repeated: HttpResponse | None) -> Verdict:
    """Compare the first events of streams whose end was not awaited."""
    first, shape = _find_first_event(platform), describe_shape(_find_first_event(service))
    differences = [*islice(find_shape_differences(shape, first), _MAX_NAMED_PATHS)]
    is_repeatable = repeated is not None and shape == describe_shape(_find_first_event(repeated))
    if differences and is_repeatable:
        evidence = "\n".join([*differences, platform.excerpt])
        return Verdict(
            kind="failing", message="the first event's shape differs from the service's own", evidence=evidence
        )
    return Verdict(kind="proven", message="same first events, as they are produced")


def _find_first_event(response: HttpResponse) -> Any:
    """Return the data of the first event that has data: its JSON, else its text; None without such an event."""
    lines = _split_lines(response)
    for line in lines[:-1] if response.is_cut else lines:
        name, _, data = line.partition(b":")
        if name == b"data":
            try:
                return json.loads(data)
            except ValueError:
                return data.decode("utf-8", "replace")
    return None


def _parse_events(response: HttpResponse) -> list[bytes]:
    return [line.rstrip() for line in _split_lines(response) if line.strip()]


def _split_lines(response: HttpResponse) -> list[bytes]:
    """Return the lines of an event stream, which has any of three line ends, and may begin with a byte order mark."""
    return response.body.removeprefix(codecs.BOM_UTF8).splitlines()


def _format_differences(platform: HttpResponse, service: HttpResponse) -> str:
    """Return a line with the first paths at which two JSON responses differ; empty if they differ as a whole."""
    paths = [*islice(find_differing_paths(platform.json(), service.json()), _MAX_NAMED_PATHS)]
    if not paths or not all(paths):  # not JSON, or different as a whole
        return ""
    return f"differs in {', '.join(paths)}: harmless if it only repeats the request's headers or address\n"


def find_differing_paths(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Yield the paths at which two values differ, as in ``headers.Host``; the empty string for the whole value."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from find_differing_paths(one.get(key), other.get(key), f"{path}.{key}" if path else key)
    elif one != other:
        yield path


def normalize_content(response: HttpResponse) -> bytes:
    """Return what ``compare`` calls the same: JSON without its formatting and order, the lines of events, else the body."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.dumps(json.loads(response.body), sort_keys=True).encode()
    if response.media_type == EVENTS:
        return b"\n".join(_parse_events(response))
    return response.body
