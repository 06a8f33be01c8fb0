"""``--forward``: the services' own API in front of a chute that ``--run`` serves, as two commands in two terminals."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import requests

from chutes_wrappers.cli.commands.forward import local_ports
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import Settings, running_platform
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.scenario import Scenario, command, free_port, until_interrupted
from tests.upstreams.http_fixture import EVERY_BYTE, HttpFixture

TUNNEL = "\nfrom tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, SERVICE_PORTS)\n"
ROUTES = [{"path": "/bytes", "method": "GET"}, {"path": "/echo"}]


def test_a_client_of_the_service_works_through_the_tunnel_and_the_routes(service: HttpFixture, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "forwarded", "vendor/unused:1", [service.port], static_routes=ROUTES)
    without_tunnel = scenario.module.read_text()
    scenario.module.write_text(without_tunnel + TUNNEL)
    local = free_port()
    home = {"HOME": str(tmp_path)}
    with scenario.running("--run", "--port", str(free_port())) as chute:
        forward = ("--forward", str(scenario.module), "--url", chute.base_url, "--listen", f"{local}:{service.port}")
        with until_interrupted(*forward, variables=home) as forwarder:
            through = f"http://127.0.0.1:{local} is port {service.port} of {chute.base_url}, through its tunnel"
            assert through in forwarder.said
            answer = requests.delete(f"http://127.0.0.1:{local}/Echo/A.b", headers={"X-A": "1"}, timeout=60)
            assert answer.json()["headers"]["X-A"] == "1"
        scenario.module.write_text(without_tunnel)
        with until_interrupted(*forward, variables=home) as forwarder:
            assert "register_tunnel(chute, SERVICE_PORTS)" in forwarder.said
            answer = requests.get(f"http://127.0.0.1:{local}/bytes", timeout=60)
            assert (answer.content, answer.headers["Content-Type"]) == (EVERY_BYTE, "audio/wav")


def test_a_chute_on_the_emulator_is_called_with_the_key_that_it_wants(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "emulated", "vendor/unused:1", [9000], static_routes=[{"path": "/greet"}])
    with running_platform(
        Settings(registration_token=TOKEN, folder=tmp_path / "state", docker=False), HostLauncher()
    ) as emulator:
        user = Client.registered(emulator.url, "tester")
        user.built()
        assert user.deploy(name="case-emulated").ok
        key = user.key(admin=True)["secret_key"]
        local = free_port()
        variables = {"HOME": str(tmp_path), "CHUTES_API_KEY": key, "CHUTES_API_URL": emulator.url}
        with until_interrupted(
            "--forward", str(scenario.module), "--listen", f"{local}:9000", variables=variables
        ) as forwarder:
            assert f"tester-case-emulated.localhost:{emulator.port}" in forwarder.said
            answer = requests.post(f"http://127.0.0.1:{local}/greet", json={"name": "you"}, timeout=60)
            assert answer.json() == {"hello": "you"}, forwarder.said


def test_a_port_in_use_is_named_with_the_flag(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        module = Scenario(tmp_path, "taken", "vendor/unused:1", [port]).module
        done = command("--forward", str(module), "--url", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert "--listen" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["--url", "https://tester-case.chutes.ai"]])
def test_without_a_key_nothing_is_asked(tmp_path: Path, arguments: list[str]) -> None:
    module = Scenario(tmp_path, "keyless", "vendor/unused:1", [9090]).module
    done = command("--forward", str(module), *arguments, variables={"HOME": str(tmp_path)})
    assert done.returncode == 2
    assert "CHUTES_API_KEY" in done.stderr


def test_an_unreachable_platform_is_exit_code_1_and_shows_no_key(tmp_path: Path) -> None:
    module = Scenario(tmp_path, "alone", "vendor/unused:1", [9090]).module
    platform = {"CHUTES_API_KEY": "cpk_secret", "CHUTES_API_URL": f"http://127.0.0.1:{free_port()}", "HOME": os.devnull}
    done = command("--forward", str(module), "--debug", variables=platform)
    assert done.returncode == 1
    assert "cpk_secret" not in done.stderr


def test_ports_are_the_services_own_or_those_that_are_named() -> None:
    assert local_ports([], [8020, 8080]) == {8020: 8020, 8080: 8080}
    assert local_ports(["18020:8020", "28020:8020"], [8020, 8080]) == {18020: 8020, 28020: 8020}


@pytest.mark.parametrize("listen", ["8020", "a:8020", "0:8020", "70000:8020", "18020:9", "18020:", "1:8020:2"])
def test_a_pair_of_ports_that_makes_no_sense_is_refused(listen: str) -> None:
    with pytest.raises(ConfigurationError):
        local_ports([listen], [8020])
    with pytest.raises(ConfigurationError):
        local_ports(["18020:8020", "18020:8020"], [8020])
