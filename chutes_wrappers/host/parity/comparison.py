"""Comparison of the platform's response with the service's own: a verdict. Pure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from typing import Any

from chutes_wrappers.host.parity.response_shapes import describe_shape, find_shape_differences

EVENTS = "text/event-stream"
_MAX_NAMED_PATHS = 4


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """A response, and its duration in seconds. Status 0 means that there was none, for the reason in ``problem``."""

    status: int
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    seconds: float = 0.0
    problem: str = ""

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


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a route works on Chutes unchanged, in a short message, with evidence when it does not."""

    is_good: bool
    message: str
    evidence: str = ""


def compare(platform: HttpResponse, service: HttpResponse, repeated: HttpResponse, *, stream: bool) -> Verdict:
    """Return the verdict on the platform's response, compared with two responses of the service to the same request.

    Of the headers only the media type is compared.
    """
    try:
        return _compare_responses(platform, service, repeated, stream=stream)
    except RecursionError:
        return Verdict(
            is_good=False, message="the responses are nested too deeply to compare", evidence=platform.excerpt
        )


def _compare_responses(
    platform: HttpResponse, service: HttpResponse, repeated: HttpResponse, *, stream: bool
) -> Verdict:
    if service.problem:
        return Verdict(is_good=False, message="the service is not reachable", evidence=service.problem)
    if service.status >= 500 and service.status != HTTPStatus.NOT_IMPLEMENTED:
        return Verdict(is_good=False, message=f"the service itself failed: {service.status}", evidence=service.excerpt)
    if platform.problem:
        return Verdict(is_good=False, message="the platform's response was interrupted", evidence=platform.problem)
    if platform.status == 400 and _find_service_status(platform) == service.status:
        return Verdict(is_good=True, message=f"same error status: {service.status}")
    if platform.status != 200:
        return Verdict(
            is_good=False, message=f"status {service.status} became {platform.status}", evidence=platform.excerpt
        )
    if service.status >= 300:
        return Verdict(
            is_good=True, message=f"not comparable: the service responded {service.status} to the second request"
        )
    return _compare_contents(platform, service, repeated, stream=stream)


def _find_service_status(response: HttpResponse) -> int | None:
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
    platform: HttpResponse, service: HttpResponse, repeated: HttpResponse, *, stream: bool
) -> Verdict:
    if stream:
        return _compare_streams(platform, service, repeated)
    if not service.body and not platform.body:  # a HEAD: any other empty response arrives as JSON with its status
        return Verdict(is_good=True, message="no body, as for HEAD")
    if not service.body:
        payload = platform.json()
        is_good = isinstance(payload, Mapping) and payload.get("status") == service.status
        return Verdict(
            is_good=is_good,
            message="empty, returned as its status" if is_good else "an empty response became another one",
        )
    if platform.media_type != service.media_type:
        message = f"{service.media_type or 'no media type'} became {platform.media_type or 'no media type'}"
        return Verdict(is_good=False, message=message, evidence=platform.excerpt)
    if platform.body == service.body:
        return Verdict(is_good=True, message="same bytes")
    if service.json() is not None and platform.json() == service.json():
        return Verdict(is_good=True, message="same JSON")
    return _compare_shapes(platform, service, repeated)


def _compare_shapes(platform: HttpResponse, service: HttpResponse, repeated: HttpResponse) -> Verdict:
    """If the service's own responses differ, the platform's must only have their shape, or their media type if not JSON."""
    if service.body == repeated.body and service.status == repeated.status:
        return Verdict(
            is_good=False,
            message="the response differs from the service's own",
            evidence=_format_differences(platform, service) + platform.excerpt,
        )
    if service.json() is None:
        return Verdict(is_good=True, message="same media type; the service responds differently each time")
    differences = [*islice(find_shape_differences(describe_shape(service.json()), platform.json()), _MAX_NAMED_PATHS)]
    if differences:
        evidence = "\n".join([*differences, platform.excerpt])
        return Verdict(is_good=False, message="the response's shape differs from the service's own", evidence=evidence)
    return Verdict(is_good=True, message="same shape; the service responds differently each time")


def _compare_streams(platform: HttpResponse, service: HttpResponse, repeated: HttpResponse) -> Verdict:
    if platform.media_type != EVENTS:
        return Verdict(is_good=False, message=f"a stream became {platform.media_type}", evidence=platform.excerpt)
    if not platform.body.strip():
        return Verdict(is_good=not service.body.strip(), message="an empty stream")
    if service.media_type != EVENTS:
        return Verdict(is_good=True, message="streamed as events")
    if _parse_events(platform) == _parse_events(service):
        return Verdict(is_good=True, message="same events")
    return _compare_shapes(platform, service, repeated)


def _parse_events(response: HttpResponse) -> list[bytes]:
    return [line.rstrip() for line in response.body.splitlines() if line.strip()]


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
