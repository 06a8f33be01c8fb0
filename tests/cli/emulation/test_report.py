"""The command that ``--emulate`` prints for a call."""

from __future__ import annotations

import pytest

from chutes_wrappers.cli.emulation.report import build_curl_command, print_report
from chutes_wrappers.host.parity.comparison import HttpResponse, Verdict
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.parity_check import Outcome

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


def make_outcome(method: str) -> Outcome:
    call = PublicCall(method=method, path="/a", example={})
    verdict = Verdict(is_good=True, message="same bytes")
    return Outcome(call=call, encoding="json", response=HttpResponse(status=200), verdict=verdict)


@pytest.mark.parametrize(
    ("methods", "end"),
    [
        (["GET", "POST"], "all 2 routes would work on Chutes"),
        (["GET", "PUT", "HEAD"], "would work on Chutes, if it runs the newest version, which accepts public HEAD, PUT"),
    ],
)
def test_a_public_method_of_the_newest_api_is_a_condition_of_the_result(
    methods: list[str], end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_report([*map(make_outcome, methods)], [], has_table=False) == 0
    assert capsys.readouterr().err.strip().endswith(end)
