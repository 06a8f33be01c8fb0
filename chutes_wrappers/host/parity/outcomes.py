"""The outcome of one route's calls: the verdict on its responses, and what to change if it fails. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.routes import STREAM_SWITCH
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.modules.module_checks import CheckRule
from chutes_wrappers.host.parity.comparison import (
    EVENTS,
    HttpResponse,
    Verdict,
    compare,
    find_service_status,
    normalize_content,
)
from chutes_wrappers.host.parity.example_calls import PublicCall

NOT_CALLED = HttpResponse(status=0)
SERVICE_ENDED = "the service ended during this call"
EXCUSED = "excused by CHUTE_CHECKS"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one route. ``encoding`` names the body's encoding, and whether the response is streamed.

    ``response`` is what the client received. ``fix`` is what to change in the route, empty if the route is not the cause.
    ``cord`` is None for a cord of the module itself. ``service_response`` is the service's to the same ``request``, None
    when it was not sent; with ``has_same_content`` the service returned the same content. ``is_excused``: the module says
    that the route is not to be called.
    """

    call: PublicCall
    encoding: str
    response: HttpResponse
    verdict: Verdict
    fix: str = ""
    cord: PlannedCord | None = None
    request: DirectRequest | None = None
    service_response: HttpResponse | None = None
    has_same_content: bool = False
    is_excused: bool = False

    @property
    def name(self) -> str:
        """Public method and path."""
        return f"{self.call.method} {self.call.path}"

    @property
    def has_service_failed(self) -> bool:
        """Whether the service itself failed when it was called directly: a 5xx, or no complete response."""
        service = self.service_response
        return service is not None and (service.status >= 500 or service.problem_kind == "broken")

    @property
    def service_status(self) -> int | None:
        """The status of the service's response, None without one."""
        return self.service_response.status if self.service_response is not None else None


def build_outcome(
    cord: PlannedCord,
    call: PublicCall,
    *,
    verdict: Verdict,
    response: HttpResponse = NOT_CALLED,
    request: DirectRequest | None = None,
    service: HttpResponse | None = None,
    is_excused: bool = False,
) -> Outcome:
    """Return the outcome of a cord's ``call`` with this ``verdict``; ``service`` is the response to the direct ``request``."""
    return Outcome(
        call=call,
        encoding=_describe_encoding(cord),
        response=response,
        verdict=verdict,
        fix=_suggest_fix(cord, service) if verdict.kind == "failing" else "",
        cord=cord,
        request=request,
        service_response=service,
        has_same_content=service is not None and response.status == 200 and _has_same_content(response, service),
        is_excused=is_excused,
    )


def may_depend_on_time(response: HttpResponse, service: HttpResponse) -> bool:
    """Return whether a second request to the service may explain a difference: it has changed, or the first call changed it."""
    if response.problem:
        return False
    passed_status = find_service_status(response) if response.status == 400 else None
    return response.status == 200 or passed_status not in (None, service.status)


def judge_own_response(response: HttpResponse, rule: CheckRule) -> Verdict:
    """Judge a response of a cord of the module itself, which has no service to compare with."""
    if response.status == 200:
        return Verdict(kind="proven", message="handled by the module itself")
    if response.problem_kind == "timeout":
        return Verdict(kind="not proven", message="no response in time", evidence=response.problem)
    is_refusal = 400 <= response.status < 500
    if rule.status is not None and rule.status == response.status:
        return Verdict(kind="proven", message=f"handled by the module itself: {response.status}")
    return Verdict(
        kind="not proven" if is_refusal else "failing",
        message=f"the module's own cord responded {response.status or response.problem}",
        evidence=response.excerpt,
    )


def compare_responses(
    cord: PlannedCord,
    response: HttpResponse,
    service: HttpResponse,
    repeated: HttpResponse | None,
    expected: int | None,
) -> Verdict:
    """Compare the responses of a cord as ``comparison.compare`` does, whichever of two cords on one path was used."""
    if cord.route.stream == STREAM_SWITCH and not cord.stream and response.media_type == EVENTS:
        # Of two cords on one path the platform uses the streaming one: its media type, our body (PLATFORM.md, section 3).
        plain = replace(response, content_type=service.content_type)
        verdict = compare(plain, service, repeated, stream=False, expected=expected)
        return replace(verdict, message=f"{verdict.message}, as {EVENTS}")
    return compare(response, service, repeated, stream=cord.stream, expected=expected)


def judge_gradio_response(response: HttpResponse) -> Verdict:
    """Judge a response of a Gradio app, which has another protocol: its responses are not compared."""
    if response.status == 200:
        return Verdict(kind="proven", message="the app responded")
    if response.problem_kind == "timeout":
        return Verdict(kind="not proven", message="no response in time", evidence=response.problem)
    if response.status == 400:
        return Verdict(kind="not proven", message="the app refused the example", evidence=response.excerpt)
    return Verdict(kind="failing", message=f"the app's response became {response.status}", evidence=response.excerpt)


def _has_same_content(response: HttpResponse, service: HttpResponse) -> bool:
    if response.is_cut or service.is_cut:
        return False
    # An empty response arrives as JSON with its status.
    return not service.body or normalize_content(response) == normalize_content(service)


def _suggest_fix(cord: PlannedCord, service: HttpResponse | None) -> str:
    if cord.route.native:
        return 'the SDK\'s own passthrough supports only JSON requests and responses: remove "native" from the route'
    if service is not None and service.is_cut and not cord.stream:
        if service.media_type == EVENTS:
            return f"say that its response is a stream; then the events arrive as they are produced:\n    {_format_stream(cord)}"
        name = cord.name
        return (
            f"only the tunnel carries a {service.media_type} without an end. Add it, and excuse the route:\n"
            "    register_tunnel(chute, SERVICE_PORTS)\n"
            f'    CHUTE_CHECKS = {{"{name}": {{"skip": "it has no end, and is used through the tunnel"}}}}'
        )
    return ""


def _format_stream(cord: PlannedCord) -> str:
    """Return the line of a module that makes the route of ``cord`` a stream."""
    route = cord.route
    target = {"target_path": route.target_path} if route.target_path != route.path else {}
    method = {"target_method": route.target_method} if route.target_method else {}
    fields = {"path": route.path, "method": route.method, **target, **method}
    return f'CHUTE_STATIC_ROUTES = [{{{json.dumps(fields)[1:-1]}, "stream": True}}]'


def _describe_encoding(cord: PlannedCord) -> str:
    route = cord.route
    if route.native:
        return "JSON, by the SDK's passthrough"
    kind = "Gradio" if route.gradio else route.request_format.encoding
    encoding = "query" if kind in ("json", "none") and cord.public_method in BODILESS_METHODS else kind
    return f"{encoding}, streamed" if cord.stream else encoding
