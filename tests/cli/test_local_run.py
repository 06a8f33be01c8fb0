"""The call that ``--run`` and ``--run-docker`` show: one that was tried."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.cli import local_run
from tests.upstreams.scripted import Reply, json_reply, serve_script

PATHS: dict[str, dict[str, Any]] = {
    "/health": {"get": {}},
    "/sound": {"get": {}},
    "/shutdown": {"get": {}},
    "/list": {"get": {}},
    "/say": {"post": {}},
}
CORDS: list[dict[str, Any]] = [
    {"public_api_method": method.upper(), "public_api_path": path, "input_schema": None}
    for path, methods in PATHS.items()
    for method in methods
]


@pytest.mark.parametrize(
    ("broken", "examples", "line"),
    [
        ((), {}, "Try it:  curl {url}/list"),
        (("/list",), {}, "Try it:  curl {url}/health"),
        (("/list", "/health"), {}, "no call that was tried had a readable response"),
        ((), {"GET /list": {"n": "a b"}}, "Try it:  curl '{url}/list?n=a+b'"),
        (("/say",), {"POST /say": {"text": "hi"}}, "Try it:  curl {url}/list"),
    ],
)  # fmt: skip
def test_a_call_is_shown_after_it_had_a_readable_response(
    broken: tuple[str, ...], examples: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[str] = []

    def respond(path: str) -> Reply:
        called.append(path)
        return Reply(status=500) if path in broken else json_reply({"path": path})

    script: dict[str, Any] = {path: (lambda path=path: respond(path)) for path in PATHS}
    script["/list?n=a+b"] = script["/list"]
    script |= {"/sound": Reply(body=b"RIFF", content_type="audio/wav"), "/openapi.json": json_reply({"paths": PATHS})}
    with serve_script(script) as server:
        local_run.report_ready(server.root, CORDS, examples)
        url = server.root
    assert line.format(url=url) in capsys.readouterr().err
    assert "/shutdown" not in called


def test_without_a_call_to_try_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with serve_script({"/openapi.json": json_reply({"paths": PATHS})}) as server:
        local_run.report_ready(server.root, CORDS[-1:], {})
    assert "no route can be tried without an example" in capsys.readouterr().err
