"""The rehearsal itself: each route called through the platform, then at the service, and the two answers compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import STREAM_SWITCH
from chutes_wrappers.host.modules.module_examples import Examples, answers_needed, filled
from chutes_wrappers.host.parity.comparison import EVENTS, Exchange, Verdict, compare
from chutes_wrappers.host.parity.direct_request import DirectRequest, direct_request
from chutes_wrappers.host.parity.schema_examples import example_body
from chutes_wrappers.runtime.call_errors import CallFailed


@dataclass(frozen=True, kw_only=True)
class PublicCall:
    """One call as a client of the chute makes it: a GET's example is its query string, a POST's its JSON body."""

    method: str
    path: str
    example: Mapping[str, Any]

    @property
    def query(self) -> dict[str, str]:
        """The query string of a GET, empty for a POST."""
        fields = self.example if self.method == "GET" else {}
        return {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in fields.items()
        }

    @property
    def fields(self) -> Mapping[str, Any]:
        """The JSON body of a POST, empty for a GET."""
        return {} if self.method == "GET" else self.example


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one route did. ``travels`` names the body's encoding and how the answer comes; ``answer`` is what the client got.

    ``fix`` is what to change where the route itself is at fault, else empty.
    """

    call: PublicCall
    travels: str
    answer: Exchange
    verdict: Verdict
    fix: str = ""

    @property
    def name(self) -> str:
        """Public method and path."""
        return f"{self.call.method} {self.call.path}"


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """Calls every cord of ``cords`` once, and ``own``, the module's own cords (method and path), which have no service to compare with.

    ``through`` makes a call as a client of the platform, ``direct`` a request at the service in the same instance.
    ``examples`` are the module's own (``given.py``), with their files under ``folder``.
    """

    cords: Sequence[PlannedCord]
    through: Callable[[PublicCall], Exchange]
    direct: Callable[[DirectRequest], Exchange]
    examples: Examples
    folder: Path
    own: Sequence[tuple[str, str]] = ()

    def outcomes(self) -> Iterator[Outcome]:
        """The outcome of each cord as it is known: those that need another's answer after it. ConfigurationError as in given.py."""
        answers: dict[str, Exchange] = {}
        for cord in self._in_order():
            outcome = self._outcome(cord, answers)
            answers[outcome.name] = outcome.answer
            yield outcome
        for method, path in self.own:
            yield self._own_outcome(
                PublicCall(method=method, path=path, example=self.examples.get(f"{method} {path}", {}))
            )

    def _own_outcome(self, call: PublicCall) -> Outcome:
        answer = self.through(call)
        words = (
            "answered by the module itself"
            if answer.status == 200
            else f"the module's own cord answers {answer.status}"
        )
        verdict = Verdict(good=answer.status == 200, words=words, evidence=_quoted(answer))
        return Outcome(call=call, travels="the module's own", answer=answer, verdict=verdict)

    def _in_order(self) -> list[PlannedCord]:
        waiting, ordered = list(self.cords), []
        while waiting:
            open_names = {_name(cord) for cord in waiting}
            ready = [cord for cord in waiting if not open_names & set(answers_needed(self.examples.get(_name(cord))))]
            ordered += ready or waiting  # a circle: its answers will be missing, and said so
            waiting = [cord for cord in waiting if ready and cord not in ready]
        return ordered

    def _outcome(self, cord: PlannedCord, answers: Mapping[str, Exchange]) -> Outcome:
        missing: list[str] = []

        def answer_of(name: str) -> Exchange:
            answer = answers.get(name, Exchange(status=0))
            if answer.status != 200:
                missing.append(name)
            return answer

        own = self.examples.get(_name(cord))
        example = example_body(cord.route) if own is None else filled(own, self.folder, answer_of)
        call = PublicCall(method=cord.public_method, path=cord.public_path, example=_switched(cord, example))
        if missing:
            verdict = Verdict(good=False, words=f"the answer of {missing[0]} is missing")
            return Outcome(call=call, travels=_travels(cord), answer=Exchange(status=0), verdict=verdict)
        answer = self.through(call)
        verdict = self._judged(cord, call, answer)
        fix = "" if verdict.good else _fix(cord)
        return Outcome(call=call, travels=_travels(cord), answer=answer, verdict=verdict, fix=fix)

    def _judged(self, cord: PlannedCord, call: PublicCall, answer: Exchange) -> Verdict:
        if cord.route.gradio is not None:
            return _of_gradio(answer)
        try:
            request = direct_request(cord.route, cord.port, call.fields, call.query)
        except (CallFailed, WrapperError, ValueError, KeyError) as error:
            return Verdict(good=False, words="no example can be sent to the service itself", evidence=str(error))
        direct = self.direct(request)
        is_repeated = answer.body == direct.body or direct.status >= 300 or bool(direct.problem)
        again = direct if is_repeated else self.direct(request)
        verdict = _compared(cord, answer, direct, again)
        if verdict.good or is_repeated or direct.body != again.body or len(answer.body) != len(direct.body):
            return verdict
        # A clock in the body may have moved on between the first two calls only: then a second call gets the same body.
        return _compared(cord, self.through(call), direct, again)


def _compared(cord: PlannedCord, answer: Exchange, direct: Exchange, again: Exchange) -> Verdict:
    if cord.route.stream == STREAM_SWITCH and not cord.stream and answer.kind == EVENTS:
        # Of two cords on one path the platform takes the streaming one: its label, our bytes (PLATFORM.md, section 3).
        same = compare(replace(answer, content_type=direct.content_type), direct, again, stream=False)
        return replace(same, words=f"{same.words}, as {EVENTS}")
    return compare(answer, direct, again, stream=cord.stream)


def _of_gradio(answer: Exchange) -> Verdict:
    """Of the app itself there is nothing to compare with: its own protocol is another one."""
    good, evidence = answer.status == 200, _quoted(answer)
    words = "the app answered" if good else f"the app's answer became {answer.status}"
    return Verdict(good=good, words=words, evidence="" if good else evidence)


def _quoted(answer: Exchange) -> str:
    return answer.problem or answer.body[:500].decode("utf-8", "replace")


def _fix(cord: PlannedCord) -> str:
    if cord.route.native:
        return 'the SDK\'s own passthrough carries JSON in and JSON out only: leave "native" out of the route'
    return ""


def _name(cord: PlannedCord) -> str:
    return f"{cord.public_method} {cord.public_path}"


def _switched(cord: PlannedCord, example: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's own ``stream``, where the route has two cords."""
    if cord.route.stream != STREAM_SWITCH:
        return dict(example)
    rest = {name: value for name, value in example.items() if name != "stream"}
    return {**rest, "stream": True} if cord.stream else rest


def _travels(cord: PlannedCord) -> str:
    route = cord.route
    if route.native:
        return "JSON, by the SDK's passthrough"
    kind = "Gradio" if route.gradio else route.request_format.encoding
    there = "query" if kind in ("json", "none") and cord.public_method == "GET" else kind
    return f"{there}, streamed" if cord.stream else there
