"""``--forward``: the services' original API in front of a chute of ``--run``, as two commands in two terminals."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import requests

from chutes_wrappers.cli.commands.forward import parse_local_ports, select_browser_name
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import Settings, run_platform
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.scenario import Scenario, find_free_port, run_command, until_interrupted
from tests.upstreams.http_fixture import EVERY_BYTE, HttpFixture

TUNNEL = "\nfrom tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, SERVICE_PORTS)\n"
ACCOUNT = f"""
[auth]
username = tester
user_id = 1
hotkey_seed = {"7" * 64}
hotkey_name = default
hotkey_ss58address = 5F
"""
ROUTES = [{"path": "/bytes", "method": "GET"}, {"path": "/echo"}]


def test_a_client_of_the_service_works_through_the_tunnel_and_the_routes(service: HttpFixture, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "forwarded", "vendor/unused:1", [service.port], static_routes=ROUTES)
    without_tunnel = scenario.module.read_text()
    scenario.module.write_text(without_tunnel + TUNNEL)
    local = find_free_port()
    home = {"HOME": str(tmp_path)}
    with scenario.running("--run", "--port", str(find_free_port())) as chute:
        forward = ("--forward", str(scenario.module), "--url", chute.base_url, "--listen", f"{local}:{service.port}")
        with until_interrupted(*forward, variables=home) as forwarder:
            through = f"http://127.0.0.1:{local} is port {service.port} of {chute.base_url}, through its tunnel"
            assert through in forwarder.output_text
            assert f"in a browser: http://case-forwarded.localhost:{local}" in forwarder.output_text
            response = requests.delete(f"http://127.0.0.1:{local}/Echo/A.b", headers={"X-A": "1"}, timeout=60)
            assert response.json()["headers"]["X-A"] == "1"
        scenario.module.write_text(without_tunnel)
        with until_interrupted(*forward, variables=home) as forwarder:
            assert "register_tunnel(chute, SERVICE_PORTS)" in forwarder.output_text
            response = requests.get(f"http://127.0.0.1:{local}/bytes", timeout=60)
            assert (response.content, response.headers["Content-Type"]) == (EVERY_BYTE, "audio/wav")


def test_another_users_chute_of_the_same_module_has_a_name_and_cookies_of_its_own() -> None:
    for own in (None, "http://127.0.0.1:32785", "http://tester-chat.localhost:8000"):
        assert select_browser_name("chat", own) == "chat.localhost"
    others = ["https://alice-chat.chutes.ai", "https://bob-chat.chutes.ai/", "https://alice-chat-chutes-ai.example"]
    names = {select_browser_name("chat", other) for other in others}
    assert len(names - {"chat.localhost", "alice-chat.localhost", "bob-chat.localhost"}) == len(others)


def test_a_chute_on_the_emulator_is_called_with_its_key(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "emulated", "vendor/unused:1", [9000], static_routes=[{"path": "/greet"}])
    with run_platform(
        Settings(registration_token=TOKEN, folder=tmp_path / "state", docker=False), HostLauncher()
    ) as emulator:
        user = Client.register(emulator.url, "tester")
        user.build_and_wait()
        assert user.deploy(name="case-emulated").ok
        assert user.get("/chutes/warmup/case-emulated").ok  # waits for an instance
        key = user.create_key(admin=False, scopes=[{"object_type": "chutes", "action": "invoke"}])["secret_key"]
        local = find_free_port()
        accounts.write_config(user.account, emulator.url, tmp_path / ".chutes" / "config.ini")
        variables = {"HOME": str(tmp_path), "CHUTES_API_KEY": key}
        with until_interrupted(
            "--forward", str(scenario.module), "--listen", f"{local}:9000", variables=variables
        ) as forwarder:
            assert f"tester-case-emulated.localhost:{emulator.port}" in forwarder.output_text
            response = requests.post(f"http://127.0.0.1:{local}/greet", json={"name": "you"}, timeout=60)
            assert response.json() == {"hello": "you"}, forwarder.output_text
        # The URL and the key that --emulate prints, as for --call; its account has no file.
        url = f"http://tester-case-emulated.localhost:{emulator.port}"
        keyed = {"HOME": str(tmp_path / "nobody"), "CHUTES_API_KEY": key}
        with until_interrupted(
            "--forward", str(scenario.module), "--url", url, "--listen", f"{local}:9000", variables=keyed
        ) as forwarder:
            response = requests.post(f"http://127.0.0.1:{local}/greet", json={"name": "you"}, timeout=60)
            assert response.json() == {"hello": "you"}, forwarder.output_text


def test_a_port_in_use_is_named_with_the_flag(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as port_in_use:
        port = port_in_use.getsockname()[1]
        module = Scenario(tmp_path, "taken", "vendor/unused:1", [port]).module
        done = run_command("--forward", str(module), "--url", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert "--listen" in done.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["--url", "https://tester-case.chutes.ai"], ["--url", "http://x.localhost:1"]]
)
def test_without_a_key_no_request_is_sent(tmp_path: Path, arguments: list[str]) -> None:
    module = Scenario(tmp_path, "keyless", "vendor/unused:1", [9090]).module
    done = run_command("--forward", str(module), *arguments, variables={"HOME": str(tmp_path)})
    assert done.returncode == 2
    assert "CHUTES_API_KEY" in done.stderr


def test_an_unreachable_platform_is_exit_code_1_and_shows_no_key(tmp_path: Path) -> None:
    module = Scenario(tmp_path, "alone", "vendor/unused:1", [9090]).module
    platform = {
        "CHUTES_API_KEY": "cpk_secret",
        "CHUTES_API_URL": f"http://127.0.0.1:{find_free_port()}",
        "HOME": str(tmp_path),
    }
    (tmp_path / ".chutes").mkdir()
    (tmp_path / ".chutes" / "config.ini").write_text(ACCOUNT)
    done = run_command("--forward", str(module), "--debug", variables=platform)
    assert done.returncode == 1
    assert "cpk_secret" not in done.stderr


def test_ports_are_the_services_own_or_those_that_are_named() -> None:
    assert parse_local_ports([], [8020, 8080]) == {8020: 8020, 8080: 8080}
    assert parse_local_ports(["18020:8020", "28020:8020"], [8020, 8080]) == {18020: 8020, 28020: 8020}


@pytest.mark.parametrize("listen", ["8020", "a:8020", "0:8020", "70000:8020", "18020:9", "18020:", "1:8020:2"])
def test_an_invalid_pair_of_ports_is_rejected(listen: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_local_ports([listen], [8020])
    with pytest.raises(ConfigurationError):
        parse_local_ports(["18020:8020", "18020:8020"], [8020])
