"""A real ``chutes run --dev``, with requests from other sites and from its users."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.dev_chute import DevChute, dev_chute
from tests.scenario import ROOT, find_free_port
from tests.upstreams.http_fixture import HttpFixture

LARGE = 400 * 1024**2
FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "too-late.example"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
]
OWN_CORD = """
import os
os.environ["CHUTES_WRAPPERS_ALLOW_HOSTS"] = "too-late.example"
@chute.cord(public_api_path="/own", public_api_method="POST")
async def own(self, body: dict) -> dict:
    return {"own": body}
"""


@pytest.fixture(scope="module")
def logging_port() -> int:
    return find_free_port()


@pytest.fixture(scope="module")
def chute(service: HttpFixture, tmp_path_factory: pytest.TempPathFactory, logging_port: int) -> Iterator[DevChute]:
    routes: list[dict[str, Any]] = [
        {"path": "/echo"},
        {"path": "/echo", "method": "GET"},
        {"path": "/drip", "method": "GET", "stream": True},
    ]
    folder = tmp_path_factory.mktemp("chute")
    with dev_chute(
        folder,
        routes,
        service.port,
        more=OWN_CORD,
        logging_port=logging_port,
        variables={
            "CHUTES_WRAPPERS_ALLOW_HOSTS": "box.example",
            "CHUTES_WRAPPERS_ALLOW_ORIGINS": "https://app.example",
        },
    ) as running:
        yield running


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: " ".join(headers.values()))
def test_requests_from_other_sites_are_rejected(chute: DevChute, headers: dict[str, str]) -> None:
    document = requests.get(f"{chute.base_url}/openapi.json", timeout=60).json()
    served = [(method, path) for path, operations in document["paths"].items() for method in operations]
    assert len(served) >= 4
    for method, path in [
        *served,
        ("get", "/openapi.json"),
        ("get", "/docs"),
        ("post", "/nowhere"),
        ("options", "/own"),
    ]:
        response = requests.request(method, chute.base_url + path, headers=headers, timeout=60)
        assert response.status_code == 403, (method, path)
        assert "may not" in response.text or "--allow-host" in response.text, (method, path)


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: " ".join(headers.values()))
def test_the_log_server_of_the_sdk_rejects_other_sites(
    chute: DevChute, logging_port: int, headers: dict[str, str]
) -> None:
    url = f"http://127.0.0.1:{logging_port}"
    assert requests.get(f"{url}/_alive", timeout=60).status_code == 200
    for path in ("/_alive", "/logs", "/nowhere"):
        assert requests.get(url + path, headers=headers, timeout=60).status_code == 403, path


def test_a_request_from_another_site_is_rejected_before_its_body_is_read(chute: DevChute) -> None:
    address = chute.base_url.removeprefix("http://").partition(":")
    with socket.create_connection((address[0], int(address[2])), timeout=60) as connection:
        head = f"POST /own HTTP/1.1\r\nHost: evil.example\r\nContent-Length: {LARGE}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:18000"},
        {"Host": "[::1]"},
        {"Host": "box.example"},
        {"Origin": "http://localhost:5173", "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
def test_users_and_their_front_ends_can_connect(chute: DevChute, headers: dict[str, str]) -> None:
    response = requests.post(f"{chute.base_url}/own", json={"a": 1}, headers=headers, timeout=60)
    assert response.json() == {"own": {"a": 1}}


def test_passthrough_headers_of_the_chute_do_not_block_its_streams(service: HttpFixture, tmp_path: Path) -> None:
    headers = {"Host": "api.internal", "Origin": "https://app.example", "Sec-Fetch-Mode": "cors"}
    more = f"\nchute.passthrough_headers = {headers!r}\n"
    with dev_chute(tmp_path, [{"path": "/events", "method": "GET", "stream": True}], service.port, more=more) as chute:
        response = chute.get("/events")
    assert (response.status_code, "data: " in response.text) == (200, True), response.text


def test_http_2_does_not_bypass_the_guard(chute: DevChute) -> None:
    for host, status in (("evil.example", "403"), ("localhost", "200")):
        argv = ["curl", "-sS", "--http2-prior-knowledge", "-o", os.devnull, "-w", "%{http_version} %{http_code}"]
        argv += [
            "-H",
            f"Host: {host}",
            "-d",
            '{"a": 1}',
            "-H",
            "Content-Type: application/json",
            f"{chute.base_url}/own",
        ]
        result = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert result.stdout == f"2 {status}", result.stderr


@pytest.mark.parametrize(("dev", "guarded"), [("true", True), ("", False)])
def test_a_deployed_instance_is_not_guarded(tmp_path: Path, dev: str, guarded: bool) -> None:
    script = (
        "from chutes.chute import Chute\nbefore = Chute.__call__\n"
        "from tools.chute_wrappers import build_wrapper_image\n"
        "build_wrapper_image('tester', 'case', 'v1', 'base')\nprint(Chute.__call__ is not before)"
    )
    variables = {"PYTHONPATH": str(ROOT), "CHUTES_DEV_MODE": dev, "CHUTES_EXECUTION_CONTEXT": "REMOTE"}
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, **variables, "CHUTES_ALLOW_MISSING": "true"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert result.stdout.split()[-1] == str(guarded)
