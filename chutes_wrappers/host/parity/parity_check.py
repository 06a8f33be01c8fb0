"""The parity check: each route is called at the service, then through the platform, and the responses are compared."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from http import HTTPStatus
from typing import Any

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.discovery.readiness_paths import NONEXISTENT_PATH
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.modules.module_checks import NO_RULE, CheckRule, CheckRules
from chutes_wrappers.host.modules.module_examples import MissingValue
from chutes_wrappers.host.parity.call_order import may_end_service, may_run_beside_others, sort_by_need
from chutes_wrappers.host.parity.comparison import (
    ENDLESS_TYPES,
    HttpResponse,
    Verdict,
    find_service_status,
    is_service_failure,
    judge_service,
)
from chutes_wrappers.host.parity.example_calls import ExampleCalls, PublicCall
from chutes_wrappers.host.parity.made_up_credentials import DENIED_STATUSES, build_credentials, find_made_up
from chutes_wrappers.host.parity.outcomes import (
    EXCUSED,
    NOT_CALLED,
    SERVICE_ENDED,
    Outcome,
    build_outcome,
    compare_responses,
    judge_gradio_response,
    judge_own_response,
    may_depend_on_time,
)
from chutes_wrappers.host.parity.varied_calls import is_conflict, vary_example
from chutes_wrappers.runtime.call_errors import CallFailed

_OWN = "the module's own"
CALL_TIMEOUT_S = 30.0
# A response without an end cannot arrive as a complete one: that shows within this time.
_ENDLESS_CALL_S = 10.0
# A service ends some time after its response to the call that ends it.
_LONGEST_END_S = 2.0
_BREAK_S = 1.0
_END_POLL_S = 0.2
# Statuses of a service that lacks something in the request.
_INVALID = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
_ANY_PATH = "the service returns this page for any path"


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """The two ends that calls are sent to, each within seconds: the platform, and the service in the same instance.

    Of a stream that may have no end only the beginning is read, but ``read_service`` reads the service's to its end.
    ``build_request`` returns the direct request for a cord's public example. ``restart_service`` starts the service again
    for a reason; ``is_listening`` returns whether it accepts connections on a port. All are called from several threads.
    """

    call_platform: Callable[[PublicCall, float], HttpResponse]
    call_service: Callable[[DirectRequest, float], HttpResponse]
    read_service: Callable[[DirectRequest, float], HttpResponse]
    build_request: Callable[[PlannedCord, Mapping[str, Any]], DirectRequest]
    is_listening: Callable[[int], bool]
    restart_service: Callable[[str], None]


@dataclass(kw_only=True)
class ParityCheck:
    """Calls every cord of ``calls`` once, and ``module_cords`` (method and path), which have no service to compare with.

    ``rules`` are the module's CHUTE_CHECKS. ``report_call`` gets the number of the call, the number of all, and its name.
    Up to ``parallel_calls`` routes that only read are called at the same time.
    """

    calls: ExampleCalls
    exchange: Exchange
    rules: CheckRules = field(default_factory=dict)
    module_cords: Sequence[tuple[str, str]] = ()
    report_call: Callable[[int, int, str], None] = lambda number, total, name: None
    parallel_calls: int = 1
    _outcomes: dict[int, Outcome] = field(default_factory=dict)
    _responses: dict[str, HttpResponse] = field(default_factory=dict)
    _service_responses: dict[str, HttpResponse] = field(default_factory=dict)
    _requests: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _service_requests: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _refused_credentials: set[tuple[int | str, ...]] = field(default_factory=set)
    _called_names: set[str] = field(default_factory=set)
    _running: dict[str, int] = field(default_factory=dict)
    _last_called: PlannedCord | None = None

    @cached_property
    def _ordered_cords(self) -> list[PlannedCord]:
        return sort_by_need(self.calls.sort_cords(), self._find_needed)

    @property
    def total(self) -> int:
        """The number of routes to call."""
        return len(self.calls.cords) + len(self.module_cords)

    def list_outcomes(self) -> list[Outcome]:
        """Return the outcomes so far, in the order of the module's routes; also after a run that was interrupted."""
        numbers = [*map(id, self.calls.cords), *range(-len(self.module_cords), 0)]
        return [self._outcomes[number] for number in numbers if number in self._outcomes]

    def run(self) -> list[Outcome]:
        """Call all routes and return their outcomes.

        Raises ConfigurationError for a file of an example that cannot be read.
        """
        for batch in self._iterate_batches():
            if len(batch) > 1:
                self._run_parallel(batch)
            for cord in batch:
                if id(cord) not in self._outcomes:
                    self._keep(cord, self._check_cord(cord))
        for number, (method, path) in enumerate(self.module_cords, start=-len(self.module_cords)):
            self._outcomes[number] = self._check_module_cord(method, path)
        self._withdraw_pages()
        return self.list_outcomes()

    def _withdraw_pages(self) -> None:
        """Change the outcomes of pages that the service returns for any path, as web interfaces do: they prove no route."""
        pages: dict[int, HttpResponse] = {}
        for number, outcome in self._outcomes.items():
            request, page = outcome.request, outcome.service_response
            if request is None or page is None or page.media_type != "text/html" or not outcome.verdict.is_proven:
                continue
            if request.target.partition("?")[0] == "/" or self.rules.get(outcome.name, NO_RULE).status is not None:
                continue
            if request.port not in pages:
                unknown = DirectRequest(port=request.port, method="GET", target=NONEXISTENT_PATH)
                pages[request.port] = self.exchange.call_service(unknown, CALL_TIMEOUT_S)
            if (pages[request.port].status, pages[request.port].body) == (page.status, page.body):
                verdict = Verdict(kind="not proven", message=_ANY_PATH, evidence=page.excerpt)
                self._outcomes[number] = replace(outcome, verdict=verdict)

    def _iterate_batches(self) -> Iterator[list[PlannedCord]]:
        """Yield the cords without an outcome, in order: those together that only read, and whose sources were called before."""
        batch: list[PlannedCord] = []
        names: set[str] = set()
        for cord in self._ordered_cords:
            if id(cord) in self._outcomes:
                continue
            is_reader = self.parallel_calls > 1 and may_run_beside_others(cord)
            if batch and (not is_reader or names & self._find_needed(cord)):
                yield batch
                batch, names = [], set()
            if is_reader:
                batch.append(cord)
                names.add(cord.name)
            else:
                yield [cord]
        if batch:
            yield batch

    def _run_parallel(self, cords: Sequence[PlannedCord]) -> None:
        """Call ``cords`` at the same time. One during which the service was lost is left for a call of its own."""
        executor = ThreadPoolExecutor(self.parallel_calls, thread_name_prefix="parity")
        try:
            for cord, outcome in zip(cords, executor.map(self._check_cord_alone, cords), strict=True):
                if outcome is not None:
                    self._keep(cord, outcome)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def _check_cord_alone(self, cord: PlannedCord) -> Outcome | None:
        """Return the outcome of a cord that is called beside others; None if the service was lost meanwhile."""
        outcome = self._call_cord(cord)
        self._report_end(outcome.name)
        service = outcome.service_response
        is_lost = service is not None and service.problem_kind in ("unreachable", "broken")
        return None if is_lost or outcome.verdict.kind == "failing" else outcome

    def _keep(self, cord: PlannedCord, outcome: Outcome) -> None:
        self._outcomes[id(cord)] = outcome
        self._responses[outcome.name] = outcome.response
        self._requests[outcome.name] = outcome.call.example
        if outcome.service_response is not None:
            self._service_responses[outcome.name] = outcome.service_response

    def _check_cord(self, cord: PlannedCord) -> Outcome:
        """Return the outcome of a cord that is called alone, and find out whether its call ends the service."""
        outcome = self._call_cord(cord)
        service = outcome.service_response
        if service is not None and service.problem_kind == "unreachable" and self._restart(cord):
            self._blame_last_call(cord)
            outcome = self._call_cord(cord)
            service = outcome.service_response
        self._running.clear()
        self._last_called = cord
        if self._has_ended_with(cord, outcome):
            self._restart(cord)
            self._last_called = None
            return replace(outcome, verdict=Verdict(kind="not proven", message=SERVICE_ENDED), fix="")
        return outcome

    def _has_ended_with(self, cord: PlannedCord, outcome: Outcome) -> bool:
        """Return whether the service has ended by this call, as far as its outcome or its name makes that possible."""
        if outcome.is_excused or outcome.service_response is None:
            return False
        if may_end_service(cord.route.target_path):
            return self._has_ended(cord, _LONGEST_END_S)
        if outcome.service_response.problem_kind == "broken":
            return self._has_ended(cord, _BREAK_S)
        return outcome.verdict.kind == "failing" and self._has_ended(cord, 0.0)

    def _blame_last_call(self, cord: PlannedCord) -> None:
        """Change the outcome of the call before ``cord``: the service was gone after it."""
        last = self._last_called
        if last is not None and last.port == cord.port and id(last) in self._outcomes:
            verdict = Verdict(kind="not proven", message=f"{SERVICE_ENDED}, or soon after it")
            self._outcomes[id(last)] = replace(self._outcomes[id(last)], verdict=verdict)

    def _restart(self, cord: PlannedCord) -> bool:
        """Start the service again if it has ended. Return whether it has."""
        if self.exchange.is_listening(cord.port):
            return False
        name = self._last_called.name if self._last_called is not None else cord.name
        self.exchange.restart_service(f"the service was gone after the call of {name}")
        return True

    def _has_ended(self, cord: PlannedCord, longest_s: float) -> bool:
        """Return whether the service is gone within ``longest_s`` seconds after a call."""
        deadline = time.monotonic() + longest_s
        while self.exchange.is_listening(cord.port):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_END_POLL_S)
        return True

    def _find_required(self, cord: PlannedCord) -> set[str]:
        """Return the names of the routes without whose success a cord cannot be called."""
        after = self._get_rule(cord).after
        return {*self.calls.find_sources(cord), *([after] if after else [])}

    def _find_needed(self, cord: PlannedCord) -> set[str]:
        """Return the names of the routes that come before a cord."""
        return self._find_required(cord) | self.calls.find_story_sources(cord)

    def _has_own_values(self, cord: PlannedCord) -> bool:
        """Return whether the example of a cord has values of other responses, which differ at the service."""
        return bool(self.calls.find_sources(cord) or self.calls.find_story_sources(cord))

    def _get_rule(self, cord: PlannedCord) -> CheckRule:
        return self.rules.get(cord.name, NO_RULE)

    def _report(self, name: str) -> None:
        self._running.setdefault(name, len(self._called_names | {name}))
        self._called_names.add(name)
        self.report_call(len(self._called_names), self.total, name)

    def _report_end(self, name: str) -> None:
        """Report the call that has run for longest, after another one has ended."""
        self._running.pop(name, None)
        if rest := [*self._running.items()]:
            self.report_call(rest[0][1], self.total, rest[0][0])

    def _call_cord(self, cord: PlannedCord) -> Outcome:
        """Call a cord at the service, and through the platform if the service has an example of its response."""
        rule, name = self._get_rule(cord), cord.name
        self._report(name)
        missing = self._find_missing(cord)
        if rule.skip or missing:
            reason = f"{EXCUSED}: {rule.skip}" if rule.skip else f"the response of {missing} is missing"
            call = PublicCall(method=cord.public_method, path=cord.public_path, example={})
            return build_outcome(
                cord, call, verdict=Verdict(kind="not proven", message=reason), is_excused=bool(rule.skip)
            )
        try:
            call = self.calls.build_call(
                cord, lambda source: self._responses.get(source, NOT_CALLED), self._requests.get
            )
        except MissingValue as error:
            call = PublicCall(method=cord.public_method, path=cord.public_path, example={})
            return build_outcome(cord, call, verdict=Verdict(kind="not proven", message=error.what))
        call = replace(call, example=_add_headers(cord, call.example, rule))
        if cord.route.gradio is not None:
            response = self.exchange.call_platform(call, rule.timeout_s or CALL_TIMEOUT_S)
            return build_outcome(cord, call, response=response, verdict=judge_gradio_response(response))
        return self._compare_with_service(cord, call, rule)

    def _find_missing(self, cord: PlannedCord) -> str:
        """Return the first route that must have succeeded before, and has not; empty if all have."""
        needed = sorted(self._find_required(cord))
        return next((name for name in needed if not self._has_succeeded(name)), "")

    def _has_succeeded(self, name: str) -> bool:
        service = self._service_responses.get(name)
        is_success = service is None or 200 <= service.status < 300
        return is_success and self._responses.get(name, NOT_CALLED).status == 200

    def _compare_with_service(self, cord: PlannedCord, call: PublicCall, rule: CheckRule) -> Outcome:
        direct = self._build_direct_example(cord, call, rule)
        try:
            request, service = self._call_service(cord, direct, rule)
        except (CallFailed, WrapperError, ValueError, KeyError, TypeError) as error:
            message = "cannot build a request to the service itself"
            return build_outcome(cord, call, verdict=Verdict(kind="not proven", message=message, evidence=str(error)))
        added = {name: value for name, value in self._service_requests[cord.name].items() if name not in direct}
        call = replace(call, example={**call.example, **added})
        limit_s = rule.timeout_s or CALL_TIMEOUT_S
        refusal = judge_service(service, rule.status)
        if refusal is not None and (service.problem or is_service_failure(service)):
            # Through the platform it would count against the instance, and be sent again.
            return build_outcome(cord, call, verdict=refusal, request=request, service=service)
        if may_end_service(cord.route.target_path) and self._has_ended(cord, _LONGEST_END_S):
            verdict = Verdict(kind="not proven", message=SERVICE_ENDED)
            return build_outcome(cord, call, verdict=verdict, request=request, service=service)
        is_endless = service.is_cut and not cord.stream and service.media_type in ENDLESS_TYPES
        response = self.exchange.call_platform(call, _ENDLESS_CALL_S if is_endless else limit_s + service.seconds)
        if service.is_cut and not cord.stream and response.status == 200:  # it has an end: it only is slow
            service = self.exchange.read_service(request, limit_s)
        if varied := self._vary_refused(cord, call, rule, response, service):
            call = varied
            response = self.exchange.call_platform(call, limit_s + service.seconds)
        verdict = self._judge(cord, call, rule, request, response, service, has_other_values=varied is not None)
        if verdict.kind == "proven" and (names := find_made_up(cord, call.example)):
            verdict = replace(verdict, message=f"{verdict.message}; any {' and '.join(names)} is accepted")
        return build_outcome(cord, call, response=response, verdict=verdict, request=request, service=service)

    def _call_service(
        self, cord: PlannedCord, example: Mapping[str, Any], rule: CheckRule
    ) -> tuple[DirectRequest, HttpResponse]:
        """Call the service itself, and again with what it lacks: credentials, all fields, or an item that it does not have."""
        request, service = self._send_example(cord, example, rule)
        credentials = self._make_up_credentials(cord, example, rule) if service.status in DENIED_STATUSES else {}
        if credentials:
            keyed = {**example, **credentials}
            keyed_request, keyed_service = self._send_example(cord, keyed, rule)
            if keyed_service.status in DENIED_STATUSES:
                self._refused_credentials.add((cord.port, *credentials))
            else:
                example, request, service = keyed, keyed_request, keyed_service
        varied = None
        if rule.status is None and is_conflict(service.status, service) and self._is_made_up(cord):
            varied = vary_example(cord, example, uuid.uuid4().hex[:8])
        elif service.status in _INVALID and rule.status is None:
            varied = self.calls.build_fuller(cord, example)
        if varied is not None:
            request, service = self._send_example(cord, varied, rule)
        self._service_requests[cord.name] = example if varied is None else varied
        return request, service

    def _make_up_credentials(self, cord: PlannedCord, example: Mapping[str, Any], rule: CheckRule) -> dict[str, str]:
        """Return credentials that neither the module nor its rule has; none after the service has refused such once."""
        if rule.status is not None or not self._is_made_up(cord):
            return {}
        known = {*example, *rule.headers, *self.calls.header_names(cord)}
        credentials = build_credentials(cord, known)
        return {} if (cord.port, *credentials) in self._refused_credentials else credentials

    def _send_example(
        self, cord: PlannedCord, example: Mapping[str, Any], rule: CheckRule
    ) -> tuple[DirectRequest, HttpResponse]:
        request = self.exchange.build_request(cord, example)
        request = replace(request, headers=_merge_headers(request.headers, rule.headers))
        return request, self.exchange.call_service(request, rule.timeout_s or CALL_TIMEOUT_S)

    def _vary_refused(
        self, cord: PlannedCord, call: PublicCall, rule: CheckRule, response: HttpResponse, service: HttpResponse
    ) -> PublicCall | None:
        """Return the call of another item if the platform's was refused since the direct call has created it; else None."""
        passed = find_service_status(response) if response.status == HTTPStatus.BAD_REQUEST else None
        is_created = 200 <= service.status < 300 and rule.status is None and self._is_made_up(cord)
        if not is_created or passed is None or not is_conflict(passed, response):
            return None
        varied = vary_example(cord, call.example, uuid.uuid4().hex[:8])
        return replace(call, example=varied) if varied is not None else None

    def _is_made_up(self, cord: PlannedCord) -> bool:
        """Return whether the example of a cord is not the module's."""
        return cord.name not in self.calls.examples

    def _build_direct_example(self, cord: PlannedCord, call: PublicCall, rule: CheckRule) -> Mapping[str, Any]:
        """Return the example for the service; one with the response of another route has the service's own."""
        if not self._has_own_values(cord):
            return call.example
        own = self.calls.build_call(
            cord, lambda source: self._service_responses.get(source, NOT_CALLED), self._service_requests.get
        )
        return _add_headers(cord, own.example, rule)

    def _judge(
        self,
        cord: PlannedCord,
        call: PublicCall,
        rule: CheckRule,
        request: DirectRequest,
        response: HttpResponse,
        service: HttpResponse,
        *,
        has_other_values: bool,
    ) -> Verdict:
        has_own_values = has_other_values or self._has_own_values(cord)
        verdict = compare_responses(cord, response, service, None if has_own_values else service, rule.status)
        if verdict.kind != "failing" or not may_depend_on_time(response, service):
            return verdict
        if has_own_values:
            return self._judge_refused_values(cord, call, rule, response, service) or verdict
        limit_s = rule.timeout_s or CALL_TIMEOUT_S
        repeated = self.exchange.call_service(request, limit_s)
        verdict = compare_responses(cord, response, service, repeated, rule.status)
        is_repeatable = repeated.body == service.body and len(response.body) == len(service.body)
        if verdict.kind != "failing" or response.status != 200 or not is_repeatable:
            return verdict
        # A time in the body may have changed only between the first two requests: then a second call returns the same body.
        again = self.exchange.call_platform(call, limit_s)
        return compare_responses(cord, again, service, repeated, rule.status)

    def _judge_refused_values(
        self, cord: PlannedCord, call: PublicCall, rule: CheckRule, response: HttpResponse, service: HttpResponse
    ) -> Verdict | None:
        """Return the verdict on a refusal through the platform if the service refuses the platform's own values as well."""
        if response.status != HTTPStatus.BAD_REQUEST:
            return None
        request = self.exchange.build_request(cord, call.example)
        repeated = self.exchange.call_service(request, rule.timeout_s or CALL_TIMEOUT_S)
        verdict = compare_responses(cord, response, service, repeated, rule.status)
        return verdict if verdict.kind == "not proven" else None

    def _check_module_cord(self, method: str, path: str) -> Outcome:
        name = f"{method} {path}"
        rule, call = (
            self.rules.get(name, NO_RULE),
            PublicCall(method=method, path=path, example=self.calls.examples.get(name, {})),
        )
        self._report(name)
        if rule.skip:
            verdict = Verdict(kind="not proven", message=f"{EXCUSED}: {rule.skip}")
            return Outcome(call=call, encoding=_OWN, response=NOT_CALLED, verdict=verdict, is_excused=True)
        response = self.exchange.call_platform(call, rule.timeout_s or CALL_TIMEOUT_S)
        return Outcome(call=call, encoding=_OWN, response=response, verdict=judge_own_response(response, rule))


def _add_headers(cord: PlannedCord, example: Mapping[str, Any], rule: CheckRule) -> Mapping[str, Any]:
    """Return the example with the rule's headers that the route declares: a caller of the platform cannot send others."""
    declared = {each.name.lower(): each.name for each in cord.route.parameters if each.place == "header"}
    values = {declared[name.lower()]: text for name, text in rule.headers.items() if name.lower() in declared}
    return {**example, **values}


def find_undeclared_header(cord: PlannedCord, rule: CheckRule) -> str:
    """Return the first header of a rule that no caller of the route can send, since the route does not declare it; or empty."""
    declared = {each.name.lower() for each in cord.route.parameters if each.place == "header"}
    return next((name for name in rule.headers if name.lower() not in declared), "")


def _merge_headers(headers: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    names = {name.lower() for name in others}
    return {**{name: value for name, value in headers.items() if name.lower() not in names}, **others}
