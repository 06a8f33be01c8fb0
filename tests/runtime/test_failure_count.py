"""What the platform counts as a failure of an instance: any status except 2xx, 400 and 429 (PLATFORM.md, section 3)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dev_chute import DevChute, dev_chute
from tests.upstreams.http_fixture import HttpFixture

CALLS = 250
# So many of the same in a row that the last would be a 503, if the service were blamed for them.
REPEATED = 5
HARMLESS = (200, 400, 429)
ROUTES: list[dict[str, Any]] = [
    {"path": "/echo", "method": "GET"},
    {"path": "/echo", "method": "POST"},
    {"path": "/echo/{id}", "target_path": "/Echo/{id}", "method": "POST"},
    {"path": "/form", "request": {"encoding": "multipart", "files": ["file"]}},
    {"path": "/guessed", "target_path": "/form"},
    {"path": "/fields", "target_path": "/echo", "request": {"encoding": "form"}},
    {"path": "/binary", "target_path": "/echo", "request": {"encoding": "binary"}},
    {"path": "/text", "target_path": "/echo", "request": {"encoding": "text"}},
    {"path": "/missing", "target_path": "/no/such/page"},
    {"path": "/wrong", "target_path": "/bytes", "method": "PUT"},
    {"path": "/chat", "stream": "switch"},
    {"path": "/events", "stream": True},
]
TUNNEL = "/cw-tunnel"
POSTED = [
    "/echo",
    "/echo/id",
    "/form",
    "/guessed",
    "/fields",
    "/binary",
    "/text",
    "/missing",
    "/wrong",
    "/events",
    TUNNEL,
]

WORDS = st.sampled_from(
    ["id", "file", "file_base64", "data", "body", "text", "content_type", "stream", "json", "params", "filename"]
) | st.sampled_from(["port", "method", "target", "headers"])
# Of every character there is: also unpaired surrogates, which only JSON can contain.
TEXT = st.text(st.characters(), max_size=8) | st.text(st.characters(categories=["Cs", "Cc"]), min_size=1, max_size=2)
KEYS = WORDS | TEXT
FILES = st.fixed_dictionaries({"data": st.just("YQ==")}, optional={"filename": TEXT, "content_type": TEXT})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | FILES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
TUNNELLED = st.fixed_dictionaries(
    {},
    optional={
        "port": st.integers(-1, 70000) | st.just("8000"),
        "method": st.sampled_from(["GET", "POST", "G T", "", "get\r\n"]),
        "target": st.sampled_from(["/", "/echo", "//x", "/../etc", "http://other/", "", "/a b", "/%2e%2e/x"]),
        "headers": st.lists(st.lists(st.sampled_from(["Host", "X", "a\r\nb", "", "é", "Content-Length"]), max_size=3)),
        "body": st.text(max_size=6) | st.integers(),
    },
)


@pytest.fixture(scope="module")
def chute(service: HttpFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevChute]:
    more = f"from tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, [{service.port}])"
    with dev_chute(tmp_path_factory.mktemp("chute"), ROUTES, service.port, more=more) as running:
        yield running


@settings(max_examples=CALLS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(POSTED),
    body=st.dictionaries(KEYS, JSON, max_size=4) | TUNNELLED,
    query=st.dictionaries(WORDS | st.text(max_size=5), st.text(max_size=5), max_size=2),
)
def test_a_thousand_bad_calls_are_never_the_services_failure(
    chute: DevChute, path: str, body: dict[str, Any], query: dict[str, str]
) -> None:
    for _ in range(REPEATED):
        response = requests.post(f"{chute.base_url}{path}", json=body, params=query, timeout=60)
        assert response.status_code in HARMLESS, (response.status_code, response.text, "".join(chute.lines)[-2000:])
        assert "aborted the call" not in response.text


def test_the_service_still_answers_after_them(chute: DevChute) -> None:
    assert chute.post("/echo", {"a": 1}).status_code == 200


def test_a_service_that_died_is_reported_as_failed_by_the_next_call(tmp_path: Path) -> None:
    script = "from tests.upstreams.http_fixture import serve_http_fixture\nimport sys\nwith serve_http_fixture() as m:\n    print(m.port, flush=True)\n    sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        with dev_chute(tmp_path, ROUTES, int(process.stdout.readline())) as chute:
            assert chute.post("/echo", {}).status_code == 200
            process.send_signal(signal.SIGKILL)
            process.wait(60)
            for path in ("/echo", "/events"):
                assert chute.post(path, {}).status_code == 503
