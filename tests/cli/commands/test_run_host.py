"""``--run``: the chute on the host, in the SDK's real dev mode, for a service that also runs here."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.scenario import OLD_PLACEMENT, ROOT, Scenario, find_free_port, run_command

ECHO = ROOT / "tests" / "upstreams" / "echo_service.py"
ROUTES = [{"path": "/echo", "method": method} for method in ("GET", "POST", "PUT")]


@pytest.fixture
def service_port() -> Iterator[int]:
    """The port of an echo service."""
    port = find_free_port()
    environment = {**os.environ, "PORT": str(port), "HOST": "127.0.0.1"}
    with subprocess.Popen([sys.executable, str(ECHO)], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield port
        process.terminate()


def test_the_chute_serves_the_hosts_service_until_ctrl_c(service_port: int, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "host", "vendor/unused:1", [service_port], static_routes=ROUTES)
    port = find_free_port()
    with scenario.running("--run", "--port", str(port)) as chute:
        assert chute.base_url == f"http://127.0.0.1:{port}"
        assert "all 3 cords are served" in chute.command.output_text
        assert re.search(r"Try it: +curl http://127\.0\.0\.1", chute.command.output_text)
        assert chute.get("/echo", x="1").json() == {"method": "GET", "query": {"x": "1"}}
        assert chute.post("/echo", {"n": 1}, x="2").json() == {"method": "POST", "query": {"x": "2"}, "body": {"n": 1}}
        assert chute.post("/echo/put", {"n": 2}).json() == {"method": "PUT", "query": {}, "body": {"n": 2}}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))


def test_a_module_that_the_platform_would_reject_runs_with_a_warning(service_port: int, tmp_path: Path) -> None:
    old = Scenario(tmp_path, "old", "vendor/unused:1", [service_port], static_routes=ROUTES, placement=OLD_PLACEMENT)
    with old.running("--run", "--port", str(find_free_port())) as chute:
        assert "! Chutes would reject this: " in chute.command.output_text
        assert (
            '    tee=True,\n    node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),\n'
            in chute.command.output_text
        )
        assert chute.get("/echo", x="1").json() == {"method": "GET", "query": {"x": "1"}}


PURE = """
import time
from pathlib import Path
from chutes.chute import Chute, NodeSelector
from chutes.image import Image

CHUTE_NAME, CHUTE_TAG, CHUTE_BASE_IMAGE, SERVICE_PORTS = "case-pure", "v1", "vendor/unused:1", [{port}]
image = Image(username="tester", name=CHUTE_NAME, tag=CHUTE_TAG).from_base(CHUTE_BASE_IMAGE)
chute = Chute(
    username="tester", name=CHUTE_NAME, image=image, tee=True,
    node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
)

@chute.cord(public_api_path="/own", public_api_method="POST")
async def own(self, body: dict) -> dict:
    return body
"""


def test_a_module_without_our_helpers_is_guarded_too(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "pure", "vendor/unused:1", [9090])
    scenario.module.write_text(PURE.format(port=9090))
    allowed = ("--allow-host", "Box.Example", "--allow-origin", "https://app.example")
    with scenario.running("--run", "--port", str(find_free_port()), *allowed, is_forked=False) as chute:

        def status(**headers: str) -> int:
            return requests.post(f"{chute.base_url}/own", json={"a": 1}, headers=headers, timeout=60).status_code

        assert [status(Host=host) for host in ("evil.example", "box.example")] == [403, 200]
        assert [status(Origin=origin) for origin in ("https://evil.example", "https://app.example")] == [403, 200]
        log = next(
            port for port in listening(chute.command.process.pid) if port != int(chute.base_url.rpartition(":")[2])
        )
        for headers, expected in (({}, 200), ({"Host": "evil.example"}, 403)):
            assert requests.get(f"http://127.0.0.1:{log}/_alive", headers=headers, timeout=60).status_code == expected


def listening(pid: int) -> set[int]:
    """Return the ports of a process's children on this machine."""
    children = psutil.Process(pid).children(recursive=True)
    connections = [
        each for child in children for each in child.net_connections("inet") if each.status == psutil.CONN_LISTEN
    ]
    return {each.laddr[1] for each in connections}


@pytest.mark.parametrize(
    ("flag", "value"), [("--allow-host", "*"), ("--allow-origin", "null"), ("--allow-host", "a:1")]
)
def test_an_invalid_allowed_host_is_a_usage_error(flag: str, value: str, tmp_path: Path) -> None:
    module = Scenario(tmp_path, "wrong", "vendor/unused:1", [9090]).module
    for verb in ("--run", "--run-docker", "--emulate", "--forward"):
        done = run_command(verb, str(module), flag, value, "--yes")
        assert (done.returncode, f"{value!r} is not a valid" in done.stderr) == (2, True), (verb, done.stderr)


def test_an_unset_variable_of_the_headers_is_named_before_anything_runs(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "unset", "vendor/unused:1", [9090])
    source = scenario.module.read_text() + "raise RuntimeError('too far')\n"
    scenario.module.write_text('CHUTE_HEADERS = {"X-Key": "${UNSET_KEY}"}\n' + source)
    for verb in ("--run", "--run-docker", "--emulate"):
        done = run_command(verb, str(scenario.module), "--yes")
        assert done.returncode == 2, (verb, done.stderr)
        assert "UNSET_KEY is not set in your environment" in done.stderr
        assert "--secret case-unset UNSET_KEY" in done.stderr


def test_a_port_in_use_is_named_with_the_flag(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port_in_use = str(server.getsockname()[1])
        module = Scenario(tmp_path, "taken", "vendor/unused:1", [9090]).module
        done = run_command("--run", str(module), "--port", port_in_use)
    assert done.returncode == 2
    assert port_in_use in done.stderr
    assert "--port" in done.stderr


def test_a_module_that_the_sdk_cannot_load_shows_why(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "broken", "vendor/unused:1", [9090])
    scenario.module.write_text(scenario.module.read_text() + "\nraise RuntimeError('no such luck')\n")
    done = run_command("--run", str(scenario.module), "--port", str(find_free_port()))
    assert done.returncode == 2
    assert "no such luck" in done.stderr
    assert "Next:" in done.stderr


def test_unknown_manifest_keys_are_reported(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "keys", "vendor/unused:1", [9090])
    scenario.manifest.write_text('[{"path": "/a", "sream": true}]')
    scenario.module.write_text(scenario.module.read_text() + "\nraise RuntimeError('far enough')\n")
    done = run_command("--run", str(scenario.module), "--port", str(find_free_port()))
    assert "deploy_keys.routes.json: ignoring unknown keys: sream (did you mean stream?)" in done.stderr


@pytest.mark.parametrize("port", [8000, 8001, 8002, 80])
def test_a_reserved_port_is_rejected_before_anything_starts(tmp_path: Path, port: int) -> None:
    done = run_command("--run", str(Scenario(tmp_path, "port", "vendor/unused:1", [port]).module))
    assert done.returncode == 2
    assert f"port {port} " in done.stderr
    assert "SERVICE_PORTS = [" in done.stderr
    assert "Starting" not in done.stderr


def test_variables_of_the_service_do_not_replace_those_that_the_chute_needs(service_port: int, tmp_path: Path) -> None:
    env = {"PYTHONPATH": "/nowhere", "CHUTES_ROUTE_MANIFEST": "/nowhere", "OWN": "from the module"}
    scenario = Scenario(tmp_path, "env", "vendor/unused:1", [service_port], env=env, static_routes=ROUTES)
    text = scenario.module.read_text() + "\nimport os\nprint('OWN is', os.environ.get('OWN'))\n"
    scenario.module.write_text(text)
    with scenario.running("--run", "--port", str(find_free_port())) as chute:
        assert "OWN is from the module" in chute.command.output_text
