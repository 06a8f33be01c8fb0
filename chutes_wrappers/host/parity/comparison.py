"""Two answers to one request → a verdict. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from typing import Any

EVENTS = "text/event-stream"
_MAX_NAMED_PATHS = 4


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """One answer: its status (0: none came, and ``problem`` says why), media type, bytes, and the seconds that it took."""

    status: int
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    seconds: float = 0.0
    problem: str = ""

    @property
    def media_type(self) -> str:
        """The media type without its parameters."""
        return self.content_type.partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a call may go to Chutes as it is, in a few words, and what to look at when it may not."""

    is_good: bool
    message: str
    evidence: str = ""


def compare(platform: HttpResponse, service: HttpResponse, repeated: HttpResponse, *, stream: bool) -> Verdict:
    """The verdict on the platform's answer ``through``, beside the service's own two answers to the same request."""
    if service.problem:
        return Verdict(is_good=False, message="the service cannot be reached", evidence=service.problem)
    if service.status >= 500 and service.status != HTTPStatus.NOT_IMPLEMENTED:
        return Verdict(
            is_good=False, message=f"the service itself fails: {service.status}", evidence=_quote_body(service)
        )
    if platform.problem:
        return Verdict(is_good=False, message="the platform's answer broke off", evidence=platform.problem)
    if platform.status == 400 and _find_service_status(platform) == service.status:
        return Verdict(is_good=True, message=f"refused alike: {service.status}")
    if platform.status != 200:
        return Verdict(
            is_good=False, message=f"{service.status} becomes {platform.status}", evidence=_quote_body(platform)
        )
    if service.status >= 300:
        return Verdict(is_good=True, message=f"not comparable: asked again, the service says {service.status}")
    return _compare_contents(platform, service, repeated, stream=stream)


def _find_service_status(response: HttpResponse) -> int | None:
    """The service's status that a 400 of the gateway tells about, in the platform's own words around it or without."""
    payload = response.json()
    while isinstance(payload, Mapping) and "detail" in payload:
        payload = payload["detail"]
        payload = _parse_embedded_json(payload) if isinstance(payload, str) else payload
    status = payload.get("status") if isinstance(payload, Mapping) else None
    return status if isinstance(status, int) else None


def _parse_embedded_json(text: str) -> Any:
    """JSON in a text that may begin with the platform's own words."""
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
    if not service.body:
        payload = platform.json()
        is_good = isinstance(payload, Mapping) and payload.get("status") == service.status
        return Verdict(
            is_good=is_good, message="empty, told as its status" if is_good else "an empty answer came as another"
        )
    if platform.media_type != service.media_type:
        message = f"{service.media_type or 'no media type'} became {platform.media_type or 'no media type'}"
        return Verdict(is_good=False, message=message, evidence=_quote_body(platform))
    if platform.body == service.body:
        return Verdict(is_good=True, message="same bytes")
    if service.json() is not None and platform.json() == service.json():
        return Verdict(is_good=True, message="same JSON")
    return _compare_shapes(platform, service, repeated)


def _compare_shapes(platform: HttpResponse, service: HttpResponse, repeated: HttpResponse) -> Verdict:
    """The service may say something else each time: then its own answers differ, and ours must have their shape."""
    if service.body == repeated.body and service.status == repeated.status:
        return Verdict(
            is_good=False,
            message="another answer than the service's own",
            evidence=_format_differences(platform, service) + _quote_body(platform),
        )
    if service.json() is not None and _shape_of(platform.json()) != _shape_of(service.json()):
        return Verdict(is_good=False, message="another shape than the service's own", evidence=_quote_body(platform))
    return Verdict(is_good=True, message="same kind; the service answers differently each time")


def _compare_streams(platform: HttpResponse, service: HttpResponse, repeated: HttpResponse) -> Verdict:
    if platform.media_type != EVENTS:
        return Verdict(is_good=False, message=f"a stream came as {platform.media_type}", evidence=_quote_body(platform))
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
    """A line that names where two JSON answers differ, the first of the places; empty where there is nothing to name."""
    paths = [*islice(_find_differing_paths(platform.json(), service.json()), _MAX_NAMED_PATHS)]
    if not all(paths):  # the answers as a whole
        return ""
    return f"differs in {', '.join(paths)}: no harm where that only repeats a call's headers or address\n"


def _find_differing_paths(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where two values differ, as in ``headers.Host``; the empty string for all of it."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from _find_differing_paths(one.get(key), other.get(key), f"{path}.{key}" if path else key)
    elif one != other:
        yield path


def _shape_of(value: Any) -> Any:
    """Keys and types, without what is in them; of a list that of its first item."""
    if isinstance(value, dict):
        return {key: _shape_of(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_shape_of(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


def _quote_body(response: HttpResponse) -> str:
    return response.body[:500].decode("utf-8", "replace")
