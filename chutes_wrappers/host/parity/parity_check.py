"""The parity check: each route is called through the platform, then at the service, and the responses are compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.routes import STREAM_SWITCH
from chutes_wrappers.host.modules.module_examples import Examples, find_referenced_routes, resolve_example
from chutes_wrappers.host.parity.comparison import EVENTS, HttpResponse, Verdict, compare
from chutes_wrappers.host.parity.direct_request import DirectRequest, build_direct_request
from chutes_wrappers.host.parity.schema_examples import build_example_body
from chutes_wrappers.runtime.call_errors import CallFailed


@dataclass(frozen=True, kw_only=True)
class PublicCall:
    """A call as a client of the chute makes it. The example is the query string of a GET, or the JSON body of a POST."""

    method: str
    path: str
    example: Mapping[str, Any]

    @property
    def query(self) -> dict[str, str]:
        """The query string of a method without a body, empty for a POST."""
        fields = self.example if self.method in BODILESS_METHODS else {}
        return {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in fields.items()
        }

    @property
    def fields(self) -> Mapping[str, Any]:
        """The JSON body of a POST, empty for a method without a body."""
        return {} if self.method in BODILESS_METHODS else self.example


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one route. ``encoding`` names the body's encoding, and whether the response is streamed.

    ``response`` is what the client received. ``fix`` is what to change in the route, empty if the route is not the cause.
    """

    call: PublicCall
    encoding: str
    response: HttpResponse
    verdict: Verdict
    fix: str = ""

    @property
    def name(self) -> str:
        """Public method and path."""
        return f"{self.call.method} {self.call.path}"


@dataclass(frozen=True, kw_only=True)
class ParityCheck:
    """Calls every cord of ``cords`` once, and ``module_cords`` (method and path), which have no service to compare with.

    ``call_platform`` makes a call as a client of the platform, ``call_service`` a request to the service in the same
    instance. ``examples`` are those of the module (``module_examples.py``), with their files under ``folder``.
    """

    cords: Sequence[PlannedCord]
    call_platform: Callable[[PublicCall], HttpResponse]
    call_service: Callable[[DirectRequest], HttpResponse]
    examples: Examples
    folder: Path
    module_cords: Sequence[tuple[str, str]] = ()

    def run(self) -> Iterator[Outcome]:
        """Yield the outcome of each cord; one that needs the response of another comes after it.

        Raises ConfigurationError for a file of an example that cannot be read.
        """
        responses: dict[str, HttpResponse] = {}
        for cord in self._sort_cords():
            outcome = self._check_cord(cord, responses)
            responses[outcome.name] = outcome.response
            yield outcome
        for method, path in self.module_cords:
            yield self._check_module_cord(
                PublicCall(method=method, path=path, example=self.examples.get(f"{method} {path}", {}))
            )

    def _check_module_cord(self, call: PublicCall) -> Outcome:
        response = self.call_platform(call)
        message = (
            "handled by the module itself"
            if response.status == 200
            else f"the module's own cord responded {response.status}"
        )
        verdict = Verdict(is_good=response.status == 200, message=message, evidence=response.excerpt)
        return Outcome(call=call, encoding="the module's own", response=response, verdict=verdict)

    def _sort_cords(self) -> list[PlannedCord]:
        waiting, ordered = list(self.cords), []
        while waiting:
            open_names = {_format_name(cord) for cord in waiting}
            ready = [
                cord
                for cord in waiting
                if not open_names & set(find_referenced_routes(self.examples.get(_format_name(cord))))
            ]
            ordered += ready or waiting  # a cycle: its responses will be reported as missing
            waiting = [cord for cord in waiting if ready and cord not in ready]
        return ordered

    def _check_cord(self, cord: PlannedCord, responses: Mapping[str, HttpResponse]) -> Outcome:
        missing: list[str] = []

        def get_response(name: str) -> HttpResponse:
            response = responses.get(name, HttpResponse(status=0))
            if response.status != 200:
                missing.append(name)
            return response

        module_example = self.examples.get(_format_name(cord))
        example = (
            build_example_body(cord.route)
            if module_example is None
            else resolve_example(module_example, self.folder, get_response)
        )
        call = PublicCall(method=cord.public_method, path=cord.public_path, example=_set_stream_field(cord, example))
        if missing:
            verdict = Verdict(is_good=False, message=f"the response of {missing[0]} is missing")
            return Outcome(
                call=call, encoding=_describe_encoding(cord), response=HttpResponse(status=0), verdict=verdict
            )
        response = self.call_platform(call)
        verdict = self._judge_response(cord, call, response)
        fix = "" if verdict.is_good else _suggest_fix(cord)
        return Outcome(call=call, encoding=_describe_encoding(cord), response=response, verdict=verdict, fix=fix)

    def _judge_response(self, cord: PlannedCord, call: PublicCall, response: HttpResponse) -> Verdict:
        if cord.route.gradio is not None:
            return _judge_gradio_response(response)
        try:
            request = build_direct_request(cord.route, cord.port, call.fields, call.query)
        except (CallFailed, WrapperError, ValueError, KeyError) as error:
            return Verdict(is_good=False, message="cannot build a request to the service itself", evidence=str(error))
        service_response = self.call_service(request)
        is_repeated = (
            response.body == service_response.body or service_response.status >= 300 or bool(service_response.problem)
        )
        repeated = service_response if is_repeated else self.call_service(request)
        verdict = _compare_responses(cord, response, service_response, repeated)
        if (
            verdict.is_good
            or is_repeated
            or service_response.body != repeated.body
            or len(response.body) != len(service_response.body)
        ):
            return verdict
        # A time in the body may have changed only between the first two requests: then a second call returns the same body.
        return _compare_responses(cord, self.call_platform(call), service_response, repeated)


def _compare_responses(
    cord: PlannedCord, response: HttpResponse, service_response: HttpResponse, repeated: HttpResponse
) -> Verdict:
    if cord.route.stream == STREAM_SWITCH and not cord.stream and response.media_type == EVENTS:
        # Of two cords on one path the platform uses the streaming one: its media type, our body (PLATFORM.md, section 3).
        verdict = compare(
            replace(response, content_type=service_response.content_type), service_response, repeated, stream=False
        )
        return replace(verdict, message=f"{verdict.message}, as {EVENTS}")
    return compare(response, service_response, repeated, stream=cord.stream)


def _judge_gradio_response(response: HttpResponse) -> Verdict:
    """Judge a response of a Gradio app, which has another protocol: there is no response to compare with."""
    if response.status == 200:
        return Verdict(is_good=True, message="the app responded")
    return Verdict(is_good=False, message=f"the app's response became {response.status}", evidence=response.excerpt)


def _suggest_fix(cord: PlannedCord) -> str:
    if cord.route.native:
        return 'the SDK\'s own passthrough supports only JSON requests and responses: remove "native" from the route'
    return ""


def _format_name(cord: PlannedCord) -> str:
    return f"{cord.public_method} {cord.public_path}"


def _set_stream_field(cord: PlannedCord, example: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``example`` with the caller's ``stream`` field, if the route has two cords."""
    if cord.route.stream != STREAM_SWITCH:
        return dict(example)
    rest = {name: value for name, value in example.items() if name != "stream"}
    return {**rest, "stream": True} if cord.stream else rest


def _describe_encoding(cord: PlannedCord) -> str:
    route = cord.route
    if route.native:
        return "JSON, by the SDK's passthrough"
    kind = "Gradio" if route.gradio else route.request_format.encoding
    encoding = "query" if kind in ("json", "none") and cord.public_method in BODILESS_METHODS else kind
    return f"{encoding}, streamed" if cord.stream else encoding
