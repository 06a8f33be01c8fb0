"""Two answers to one request → a verdict. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from typing import Any

EVENTS = "text/event-stream"
_NAMED_PLACES = 4


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One answer: its status (0: none came, and ``problem`` says why), media type, bytes, and the seconds that it took."""

    status: int
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    seconds: float = 0.0
    problem: str = ""

    @property
    def kind(self) -> str:
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

    good: bool
    words: str
    evidence: str = ""


def compare(through: Exchange, direct: Exchange, again: Exchange, *, stream: bool) -> Verdict:
    """The verdict on the platform's answer ``through``, beside the service's own two answers to the same request."""
    if direct.problem:
        return Verdict(good=False, words="the service cannot be reached", evidence=direct.problem)
    if direct.status >= 500 and direct.status != HTTPStatus.NOT_IMPLEMENTED:
        return Verdict(good=False, words=f"the service itself fails: {direct.status}", evidence=_quoted(direct))
    if through.problem:
        return Verdict(good=False, words="the platform's answer broke off", evidence=through.problem)
    if through.status == 400 and _refusal(through) == direct.status:
        return Verdict(good=True, words=f"refused alike: {direct.status}")
    if through.status != 200:
        return Verdict(good=False, words=f"{direct.status} becomes {through.status}", evidence=_quoted(through))
    if direct.status >= 300:
        return Verdict(good=True, words=f"not comparable: asked again, the service says {direct.status}")
    return _same_answer(through, direct, again, stream=stream)


def _refusal(through: Exchange) -> int | None:
    """The service's status that a 400 of the gateway tells about, in the platform's own words around it or without."""
    told = through.json()
    while isinstance(told, Mapping) and "detail" in told:
        told = told["detail"]
        told = _parsed(told) if isinstance(told, str) else told
    status = told.get("status") if isinstance(told, Mapping) else None
    return status if isinstance(status, int) else None


def _parsed(text: str) -> Any:
    """JSON in a text that may begin with the platform's own words."""
    start = text.find("{")
    try:
        return json.loads(text[start:]) if start >= 0 else None
    except ValueError:
        return None


def _same_answer(through: Exchange, direct: Exchange, again: Exchange, *, stream: bool) -> Verdict:
    if stream:
        return _same_stream(through, direct, again)
    if not direct.body:
        told = through.json()
        good = isinstance(told, Mapping) and told.get("status") == direct.status
        return Verdict(good=good, words="empty, told as its status" if good else "an empty answer came as another")
    if through.kind != direct.kind:
        words = f"{direct.kind or 'no media type'} became {through.kind or 'no media type'}"
        return Verdict(good=False, words=words, evidence=_quoted(through))
    if through.body == direct.body:
        return Verdict(good=True, words="same bytes")
    if direct.json() is not None and through.json() == direct.json():
        return Verdict(good=True, words="same JSON")
    return _changing(through, direct, again)


def _changing(through: Exchange, direct: Exchange, again: Exchange) -> Verdict:
    """The service may say something else each time: then its own answers differ, and ours must have their shape."""
    if direct.body == again.body and direct.status == again.status:
        return Verdict(
            good=False,
            words="another answer than the service's own",
            evidence=_differences(through, direct) + _quoted(through),
        )
    if direct.json() is not None and _shape(through.json()) != _shape(direct.json()):
        return Verdict(good=False, words="another shape than the service's own", evidence=_quoted(through))
    return Verdict(good=True, words="same kind; the service answers differently each time")


def _same_stream(through: Exchange, direct: Exchange, again: Exchange) -> Verdict:
    if through.kind != EVENTS:
        return Verdict(good=False, words=f"a stream came as {through.kind}", evidence=_quoted(through))
    if not through.body.strip():
        return Verdict(good=not direct.body.strip(), words="an empty stream")
    if direct.kind != EVENTS:
        return Verdict(good=True, words="streamed as events")
    if _events(through) == _events(direct):
        return Verdict(good=True, words="same events")
    return _changing(through, direct, again)


def _events(exchange: Exchange) -> list[bytes]:
    return [line.rstrip() for line in exchange.body.splitlines() if line.strip()]


def _differences(through: Exchange, direct: Exchange) -> str:
    """A line that names where two JSON answers differ, the first of the places; empty where there is nothing to name."""
    found = [*islice(_places(through.json(), direct.json()), _NAMED_PLACES)]
    if not all(found):  # the answers as a whole
        return ""
    return f"differs in {', '.join(found)}: no harm where that only repeats a call's headers or address\n"


def _places(one: Any, other: Any, place: str = "") -> Iterator[str]:
    """Where two values differ, as in ``headers.Host``; the empty string for all of it."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from _places(one.get(key), other.get(key), f"{place}.{key}" if place else key)
    elif one != other:
        yield place


def _shape(value: Any) -> Any:
    """Keys and types, without what is in them; of a list that of its first item."""
    if isinstance(value, dict):
        return {key: _shape(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


def _quoted(exchange: Exchange) -> str:
    return exchange.body[:500].decode("utf-8", "replace")
