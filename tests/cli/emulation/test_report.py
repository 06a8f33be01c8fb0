"""The command that ``--emulate`` prints for a call."""

from __future__ import annotations

import pytest

from chutes_wrappers.cli.emulation.report import build_curl_command
from chutes_wrappers.host.parity.parity_check import PublicCall

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
