"""What ``--emulate`` prints of its calls."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chutes_wrappers.cli.emulation.left_out import group_skipped
from chutes_wrappers.cli.emulation.report import (
    Report,
    build_curl_command,
    choose_example,
    print_json,
    print_report,
    print_summary,
)
from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.exposure import find_filter_reason
from chutes_wrappers.core.routes import Route, SkippedRoute
from chutes_wrappers.host.parity.comparison import KINDS, HttpResponse, Verdict, VerdictKind
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.outcomes import Outcome

HIDDEN = find_filter_reason("/x/{id}") or ""
AUTHORIZATION = "-H 'Authorization: Bearer k'"
BODY = """-H 'Content-Type: application/json' -d '{"b": 1}'"""


@pytest.mark.parametrize(
    ("method", "command"),
    [
        ("GET", f"curl {AUTHORIZATION} 'http://x/a?b=1'"),
        ("HEAD", f"curl --head {AUTHORIZATION} 'http://x/a?b=1'"),
        ("DELETE", f"curl -X DELETE {AUTHORIZATION} 'http://x/a?b=1'"),
        ("POST", f"curl {AUTHORIZATION} http://x/a {BODY}"),
        ("PUT", f"curl -X PUT {AUTHORIZATION} http://x/a {BODY}"),
    ],
)
def test_it_sends_the_calls_own_method_and_a_body_only_where_there_is_one(method: str, command: str) -> None:
    assert build_curl_command(PublicCall(method=method, path="/a", example={"b": 1}), "http://x", "k") == command


def make_outcome(
    method: str = "POST",
    path: str = "/a",
    kind: VerdictKind = "proven",
    *,
    response: HttpResponse | None = None,
    service: HttpResponse | None = None,
    is_excused: bool = False,
    **route: Any,
) -> Outcome:
    call = PublicCall(method=method, path=path, example=route.pop("example", {}))
    fields = {"path": path, "method": method if method in ("GET", "POST") else "POST", **route}
    (cord, *_) = plan_cords([Route.model_validate(fields)], 9000, expose=["parameters"]).cords
    return Outcome(
        call=call,
        encoding="json",
        response=response or HttpResponse(status=200, content_type="application/json", body=b"{}"),
        verdict=Verdict(kind=kind, message="the message"),
        cord=cord,
        service_response=service,
        is_excused=is_excused,
    )


def make_report(*outcomes: Outcome, **fields: Any) -> Report:
    return Report(outcomes=outcomes, chute="x", **{"total": len(outcomes), **fields})


PROVEN, OPEN, FAILING = (make_outcome(kind=kind) for kind in KINDS)
EXCUSED = make_outcome(kind="not proven", is_excused=True)
OWN = replace(PROVEN, cord=None)


@pytest.mark.parametrize(
    ("report", "code", "lenient_code"),
    [
        (make_report(PROVEN, EXCUSED), 0, 0),
        (make_report(PROVEN, OPEN), 3, 0),
        (make_report(PROVEN, OPEN, FAILING), 1, 1),
        (make_report(OPEN, EXCUSED), 1, 1),
        (make_report(OPEN, OWN), 1, 1),
        (make_report(PROVEN, OPEN, OWN), 3, 0),
        (make_report(EXCUSED, OWN), 0, 0),
        (make_report(OWN), 0, 0),
        (make_report(), 1, 1),
        (make_report(has_tunnel=True), 0, 0),
        (make_report(PROVEN, total=2), 3, 0),
    ],
)
def test_the_exit_code_counts_what_is_proven(report: Report, code: int, lenient_code: int) -> None:
    assert (report.compute_exit_code(), report.compute_exit_code(is_lenient=True)) == (code, lenient_code)


def test_what_the_log_says_of_a_service_that_failed_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    broken = make_outcome(kind="not proven", service=HttpResponse(status=0, problem_kind="broken"))
    lines = ["OSError: [Errno -3] Temporary failure in name resolution"]
    for outcome, is_explained in ((broken, True), (OPEN, False)):
        print_report(make_report(outcome), lines, has_table=False)
        assert ("allow_external_egress" in capsys.readouterr().err) == is_explained


def test_the_last_line_counts_all_kinds_and_what_is_not_published(capsys: pytest.CaptureFixture[str]) -> None:
    skipped = [
        *(SkippedRoute(path=f"/{n}/{{id}}", method="GET", reason=HIDDEN) for n in range(3)),
        SkippedRoute(path="/u", method="GET", reason="its body is XML"),
        SkippedRoute(path="/u", method="GET", reason="its body is XML"),
    ]
    report = make_report(PROVEN, EXCUSED, OPEN, FAILING, left_out=group_skipped(skipped), total=5)
    print_summary(report, exit_code=1)
    assert capsys.readouterr().err.strip() == (
        "! 1 proven · 2 not proven (1 of them excused) · 1 failing · 1 not called; 4 of 9 operations left out: "
        '3 with parameters in the path (CHUTE_EXPOSE = ["parameters"]), 1 (its body is XML)'
    )
    print_json(report, None, exit_code=1)
    printed = json.loads(capsys.readouterr().out)
    assert printed["counts"] == {"proven": 1, "not proven": 2, "failing": 1, "not called": 1}
    assert [route["kind"] for route in printed["routes"]] == ["proven", "not proven", "not proven", "failing"]
    assert printed["left_out"][0]["publish"] == 'CHUTE_EXPOSE = ["parameters"]'
    assert (printed["good"], printed["exit_code"]) == (False, 1)


@pytest.mark.parametrize(
    ("methods", "end"),
    [
        (["GET", "POST"], "2 proven · 0 not proven · 0 failing"),
        (["GET", "PUT"], "0 failing, if Chutes runs the newest version, which accepts public PUT"),
    ],
)
def test_a_public_method_of_the_newest_api_is_a_condition_of_the_result(
    methods: list[str], end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_summary(make_report(*map(make_outcome, methods)), exit_code=0)
    assert capsys.readouterr().err.strip().endswith(end)


def test_the_service_is_quoted_once_with_lines_to_paste(capsys: pytest.CaptureFixture[str]) -> None:
    words = HttpResponse(status=401, body=b'{"detail": "X-API-Key is missing"}')
    key = {"name": "X-API-Key", "in": "header", "credential": True}
    refused = [
        make_outcome(path=path, kind="not proven", service=words, parameters=[key]) for path in ("/a", "/b", "/c")
    ]
    slow = HttpResponse(status=0, problem="x", problem_kind="timeout")
    large = HttpResponse(status=0, problem="its header is larger than 512 KiB", problem_kind="broken")
    others = [make_outcome(kind="not proven", service=service) for service in (slow, large)]
    print_report(make_report(*refused, *others), [], has_table=False)
    printed = capsys.readouterr().err
    assert printed.count("X-API-Key is missing") == 1
    assert "credentials are missing or wrong: the service refused the example with 401: POST /a, POST /b" in printed
    assert '    CHUTE_HEADERS = {"X-API-Key": "${SERVICE_KEY}"}' in printed
    assert 'CHUTE_CHECKS = {"POST /a": {"timeout": 600}}' in printed
    assert "its header is larger than 512 KiB" in printed


def test_lines_of_one_variable_are_repeated_in_one_piece(capsys: pytest.CaptureFixture[str]) -> None:
    refused = [
        make_outcome(path=path, kind="not proven", service=HttpResponse(status=status, body=b"no"), example={"n": 1})
        for path, status in (("/a", 400), ("/b", 422))
    ]
    print_report(make_report(*refused), [], has_table=False)
    printed = capsys.readouterr().err
    entries = '        "POST /a": {"n": 1},\n        "POST /b": {"n": 1},\n'
    assert f"paste these in one piece\n    CHUTE_EXAMPLES = {{\n{entries}    }}\n" in printed
    print_report(make_report(refused[0]), [], has_table=False)
    assert "in one piece" not in capsys.readouterr().err


def test_categories_that_the_module_publishes_already_stay_in_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    skipped = [SkippedRoute(path="/login", method="GET", reason=find_filter_reason("/login") or "")]
    report = make_report(PROVEN, left_out=group_skipped(skipped), exposed={"parameters"})
    print_summary(report, exit_code=0)
    assert '(CHUTE_EXPOSE = ["parameters", "internal"])' in capsys.readouterr().err


def test_a_secret_that_the_service_repeats_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    words = HttpResponse(status=401, body=b'{"detail": "sk-canary is not valid"}')
    refused = make_outcome(kind="not proven", service=words)
    report = make_report(refused, secrets=("sk-canary",), header_variables=("KEY",))
    assert report.refusals[0].advice.startswith("correct the value of KEY, which CHUTE_HEADERS sends")
    print_report(report, [], has_table=True)
    print_json(report, None, exit_code=1)
    printed = "".join(capsys.readouterr())
    assert "is not valid" in printed
    assert "canary" not in printed


def test_the_call_to_try_is_proven_and_readable() -> None:
    sound = make_outcome(response=HttpResponse(status=200, content_type="audio/wav", body=b"RIFF"), example={"a": 1})
    feed = make_outcome(response=HttpResponse(status=200, content_type="text/event-stream", body=b"data: 1"))
    text = make_outcome("GET", response=HttpResponse(status=200, content_type="text/plain", body=b"hi"))
    assert choose_example([OPEN, FAILING, sound, feed, text]) is text
    assert choose_example([sound, feed]) is feed
    assert choose_example([OPEN, sound]) is sound
    assert choose_example([OPEN, FAILING, EXCUSED]) is None
