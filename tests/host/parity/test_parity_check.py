"""Parity checks on a real chute: the SDK's own dev run of our cords, in front of a service."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import PlannedCord, plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.modules.module_checks import parse_checks
from chutes_wrappers.host.parity.comparison import EVENTS, HttpResponse, Verdict
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.http_exchange import send_request
from chutes_wrappers.host.parity.outcomes import SERVICE_ENDED, Outcome
from tests.dev_chute import DevChute, dev_chute
from tests.host.parity.scripted_ends import make_check
from tests.upstreams.http_fixture import HttpFixture

FILE_SCHEMA = {"type": "object", "properties": {"sound": {"type": "object"}}, "required": ["sound"]}
ROUTES: list[dict[str, Any]] = [
    {"path": "/form", "request": {"encoding": "multipart", "files": ["sound"]}, "input_schema": FILE_SCHEMA},
    {"path": "/bytes", "method": "GET"},
    {"path": "/answered", "target_path": "/form", "request": {"encoding": "multipart", "files": ["sound"]}},
    {"path": "/events", "method": "GET", "stream": True},
    {"path": "/chat", "stream": True},
    {"path": "/missing", "method": "GET", "target_path": "/status/404"},
    {"path": "/empty", "method": "GET", "target_path": "/status/204"},
    {"path": "/failing", "target_path": "/status/500"},
    {"path": "/native", "method": "GET", "target_path": "/bytes", "native": True},
]
EXAMPLES = {
    "POST /answered": {"sound": {"answer_of": "GET /bytes"}},
    "POST /chat": {"text": "one two three", "stream": True},
}


@pytest.fixture(scope="module")
def chute(service: HttpFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevChute]:
    with dev_chute(tmp_path_factory.mktemp("chute"), ROUTES, service.port) as running:
        yield running


def run_parity_check(chute: DevChute, service: HttpFixture, examples: dict[str, Any]) -> dict[str, Outcome]:
    def call_platform(call: PublicCall, timeout_s: float) -> HttpResponse:
        body = dict(call.example) if call.method == "POST" else None
        response = send_request(call.method, f"{chute.base_url}{call.path}", timeout_s=30, json=body, params=call.query)
        # A dev run leaves out what the platform says of every stream (PLATFORM.md, section 3).
        return response if response.content_type else replace(response, content_type="text/event-stream")

    def call_service(request: DirectRequest, timeout_s: float) -> HttpResponse:
        url = f"http://127.0.0.1:{request.port}{request.target}"
        return send_request(request.method, url, timeout_s=30, data=request.body, headers=dict(request.headers))

    cords = plan_cords(map(Route.model_validate, ROUTES), service.port, expose=["internal"]).cords
    check = make_check(cords, call_platform, call_service, examples=examples)
    return {f"{outcome.name} {outcome.encoding}": outcome for outcome in check.run()}


def plan(*routes: dict[str, Any]) -> Sequence[PlannedCord]:
    return plan_cords(map(Route.model_validate, routes), 9000, expose=["parameters"]).cords


def test_each_route_gets_its_verdict(chute: DevChute, service: HttpFixture) -> None:
    verdicts = {name: outcome.verdict for name, outcome in run_parity_check(chute, service, EXAMPLES).items()}
    assert {name: verdict.message for name, verdict in verdicts.items() if verdict.kind == "proven"} == {
        "POST /form multipart": "same bytes",
        "GET /bytes query": "same bytes",
        "POST /answered multipart": "same bytes",
        "GET /events query, streamed": "same events",
        "POST /chat json, streamed": "same events",
        "GET /empty query": "empty, returned as its status",
    }
    assert {name: verdict.message for name, verdict in verdicts.items() if verdict.kind == "not proven"} == {
        "GET /missing query": "the service refused the example: 404",
        "POST /failing json": "the service itself failed: 500",
    }
    assert verdicts["GET /native JSON, by the SDK's passthrough"].kind == "failing"


def test_a_route_runs_after_the_route_whose_response_it_needs(chute: DevChute, service: HttpFixture) -> None:
    names = [*run_parity_check(chute, service, EXAMPLES)]
    assert names.index("GET /bytes query") < names.index("POST /answered multipart")


def test_a_missing_response_is_named(chute: DevChute, service: HttpFixture) -> None:
    examples = {**EXAMPLES, "POST /answered": {"sound": {"answer_of": "POST /failing"}}}
    outcome = run_parity_check(chute, service, examples)["POST /answered multipart"]
    assert (outcome.verdict.kind, outcome.verdict.message) == ("not proven", "the response of POST /failing is missing")


def test_circular_examples_terminate(chute: DevChute, service: HttpFixture) -> None:
    circle = {
        **EXAMPLES,
        "POST /form": {"sound": {"answer_of": "POST /answered"}},
        "POST /answered": {"sound": {"answer_of": "POST /form"}},
    }
    outcomes = run_parity_check(chute, service, circle)
    assert outcomes["POST /form multipart"].verdict.message == "the response of POST /answered is missing"


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b'{"text":"hi"}', "proven", "same bytes, as text/event-stream"),
        (b'{"text":"ho"}', "failing", "the response differs"),
    ],
)
def test_a_whole_response_on_a_stream_path_may_have_the_media_type_of_events(
    body: bytes, kind: str, message: str
) -> None:
    check = make_check(
        plan({"path": "/talk", "stream": "switch"}),
        lambda call, timeout_s: HttpResponse(status=200, content_type=EVENTS, body=body),
        lambda request, timeout_s: json_response(b'{"text":"hi"}'),
    )
    whole = next(outcome for outcome in check.run() if outcome.encoding == "json")
    assert whole.verdict.kind == kind
    assert message in whole.verdict.message


@pytest.mark.parametrize(
    ("bodies", "kind"),
    [
        ((b'{"created":1}', b'{"created":2}'), "proven"),
        ((b'{"created":1}', b'{"created":1}'), "failing"),
        ((b"{}",), "failing"),
    ],
)
def test_a_clock_that_changes_between_two_calls_is_not_a_difference(bodies: tuple[bytes, ...], kind: str) -> None:
    remaining = iter(bodies)
    check = make_check(
        plan({"path": "/clock", "method": "GET"}),
        lambda call, timeout_s: json_response(next(remaining)),
        lambda request, timeout_s: json_response(b'{"created":2}'),
    )
    (outcome,) = check.run()
    assert (outcome.verdict.kind, list(remaining)) == (kind, [])


def test_routes_that_only_read_are_called_after_what_creates_and_before_what_deletes() -> None:
    called: list[str] = []

    def call_service(request: DirectRequest, timeout_s: float) -> HttpResponse:
        called.append(f"{request.method} {request.target}")
        return json_response(b"{}")

    routes: list[dict[str, Any]] = [
        {"path": "/export", "method": "GET"},
        {"path": "/list", "method": "GET"},
        {"path": "/documents/delete"},
        {"path": "/documents"},
    ]
    make_check(plan(*routes), lambda call, timeout_s: json_response(b"{}"), call_service, parallel_calls=4).run()
    assert (called[0], sorted(called[1:-1]), called[-1]) == (
        "POST /documents", ["GET /export", "GET /list"], "POST /documents/delete",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (HttpResponse(status=500), "the service itself failed: 500"),
        (HttpResponse(status=0, problem="none", problem_kind="timeout"), "no response in time"),
    ],
)
def test_a_call_that_fails_at_the_service_is_not_sent_through_the_platform(
    response: HttpResponse, message: str
) -> None:
    check = make_check(plan({"path": "/a"}), fail_if_called, lambda request, timeout_s: response)
    (outcome,) = check.run()
    assert (outcome.verdict.kind, outcome.verdict.message) == ("not proven", message)


def test_a_call_that_changes_what_the_next_one_finds_is_not_a_failure() -> None:
    answers = iter([json_response(b"{}"), json_response(b"{}", 404)])
    refused = json_response(b'{"detail": {"status": 404}}', 400)
    route = {"path": "/x", "method": "DELETE"}
    check = make_check(plan(route), lambda call, timeout_s: refused, lambda request, timeout_s: next(answers))
    (outcome,) = check.run()
    assert outcome.verdict.kind == "not proven"
    assert "404 to a second request" in outcome.verdict.message
    check = make_check(plan(route), lambda call, timeout_s: refused, lambda request, timeout_s: json_response(b"{}"))
    assert check.run()[0].verdict == Verdict(kind="failing", message="status 200 became 404", evidence=refused.excerpt)


def test_rules_excuse_expect_order_and_limit_calls() -> None:
    sent: list[tuple[str, str | None, float]] = []
    status = {"/gone": 404, "/second": 200, "/first": 200, "/third": 200, "/broken": 500}

    def call_service(request: DirectRequest, timeout_s: float) -> HttpResponse:
        sent.append((request.target, request.headers.get("X-Tenant"), timeout_s))
        return json_response(b"{}", status[request.target])

    def call_platform(call: PublicCall, timeout_s: float) -> HttpResponse:
        code = status[call.path]
        return json_response(b"{}") if code < 300 else json_response(b'{"detail": {"status": %d}}' % code, 400)

    rules = {
        "POST /skipped": {"skip": "needs a licence"},
        "POST /gone": {"status": 404},
        "POST /second": {"after": "POST /first", "timeout": 600},
        "POST /third": {"after": "POST /broken"},
        "POST /first": {"headers": {"X-Tenant": "a"}},
    }
    cords = plan(*({"path": path} for path in ("/skipped", *status)))
    check = make_check(cords, call_platform, call_service, rules=parse_checks(rules, "m"))
    outcomes = {outcome.name: outcome for outcome in check.run()}
    assert [target for target, *_ in sent] == ["/gone", "/first", "/second", "/broken"]
    assert [(tenant, timeout_s) for _, tenant, timeout_s in sent][1:3] == [("a", 30.0), (None, 600)]
    assert outcomes["POST /skipped"].is_excused
    assert outcomes["POST /skipped"].verdict.message == "excused by CHUTE_CHECKS: needs a licence"
    assert (outcomes["POST /gone"].verdict.kind, outcomes["POST /gone"].verdict.message) == (
        "proven",
        "same status: 404",
    )
    assert outcomes["POST /third"].verdict.message == "the response of POST /broken is missing"


def test_a_route_that_ends_the_service_is_called_last_and_named_and_the_others_are_judged() -> None:
    alive, restarts = [True], []

    def call_service(request: DirectRequest, timeout_s: float) -> HttpResponse:
        if not alive[0]:
            return HttpResponse(status=0, problem="refused", problem_kind="unreachable")
        alive[0] = request.target not in ("/server_kill", "/odd")
        return json_response(b"{}")

    def restart(reason: str) -> None:
        restarts.append(reason)
        alive[0] = True

    check = make_check(
        plan({"path": "/server_kill"}, {"path": "/odd"}, {"path": "/z"}),
        lambda call, timeout_s: json_response(b"{}") if alive[0] else HttpResponse(status=500),
        call_service,
        is_listening=lambda port: alive[0],
        restart_service=restart,
    )
    verdicts = {outcome.name: outcome.verdict for outcome in check.run()}
    assert verdicts["POST /z"].kind == "proven"
    assert verdicts["POST /odd"].message == verdicts["POST /server_kill"].message == SERVICE_ENDED
    assert restarts == [f"the service was gone after the call of POST {path}" for path in ("/odd", "/server_kill")]


def test_a_service_that_ends_after_its_response_is_found_by_the_next_call() -> None:
    alive = [True]

    def call_service(request: DirectRequest, timeout_s: float) -> HttpResponse:
        return json_response(b"{}") if alive[0] else HttpResponse(status=0, problem="x", problem_kind="unreachable")

    def call_platform(call: PublicCall, timeout_s: float) -> HttpResponse:
        alive[0] = call.path != "/odd"
        return json_response(b"{}")

    check = make_check(
        plan({"path": "/odd"}, {"path": "/z"}),
        call_platform,
        call_service,
        is_listening=lambda port: alive[0],
        restart_service=lambda reason: alive.__setitem__(0, True),
    )
    verdicts = {outcome.name: outcome.verdict for outcome in check.run()}
    assert verdicts["POST /z"].kind == "proven"
    assert verdicts["POST /odd"].message.startswith(SERVICE_ENDED)


def test_an_interrupted_check_has_the_outcomes_so_far() -> None:
    def call_service(request: DirectRequest, timeout_s: float) -> HttpResponse:
        if request.target == "/b":
            raise KeyboardInterrupt
        return json_response(b"{}")

    reported: list[tuple[int, int, str]] = []
    check = make_check(
        plan({"path": "/a"}, {"path": "/b"}, {"path": "/c"}),
        lambda call, timeout_s: json_response(b"{}"),
        call_service,
        report_call=lambda *each: reported.append(each),
    )
    with pytest.raises(KeyboardInterrupt):
        check.run()
    assert [outcome.name for outcome in check.list_outcomes()] == ["POST /a"]
    assert reported == [(1, 3, "POST /a"), (2, 3, "POST /b")]


def test_routes_that_only_read_are_called_at_the_same_time() -> None:
    barrier = threading.Barrier(2)

    def call_service(request: DirectRequest, timeout_s: float) -> HttpResponse:
        if request.target != "/c":
            barrier.wait(60)
        return json_response(b"{}")

    routes = ({"path": "/a", "method": "GET"}, {"path": "/b", "method": "GET"}, {"path": "/c"})
    check = make_check(plan(*routes), lambda call, timeout_s: json_response(b"{}"), call_service, parallel_calls=2)
    assert [(outcome.name, outcome.verdict.kind) for outcome in check.run()] == [
        ("GET /a", "proven"),
        ("GET /b", "proven"),
        ("POST /c", "proven"),
    ]


def test_routes_that_read_what_another_has_created_are_called_at_the_same_time() -> None:
    barrier, called = threading.Barrier(2), []

    def call_service(request: DirectRequest, timeout_s: float) -> HttpResponse:
        called.append(request.target)
        if request.method == "GET":
            barrier.wait(60)
        return json_response(b'{"id": 7}')

    paths = ("/items/{id}", "/items/{id}/tags")
    routes = ({"path": "/items"}, *({"path": path, "method": "GET"} for path in paths))
    check = make_check(
        plan(*routes), lambda call, timeout_s: json_response(b'{"id": 7}'), call_service, parallel_calls=2
    )
    assert [outcome.verdict.kind for outcome in check.run()] == ["proven"] * 3
    assert called[0] == "/items"
    assert {*called[1:3]} == {"/items/7", "/items/7/tags"}


def json_response(body: bytes, status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, content_type="application/json", body=body)


def fail_if_called(call: PublicCall, timeout_s: float) -> HttpResponse:
    raise AssertionError(call.path)


def test_a_page_that_the_service_returns_for_any_path_proves_nothing() -> None:
    pages = {"/real": b"<p>real", "/open": b"{}"}

    def call(path: str) -> HttpResponse:
        media_type = "application/json" if path == "/open" else "text/html; charset=utf-8"
        return HttpResponse(status=200, content_type=media_type, body=pages.get(path, b"<p>any"))

    routes = [{"path": path, "method": "GET"} for path in ("/lost", "/real", "/open", "/meant")]
    check = make_check(
        plan(*routes),
        lambda sent, timeout_s: call(sent.path),
        lambda sent, timeout_s: call(sent.target),
        rules=parse_checks({"GET /meant": {"status": 200}}, "deploy_case.py"),
    )
    assert [(each.name, each.verdict.kind) for each in check.run()] == [
        ("GET /lost", "not proven"),
        ("GET /real", "proven"),
        ("GET /open", "proven"),
        ("GET /meant", "proven"),
    ]
