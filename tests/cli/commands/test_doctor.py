"""Each fault is made for real, found, and its fix named."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.platform import NewAccounts
from chutes_wrappers.emulator.host_launching import HostLauncher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, running_platform
from tests.commands import Commands, Ran, commands
from tests.scenario import MODULE as SOURCE
from tests.scenario import ROOT

MODULE = SOURCE.format(
    name="case",
    base="vendor/case:1",
    ports=[9000],
    env={},
    static_routes=[],
    expose="",
    image_arguments="",
    tunnel=False,
)
NO_SUCH_IMAGE = {"message": "No such image"}
MANIFEST = {"version": 1, "routes": [{"path": "/a", "method": "GET", "port": 9000, "target_path": "/a"}]}


class Machine:
    """A home folder, an account, a folder with one good module, and the command line."""

    def __init__(self, folder: Path, platform: RunningPlatform, running: Commands) -> None:
        self.folder = folder
        self.config = folder / "config.ini"
        self.url = platform.url
        self._commands = running
        self.variables = {"HOME": str(folder), "CHUTES_CONFIG_PATH": str(self.config), "DOCKER_HOST": ""}
        (folder / "deploy_case.py").write_text(MODULE)
        (folder / "deploy_case.routes.json").write_text(json.dumps(MANIFEST))

    def examined(self, **variables: str) -> tuple[Ran, dict[str, dict[str, Any]]]:
        """What ``--doctor --json`` ran like, and its findings by "group name", those that are not ok."""
        ran = self._commands.run("--doctor", "--json", variables={**self.variables, **variables}, folder=self.folder)
        told = json.loads(ran.stdout)
        return ran, {f"{one['group']} {one['name']}": one for one in told["findings"] if one["severity"] != "ok"}

    def edit(self, old: str, new: str) -> None:
        self.config.write_text(self.config.read_text().replace(old, new))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    folder = tmp_path_factory.mktemp("platform")
    settings = Settings(folder=folder, docker=False, new_accounts=NewAccounts(balance=100.0))
    with running_platform(settings, HostLauncher()) as running:
        yield running


@pytest.fixture(scope="module")
def account(platform: RunningPlatform) -> accounts.Account:
    return accounts.register(platform.url, "patient")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_", "DOCKER"))}
    with commands(tmp_path_factory.mktemp("commands"), {**kept, "PYTHONPATH": str(ROOT)}) as made:
        yield made


@pytest.fixture
def machine(tmp_path: Path, platform: RunningPlatform, account: accounts.Account, running: Commands) -> Machine:
    made = Machine(tmp_path, platform, running)
    accounts.write_config(account, platform.url, made.config)
    return made


def test_a_clean_machine_has_nothing_that_would_fail(machine: Machine) -> None:
    ran, found = machine.examined()
    assert ran.code == 0, found
    assert {one["severity"] for one in found.values()} <= {"note", "warning"}
    assert not [name for name in found if name.startswith(("account", "modules", "environment"))]


def expect(machine: Machine, name: str, severity: str, fix: str, **variables: str) -> None:
    ran, found = machine.examined(**variables)
    assert name in found, found
    assert found[name]["severity"] == severity
    assert fix in found[name]["fix"], found[name]
    assert ran.code == (1 if any(one["severity"] == "failure" for one in found.values()) else 0)
    assert "Traceback" not in ran.stderr


def test_no_account_is_a_warning_for_who_works_here(machine: Machine) -> None:
    machine.config.unlink()
    expect(machine, "account file", "warning", "setup.sh")


def test_a_config_that_lacks_fields(machine: Machine) -> None:
    machine.config.write_text("[auth]\nusername = x\n")
    expect(machine, "account file", "failure", "setup.sh --account")


def test_a_config_that_is_binary(machine: Machine) -> None:
    machine.config.write_bytes(b"\xff\xfe\0")
    expect(machine, "account file", "failure", "register")


def test_a_config_that_others_may_read(machine: Machine) -> None:
    machine.config.chmod(0o644)
    expect(machine, "account mode", "warning", f"chmod 600 {machine.config}")


def test_a_seed_that_is_none(machine: Machine, account: accounts.Account) -> None:
    machine.edit(account.seed, "zz")
    expect(machine, "account signature", "failure", "64 hexadecimal digits")


def test_a_seed_of_another_hotkey(machine: Machine, account: accounts.Account) -> None:
    machine.edit(account.seed, accounts.new_seed())
    expect(machine, "account signature", "failure", "")


def test_an_account_that_the_platform_does_not_know(machine: Machine, account: accounts.Account) -> None:
    seed = accounts.new_seed()
    machine.edit(account.seed, seed)
    machine.edit(account.hotkey, accounts.keypair(seed).ss58_address)
    expect(machine, "account signature", "failure", str(machine.config))


def test_a_username_that_is_not_the_accounts(machine: Machine) -> None:
    machine.edit("username = patient", "username = somebody")
    expect(machine, "account username", "failure", "username = patient")


def test_a_variable_that_names_another_user(machine: Machine) -> None:
    expect(machine, "account CHUTES_USERNAME", "failure", "unset CHUTES_USERNAME", CHUTES_USERNAME="other")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ftp://127.0.0.1", "nonsense"])
def test_an_api_that_is_not_there(machine: Machine, url: str) -> None:
    machine.edit(machine.url, url)
    expect(machine, "account platform", "failure", "base_url")


def test_a_timeout_that_is_no_number(machine: Machine) -> None:
    expect(machine, "account platform", "failure", "such as 30", CHUTES_API_TIMEOUT="soon")


class _Late(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response_only(200)
        self.send_header("Date", "Mon, 02 Jan 2023 03:04:05 GMT")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def test_a_clock_outside_of_the_signatures_window(machine: Machine) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Late)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        machine.edit(machine.url, f"http://127.0.0.1:{server.server_port}")
        expect(machine, "account clock", "failure", "timedatectl")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_balance_below_that_of_a_build(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = Settings(folder=tmp_path_factory.mktemp("poor"), docker=False, new_accounts=NewAccounts(balance=3.0))
    with running_platform(settings, HostLauncher()) as poor:
        accounts.write_config(accounts.register(poor.url, "poor"), poor.url, machine.config)
        expect(machine, "account balance", "warning", "pay in to")


@pytest.mark.parametrize(
    ("host", "fix"),
    [
        ("unix:///nowhere/docker.sock", "DOCKER_HOST"),
        ("tcp://127.0.0.1:9", "DOCKER_HOST"),
        ("nonsense://x", "DOCKER_HOST"),
    ],
)
def test_an_engine_that_does_not_answer_is_no_failure(machine: Machine, host: str, fix: str) -> None:
    expect(machine, "docker engine", "warning", fix, DOCKER_HOST=host)


def test_a_docker_context_that_is_not_there(machine: Machine) -> None:
    expect(machine, "docker engine", "warning", "docker context use", DOCKER_CONTEXT="elsewhere")


def test_a_socket_that_nobody_serves(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    expect(machine, "docker engine", "warning", "start the engine", DOCKER_HOST=f"unix://{path}")


@pytest.mark.parametrize(
    ("source", "fix"),
    [
        ("CHUTE_NAME = \n", "correct it"),
        ('CHUTE_NAME = "case"\n', "deploy_example.py"),
        (MODULE.replace("[9000]", "[0]"), "SERVICE_PORTS"),
    ],
)
def test_a_module_that_cannot_be_read(machine: Machine, source: str, fix: str) -> None:
    (machine.folder / "deploy_case.py").write_text(source)
    expect(machine, "modules deploy_case.py", "failure", fix)


def test_a_module_name_that_the_platform_refuses(machine: Machine) -> None:
    (machine.folder / "deploy_Case.py").write_text(MODULE)
    expect(machine, "modules deploy_Case.py", "failure", "rename it")


def test_a_module_without_a_manifest(machine: Machine) -> None:
    (machine.folder / "deploy_case.routes.json").unlink()
    expect(machine, "modules deploy_case.py", "note", "--discover deploy_case")


def test_a_broken_manifest(machine: Machine) -> None:
    (machine.folder / "deploy_case.routes.json").write_text("{")
    expect(machine, "modules deploy_case.py", "failure", "discover")


def test_a_manifest_of_another_image(machine: Machine) -> None:
    told = {**MANIFEST, "image": {"reference": "vendor/other:1"}}
    (machine.folder / "deploy_case.routes.json").write_text(json.dumps(told))
    expect(machine, "modules deploy_case.py", "failure", "--discover deploy_case")


def test_hotkeys_that_others_may_read(machine: Machine) -> None:
    hotkey = machine.folder / ".bittensor" / "wallets" / "w" / "hotkeys" / "h"
    hotkey.parent.mkdir(parents=True)
    hotkey.write_text("{}")
    hotkey.chmod(0o644)
    expect(machine, "wallet mode", "warning", f"chmod 600 {hotkey}")


def test_nothing_secret_is_shown(machine: Machine, account: accounts.Account) -> None:
    machine.edit(account.hotkey, "5" + account.hotkey[1:][::-1])
    ran, _ = machine.examined()
    assert account.seed not in ran.stdout + ran.stderr


def test_people_see_groups_and_fixes(machine: Machine) -> None:
    ran = machine._commands.run("--doctor", variables={**machine.variables}, folder=machine.folder)
    assert [line for line in ran.stdout.splitlines() if not line.startswith(" ")] == [
        "environment",
        "docker",
        "account",
        "wallet",
        "modules",
    ]
    assert sys.executable in ran.stdout


def test_what_chutes_would_refuse_of_a_module(machine: Machine) -> None:
    cord = '@chute.cord(public_api_path="/put", public_api_method="PUT")\nasync def put(self):\n    return {}\n'
    (machine.folder / "deploy_case.py").write_text(f"{MODULE}\n\n{cord}")
    expect(machine, "modules deploy_case.py", "failure", "POST")


def test_a_module_that_ends_when_it_is_loaded(machine: Machine) -> None:
    (machine.folder / "deploy_case.py").write_text(f"{MODULE}\nraise SystemExit(3)\n")
    expect(machine, "modules deploy_case.py", "failure", "")


@pytest.fixture
def engine_that_tells(request: pytest.FixtureRequest) -> Iterator[str]:
    """An engine that says of itself what the test wants; its DOCKER_HOST."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = {
                "version": {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24"},
                "info": {
                    "ServerVersion": "20.10.24",
                    "OperatingSystem": "Debian",
                    "Architecture": "x86_64",
                    **request.param,
                },
            }
            is_there = "images" not in self.path
            told = json.dumps(answers.get(self.path.rpartition("/")[2], {}) if is_there else NO_SUCH_IMAGE).encode()
            self.send_response(200 if is_there else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("engine_that_tells", "name", "severity", "fix"),
    [
        ({"Architecture": "aarch64"}, "architecture", "warning", "amd64"),
        ({"Runtimes": {"runc": {}}}, "GPU runtime", "note", "NVIDIA Container Toolkit"),
        ({"DockerRootDir": "/proc"}, "disk space", "warning", "docker system prune"),
    ],
    indirect=["engine_that_tells"],
)
def test_an_engine_that_can_do_less(
    machine: Machine, engine_that_tells: str, name: str, severity: str, fix: str
) -> None:
    expect(machine, f"docker {name}", severity, fix, DOCKER_HOST=engine_that_tells)
