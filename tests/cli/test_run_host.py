"""``--run``: the chute on the host, in the SDK's real dev mode, beside a service that runs here too."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenario import OLD_PLACEMENT, ROOT, Scenario, command, free_port

ECHO = ROOT / "tests" / "upstreams" / "echo_service.py"
ROUTES = [{"path": "/echo", "method": method} for method in ("GET", "POST", "PUT")]


@pytest.fixture
def service_port() -> Iterator[int]:
    """The echo service on a port of its own."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "HOST": "127.0.0.1"}
    with subprocess.Popen([sys.executable, str(ECHO)], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield port
        process.terminate()


def test_the_chute_serves_the_hosts_service_until_ctrl_c(service_port: int, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "host", "vendor/unused:1", [service_port], static_routes=ROUTES)
    port = free_port()
    with scenario.running("--run", "--port", str(port)) as chute:
        assert chute.base_url == f"http://127.0.0.1:{port}"
        assert "all 3 cords are served" in chute.command.said
        assert re.search(r"Try it: +curl http://127\.0\.0\.1", chute.command.said)
        assert chute.get("/echo", x="1").json() == {"method": "GET", "query": {"x": "1"}}
        assert chute.post("/echo", {"n": 1}, x="2").json() == {"method": "POST", "query": {"x": "2"}, "body": {"n": 1}}
        assert chute.post("/echo/put", {"n": 2}).json() == {"method": "PUT", "query": {}, "body": {"n": 2}}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))


def test_a_module_that_the_platform_would_refuse_runs_with_a_warning(service_port: int, tmp_path: Path) -> None:
    old = Scenario(tmp_path, "old", "vendor/unused:1", [service_port], static_routes=ROUTES, placement=OLD_PLACEMENT)
    with old.running("--run", "--port", str(free_port())) as chute:
        assert "! Chutes would refuse this: " in chute.command.said
        assert (
            '    tee=True,\n    node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),\n' in chute.command.said
        )
        assert chute.get("/echo", x="1").json() == {"method": "GET", "query": {"x": "1"}}


def test_a_port_in_use_is_named_with_the_flag(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = str(server.getsockname()[1])
        module = Scenario(tmp_path, "taken", "vendor/unused:1", [9090]).module
        done = command("--run", str(module), "--port", taken)
    assert done.returncode == 2
    assert taken in done.stderr
    assert "--port" in done.stderr


def test_a_module_that_the_sdk_cannot_load_shows_why(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "broken", "vendor/unused:1", [9090])
    scenario.module.write_text(scenario.module.read_text() + "\nraise RuntimeError('no such luck')\n")
    done = command("--run", str(scenario.module), "--port", str(free_port()))
    assert done.returncode == 2
    assert "no such luck" in done.stderr
    assert "Next:" in done.stderr


def test_keys_of_the_manifest_that_mean_nothing_are_named_on_the_screen(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "keys", "vendor/unused:1", [9090])
    scenario.manifest.write_text('[{"path": "/a", "sream": true}]')
    scenario.module.write_text(scenario.module.read_text() + "\nraise RuntimeError('far enough')\n")
    done = command("--run", str(scenario.module), "--port", str(free_port()))
    assert (
        "deploy_keys.routes.json: keys without a meaning here are ignored: sream (did you mean stream?)" in done.stderr
    )


@pytest.mark.parametrize("port", [8000, 8001, 8002, 80])
def test_a_port_that_no_instance_gives_its_service_is_refused_before_anything_starts(tmp_path: Path, port: int) -> None:
    done = command("--run", str(Scenario(tmp_path, "port", "vendor/unused:1", [port]).module))
    assert done.returncode == 2
    assert f"port {port} " in done.stderr
    assert "SERVICE_PORTS = [" in done.stderr
    assert "Starting" not in done.stderr


def test_variables_of_the_service_do_not_replace_those_that_the_chute_needs(service_port: int, tmp_path: Path) -> None:
    env = {"PYTHONPATH": "/nowhere", "CHUTES_ROUTE_MANIFEST": "/nowhere", "OWN": "from the module"}
    scenario = Scenario(tmp_path, "env", "vendor/unused:1", [service_port], env=env, static_routes=ROUTES)
    text = scenario.module.read_text() + "\nimport os\nprint('OWN is', os.environ.get('OWN'))\n"
    scenario.module.write_text(text)
    with scenario.running("--run", "--port", str(free_port())) as chute:
        assert "OWN is from the module" in chute.command.said
