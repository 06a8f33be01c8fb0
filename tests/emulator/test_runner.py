from __future__ import annotations

import ast
import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import MutableMapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from chutes_wrappers.emulator import runner
from chutes_wrappers.emulator.deployed_chute import build_direct_call
from chutes_wrappers.emulator.launcher import RUNNER_SOURCE
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.runtime.module_headers import read_service_headers
from tests.scenario import ROOT, find_free_port
from tests.upstreams.raw import serve_raw, serve_reply

MODULE = """
import os, socket
from chutes.chute import Chute, NodeSelector

chute = Chute(
    username="tester", name="case", image="tester/case:v1",
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
)
with socket.socket() as probe:
    found = probe.connect_ex(("127.0.0.1", int(os.environ["WATCHED_PORT"])))
print(f"watched port: {found}, SDK's variable: {os.environ.get('CHUTES_TEE_EVIDENCE_PORT')}")
"""


def test_it_needs_only_dependencies_of_the_sdk() -> None:
    tree = ast.parse(Path(RUNNER_SOURCE).read_text())
    names = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"cryptography"}


def test_importing_it_does_not_import_the_sdk() -> None:
    assert not hasattr(runner, "sdk")
    assert "GraValMiddleware" not in vars(runner)


def test_it_imports_our_package_only_as_a_process_of_this_machine_or_where_it_can_do_without() -> None:
    tree = ast.parse(Path(RUNNER_SOURCE).read_text())
    users = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and "chutes_wrappers" in ast.unparse(function)
    }
    assert users == {"_wrap_in_local_guard", "_set_launch_manifest", "_make_connector", "_find_request_class"}


def run(folder: Path, **settings: str) -> subprocess.Popen[str]:
    """Start the runner as a process. Its chute prints which of its ports are bound when it is loaded."""
    (folder / "case.py").write_text(MODULE)
    variables = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "CHUTES_ALLOW_MISSING": "true"}
    emulators = {
        runner.KEY_VARIABLE: "ab" * 32,
        runner.HOST_VARIABLE: "127.0.0.1",
        runner.PORT_VARIABLE: str(find_free_port()),
        runner.LOGGING_PORT_VARIABLE: str(find_free_port()),
        runner.PARENT_VARIABLE: str(os.getpid()),
        **settings,
    }
    argv = [sys.executable, "-u", "-c", "from chutes_wrappers.emulator.runner import main; main()", "case:chute"]
    return subprocess.Popen(
        argv, cwd=folder, env={**variables, **emulators}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_the_attestation_server_starts_before_the_module_and_rejects_foreign_requests(tmp_path: Path) -> None:
    evidence = find_free_port()
    with run(tmp_path, **{runner.EVIDENCE_PORT_VARIABLE: str(evidence), "WATCHED_PORT": str(evidence)}) as process:
        try:
            assert process.stdout is not None
            output = next((line for line in process.stdout if line.startswith("watched port")), "the process ended")
            assert output == "watched port: 0, SDK's variable: None\n"
            url = f"http://127.0.0.1:{evidence}/nothing"
            assert requests.get(url, timeout=60).status_code == 404
            assert requests.get(url, headers={"Host": "rebound.example"}, timeout=60).status_code == 403
        finally:
            process.kill()


def test_no_server_of_a_host_instance_accepts_foreign_requests(tmp_path: Path) -> None:
    ports = {
        name: find_free_port()
        for name in (runner.PORT_VARIABLE, runner.LOGGING_PORT_VARIABLE, runner.EVIDENCE_PORT_VARIABLE)
    }
    numbers = {name: str(port) for name, port in ports.items()}
    with run(tmp_path, **numbers, WATCHED_PORT=numbers[runner.EVIDENCE_PORT_VARIABLE]) as process:
        try:
            assert process.stdout is not None
            assert next((line for line in process.stdout if "Running on" in line), None), "the process ended"
            for name, port in ports.items():
                for headers in (
                    {"Host": "rebound.example"},
                    {"Origin": "http://evil.example"},
                    {"Sec-Fetch-Site": "cross-site"},
                ):
                    response = requests.get(f"http://127.0.0.1:{port}/_alive", headers=headers, timeout=60)
                    assert response.status_code == 403, (name, headers)
                assert requests.get(f"http://127.0.0.1:{port}/_alive", timeout=60).status_code != 403, name
        finally:
            process.kill()


def test_a_taken_port_of_the_attestation_server_ends_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        with run(tmp_path, **{runner.EVIDENCE_PORT_VARIABLE: port, "WATCHED_PORT": port}) as process:
            output, _ = process.communicate(timeout=60)
    assert (process.returncode, "Address already in use" in output) == (1, True)
    assert "watched port" not in output


async def test_only_signed_requests_get_the_platforms_address() -> None:
    clients: list[object] = []

    async def app(scope: MutableMapping[str, Any], receive: object, send: object) -> None:
        clients.append(scope["client"])

    async def nothing(*message: object) -> None: ...

    outside = runner.PlatformAddress(app)
    for headers in ([], [(b"x-chutes-signature", b"00")]):
        scope: dict[str, Any] = {"type": "http", "headers": headers, "client": ("127.0.0.1", 1)}
        await outside(scope, nothing, nothing)
    assert clients == [("127.0.0.1", 1), ("192.0.2.1", 0)]


async def send_directly(port: int, method: str = "GET", **fields: Any) -> dict[str, Any]:
    request = {
        "port": port,
        "method": method,
        "target": "/a/b",
        "headers": {},
        "body": "",
        "timeout": 60.0,
        "sample": 1.0,
    }
    return await runner._send_direct_request({**request, **fields})


@pytest.mark.parametrize("has_package", [True, False])
async def test_a_direct_request_has_the_limits_of_the_gateway(
    monkeypatch: pytest.MonkeyPatch, *, has_package: bool
) -> None:
    if not has_package:
        monkeypatch.setitem(sys.modules, "chutes_wrappers.runtime.connection_pool", None)
    for headers in (b"X: " + b"x" * 300_000 + b"\r\n", b"X: 1\r\n" * 500):
        async with serve_reply(b"HTTP/1.1 200 OK\r\n" + headers + b"Content-Length: 2\r\n\r\nok") as port:
            assert (await send_directly(port))["body"] == "b2s="
    async with serve_reply(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 600_000 + b"\r\nContent-Length: 2\r\n\r\nok") as port:
        assert (await send_directly(port))["problem"].startswith("the response cannot be read: ")
    async with serve_reply(b"HTTP/1.1 200 OK\r\n" + b"Content-Length: 2\r\n" * 2 + b"\r\nok") as port:
        assert ("body" in await send_directly(port)) == has_package


@pytest.mark.parametrize(
    ("location", "target"), [("http://localhost/x?y", "/x?y"), ("c", "/a/c"), ("//127.0.0.1/x", "/x"), ("//[bad", None)]
)
@pytest.mark.parametrize(("status", "followed"), [(302, b"GET"), (307, b"POST")])
async def test_a_direct_request_follows_a_redirect_without_a_port(
    location: str, target: str | None, status: int, followed: bytes
) -> None:
    received: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        received.append(head)
        if head.startswith(b"POST /a/b "):
            writer.write(f"HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with serve_raw(talk) as port:
        response = await send_directly(port, "POST", body="e30=", headers={"Content-Type": "application/json"})
    if target is None:
        assert (response["status"], len(received)) == (status, 1)
        return
    assert (response["status"], response["body"]) == (200, "b2s=")
    assert received[1].startswith(followed + b" " + target.encode() + b" ")
    assert (b"application/json" in received[1]) == (followed == b"POST")
    assert not any(b"\r\nconnection:" in head.lower() for head in received)  # as from the gateway


def test_a_direct_request_has_the_headers_that_the_chute_sends() -> None:
    call: dict[str, Any] = {
        "port": 8020,
        "method": "GET",
        "target": "/a?b=1",
        "headers": {"x-a": "own", "Cookie": "b=2"},
    }
    own = {"X-A": "chute", "X-B": "chute"}
    assert runner._add_chute_headers(SimpleNamespace(passthrough_headers=own), call) == {
        **call["headers"], "X-B": "chute",
    }  # fmt: skip
    module = {"CHUTE_HEADERS": {"Cookie": "a=1", "GET /a": {"X-B": "route"}}}
    chute = SimpleNamespace(passthrough_headers=own, service_headers=read_service_headers(module))
    assert runner._add_chute_headers(chute, call) == {"x-a": "own", "Cookie": "a=1; b=2", "X-B": "route"}


def test_a_direct_request_has_the_headers_of_its_own_route_only() -> None:
    module = {"CHUTE_HEADERS": {"GET /a": {"X-A": "1"}, "GET /b": {"X-B": "1"}, "GET /own": {"X-Own": "1"}}}
    headers = read_service_headers(module)
    headers.add_names(("GET", "/data"), [("GET", "/a"), ("GET", "/own")])
    headers.add_names(("GET", "/data"), [("GET", "/b")])
    request = DirectRequest(port=8020, method="GET", target="/data?b=1", route="GET /a")
    call = build_direct_call(request, timeout_s=1, sample_s=1)
    assert runner._add_chute_headers(SimpleNamespace(service_headers=headers), call) == {"X-A": "1", "X-Own": "1"}
