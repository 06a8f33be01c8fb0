"""The parity check: each route is called through the platform, then at the service, and the responses are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.routes import STREAM_SWITCH
from chutes_wrappers.host.modules.module_examples import Examples
from chutes_wrappers.host.parity.comparison import EVENTS, HttpResponse, Verdict, compare, normalize_content
from chutes_wrappers.host.parity.direct_request import DirectRequest, build_direct_request
from chutes_wrappers.host.parity.example_calls import ExampleCalls, PublicCall
from chutes_wrappers.runtime.call_errors import CallFailed


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one route. ``encoding`` names the body's encoding, and whether the response is streamed.

    ``response`` is what the client received. ``fix`` is what to change in the route, empty if the route is not the cause.
    ``cord`` is None for a cord of the module itself. ``service_status`` is the service's status for the same ``request``, None
    when it was not sent; with ``has_same_content`` the service returned the same content.
    """

    call: PublicCall
    encoding: str
    response: HttpResponse
    verdict: Verdict
    fix: str = ""
    cord: PlannedCord | None = None
    request: DirectRequest | None = None
    service_status: int | None = None
    has_same_content: bool = False

    @property
    def name(self) -> str:
        """Public method and path."""
        return f"{self.call.method} {self.call.path}"


@dataclass(frozen=True, kw_only=True)
class _ServiceExchange:
    """The verdict, and the request to the service itself with its response, if one could be sent."""

    verdict: Verdict
    request: DirectRequest | None = None
    response: HttpResponse | None = None


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
        calls = ExampleCalls(cords=self.cords, examples=self.examples, folder=self.folder)
        for cord in calls.sort_cords():
            outcome = self._check_cord(cord, calls, responses)
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

    def _check_cord(self, cord: PlannedCord, calls: ExampleCalls, responses: Mapping[str, HttpResponse]) -> Outcome:
        missing: list[str] = []

        def get_response(name: str) -> HttpResponse:
            response = responses.get(name, HttpResponse(status=0))
            if response.status != 200:
                missing.append(name)
            return response

        call = calls.build_call(cord, get_response)
        if missing:
            verdict = Verdict(is_good=False, message=f"the response of {missing[0]} is missing")
            return Outcome(
                call=call,
                encoding=_describe_encoding(cord),
                response=HttpResponse(status=0),
                verdict=verdict,
                cord=cord,
            )
        response = self.call_platform(call)
        exchange = self._call_service(cord, call, response)
        service = exchange.response
        return Outcome(
            call=call,
            encoding=_describe_encoding(cord),
            response=response,
            verdict=exchange.verdict,
            fix="" if exchange.verdict.is_good else _suggest_fix(cord),
            cord=cord,
            request=exchange.request,
            service_status=service.status if service is not None else None,
            has_same_content=service is not None and _has_same_content(response, service),
        )

    def _call_service(self, cord: PlannedCord, call: PublicCall, response: HttpResponse) -> _ServiceExchange:
        if cord.route.gradio is not None:
            return _ServiceExchange(verdict=_judge_gradio_response(response))
        try:
            request = build_direct_request(cord.route, cord.port, call.fields, call.query)
        except (CallFailed, WrapperError, ValueError, KeyError) as error:
            verdict = Verdict(
                is_good=False, message="cannot build a request to the service itself", evidence=str(error)
            )
            return _ServiceExchange(verdict=verdict)
        service_response = self.call_service(request)
        verdict = self._judge_response(cord, call, response, request, service_response)
        return _ServiceExchange(verdict=verdict, request=request, response=service_response)

    def _judge_response(
        self,
        cord: PlannedCord,
        call: PublicCall,
        response: HttpResponse,
        request: DirectRequest,
        service_response: HttpResponse,
    ) -> Verdict:
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


def _has_same_content(response: HttpResponse, service_response: HttpResponse) -> bool:
    # An empty response arrives as JSON with its status.
    return not service_response.body or normalize_content(response) == normalize_content(service_response)


def _judge_gradio_response(response: HttpResponse) -> Verdict:
    """Judge a response of a Gradio app, which has another protocol: there is no response to compare with."""
    if response.status == 200:
        return Verdict(is_good=True, message="the app responded")
    return Verdict(is_good=False, message=f"the app's response became {response.status}", evidence=response.excerpt)


def _suggest_fix(cord: PlannedCord) -> str:
    if cord.route.native:
        return 'the SDK\'s own passthrough supports only JSON requests and responses: remove "native" from the route'
    return ""


def _describe_encoding(cord: PlannedCord) -> str:
    route = cord.route
    if route.native:
        return "JSON, by the SDK's passthrough"
    kind = "Gradio" if route.gradio else route.request_format.encoding
    encoding = "query" if kind in ("json", "none") and cord.public_method in BODILESS_METHODS else kind
    return f"{encoding}, streamed" if cord.stream else encoding
