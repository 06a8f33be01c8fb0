"""Paths that a real nginx decodes: what lies outside a route's folder is not served, through the gateway or the tunnel."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator

import aiohttp
import orjson
import pytest

from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime import parameters, tunnel_request
from chutes_wrappers.runtime.background import BACKGROUND
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.gateway import Gateway
from chutes_wrappers.runtime.loopback import LoopbackServer
from chutes_wrappers.runtime.tunnel import make_tunnel_handler
from chutes_wrappers.runtime.tunnel_frames import Data, decode
from tests.packages.environments import skip_or_fail
from tests.scenario import find_free_port

pytestmark = pytest.mark.packages

SECRET, PUBLIC, NESTED = "a secret", "a file", "a file in a folder"
# The second server passes the decoded path on, as many configurations do: the path is decoded twice.
CONFIGURATION = """
daemon off; user root; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{direct}; root {folder}/root; }}
    server {{ listen 127.0.0.1:{proxy}; location /files/ {{ proxy_pass http://127.0.0.1:{direct}$uri; }} }}
}}
"""
VALUES = ["../admin/secret", "x/../../admin/secret", "./../admin/secret", "..//admin/secret"]
TARGETS = ["/files/..%2Fadmin%2Fsecret", "/files/%2e%2e/admin/secret", "/files/../admin/secret", "/files/x%2F..%2F../admin/secret"]  # fmt: skip
DOUBLE_TARGETS = ["/files/%252e%252e/admin/secret", "/files/..%252Fadmin%252Fsecret"]


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """A running nginx: the port that decodes a path once, and one before it, with which it is decoded twice."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        skip_or_fail("no nginx: install the package nginx-light")
    folder = tmp_path_factory.mktemp("nginx")
    for path, text in {"admin/secret": SECRET, "files/file": PUBLIC, "files/folder/..file": NESTED}.items():
        (folder / "root" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "root" / path).write_text(text)
    direct, proxy = find_free_port(), find_free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, direct=direct, proxy=proxy))
    process = subprocess.Popen([program, "-c", str(configuration), "-e", str(folder / "error.log")])
    try:
        _wait_for_port(process, direct)
        yield direct, proxy
    finally:
        process.terminate()
        process.wait(60)


def _wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    pytest.fail(f"nginx did not start: exit code {process.poll()}")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway(timeout_s=60)
    yield made
    asyncio.run(BACKGROUND.run(made.close()))


def fetch(gateway: Gateway, port: int, template: str, value: str) -> str:
    route = Route.model_validate({"path": "/x", "method": "GET", "target_path": template})
    return gateway.handle_call(route, port, {"json": {}, "params": {"name": value}}).body.decode()


@contextlib.asynccontextmanager
async def run_tunnel(port: int) -> AsyncIterator[str]:
    server = LoopbackServer()
    server.add_handler("/t", make_tunnel_handler([port]))
    await server.start()
    yield f"http://127.0.0.1:{server.port}/t"
    await server.stop()


async def fetch_through_tunnel(url: str, port: int, target: str) -> tuple[int, str]:
    """Return the status of the tunnel's response, and the service's body or the error."""
    call = orjson.dumps({"port": port, "method": "GET", "target": target})
    async with aiohttp.ClientSession() as session, session.post(url, data=call) as response:
        if response.status != 200:
            return response.status, (await response.json())["error"]
        frames = [decode(line) async for line in response.content]
        return response.status, b"".join(frame.data for frame in frames if isinstance(frame, Data)).decode()


def test_files_of_a_route_are_served(nginx: tuple[int, int], gateway: Gateway) -> None:
    for port in nginx:
        assert fetch(gateway, port, "/files/{name}", "file") == PUBLIC
        assert fetch(gateway, port, "/files/{name}", "folder/..file") == NESTED
        assert fetch(gateway, port, "/files/{name:path}", "folder/..file") == NESTED


@pytest.mark.parametrize("template", ["/files/{name}", "/files/{name:path}"])
@pytest.mark.parametrize("value", VALUES)
def test_a_path_parameter_gets_no_file_outside_its_route(
    nginx: tuple[int, int], gateway: Gateway, template: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CallFailed, match="would result in another path") as caught:
        fetch(gateway, nginx[0], template, value)
    assert caught.value.detail["parameter"] == "name"
    monkeypatch.setattr(parameters, "find_path_problem", lambda _: None)
    monkeypatch.setattr(parameters, "find_dot_segments", lambda _: [])
    assert fetch(gateway, nginx[0], template, value) == SECRET  # without the rule


@pytest.mark.parametrize("value", ["%2e%2e/admin/secret", "..%2fadmin%2fsecret"])
def test_a_path_that_is_decoded_twice_gets_no_file_outside_its_route(
    nginx: tuple[int, int], gateway: Gateway, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CallFailed, match="would result in another path"):
        fetch(gateway, nginx[1], "/files/{name}", value)
    monkeypatch.setattr(parameters, "find_path_problem", lambda _: None)
    monkeypatch.setattr(parameters, "find_dot_segments", lambda _: [])
    assert fetch(gateway, nginx[1], "/files/{name}", value) == SECRET


async def test_a_tunnel_gets_no_file_outside_the_folder_of_its_target(
    nginx: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    direct, proxy = nginx
    attacks = [*((direct, target) for target in TARGETS), *((proxy, target) for target in DOUBLE_TARGETS)]
    for port, target in attacks:
        async with run_tunnel(port) as url:
            problem = "the path of `target` contains the segment '..' when it is decoded"
            assert await fetch_through_tunnel(url, port, target) == (400, problem)
    monkeypatch.setattr(tunnel_request, "find_path_problem", lambda _: None)
    for port, target in attacks:
        async with run_tunnel(port) as url:
            assert await fetch_through_tunnel(url, port, target) == (200, SECRET)  # without the rule
