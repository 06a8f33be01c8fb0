"""The whole platform: instances behind the API, calls with API keys, and the state after a kill."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
import requests

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.page.page_access import SECRET_HEADER
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from tests.accepted_sockets import sends_small_pieces_immediately
from tests.commands import Commands
from tests.emulator.api.client import CODE, Client, make_bearer_header
from tests.emulator.tokens import TOKEN
from tests.fork_server import CHUTES as SDK_COMMAND
from tests.forked_processes import start_forked
from tests.scenario import ROOT, find_free_port

CHUTES = Path(sys.executable).parent / "chutes"
EMULATOR = "chutes_wrappers.emulator.__main__:main"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    settings = Settings(registration_token=TOKEN, folder=tmp_path_factory.mktemp("state"), docker=False)
    with run_platform(settings, HostLauncher()) as running:
        yield running


@pytest.fixture(scope="module")
def owner(platform: RunningPlatform) -> Client:
    """A user with a chute that is hot."""
    user = Client.register(platform.url, "tester")
    user.build_and_wait()
    assert user.deploy().ok
    assert user.post("/secrets/", {"purpose": "case", "key": "GREETING", "value": "hunter2"}).ok
    assert user.deploy(code=CODE.replace('"greeting"', "f\"greeting {__import__('os').environ['GREETING'][:4]}\"")).ok
    assert parse_events(user.get("/chutes/warmup/case"))[-1]["status"] == "hot"
    return user


def parse_events(response: requests.Response) -> list[dict[str, Any]]:
    """Return the data of a finished stream of events."""
    assert response.headers["content-type"].startswith("text/event-stream"), response.text
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]


def send_call(owner: Client, secret: str, slug: str = "tester-case") -> requests.Response:
    port = owner.url.rpartition(":")[2]
    headers = {**make_bearer_header(secret), "Host": f"{slug}.localhost:{port}"}
    return requests.post(f"{owner.url}/greet", json={"name": "you"}, headers=headers, timeout=60)


def test_the_listener_sends_small_pieces_immediately(platform: RunningPlatform) -> None:
    with socket.create_connection(("127.0.0.1", platform.port)) as client:
        client.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(1)
        assert sends_small_pieces_immediately(client)


def test_a_deployed_chute_is_hot_and_shows_its_instance(owner: Client) -> None:
    chute = owner.get("/chutes/case").json()
    (instance,) = chute["instances"]
    assert (chute["hot"], instance["active"], instance["verified"]) == (True, True, True)
    quick = owner.get("/chutes/warmup/case", quick="true").json()
    assert (quick["status"], quick["instance_count"]) == ("hot", 1)
    assert quick["instances"][0]["instance_id"] == instance["instance_id"]
    assert owner.get(f"/instances/{instance['instance_id']}").json()["state"] == "active"


def test_it_is_called_with_keys_that_may_invoke_it(owner: Client) -> None:
    chute_id = owner.get("/chutes/case").json()["chute_id"]
    scopes = [{"object_type": "chutes", "object_id": chute_id, "action": "invoke"}]
    assert send_call(owner, owner.create_key(name="invoke", scopes=scopes)["secret_key"]).json() == {"hello": "you"}
    assert send_call(owner, owner.create_key(name="admin", admin=True)["secret_key"]).status_code == 200
    read = owner.create_key(name="read", scopes=[{"object_type": "chutes", "action": "read"}])["secret_key"]
    assert send_call(owner, read).status_code == send_call(owner, "cpk_other").status_code == 401
    assert send_call(owner, read, slug="tester-other").status_code == 404


def test_only_users_it_is_shared_with_can_call_it(owner: Client) -> None:
    other = Client.register(owner.url, "second")
    secret = other.create_key(admin=True)["secret_key"]
    assert send_call(owner, secret).status_code == 401
    owner.post("/chutes/share", {"chute_id_or_name": "case", "user_id_or_name": "second"})
    assert send_call(owner, secret).status_code == 200
    instance_id = owner.get("/chutes/case").json()["instances"][0]["instance_id"]
    assert other.get(f"/instances/{instance_id}").status_code == 404


def test_what_it_prints_is_streamed_with_its_secret_in_its_environment(owner: Client) -> None:
    key = owner.create_key(name="logs", admin=True)["secret_key"]
    assert send_call(owner, key).status_code == 200
    instance_id = owner.get("/chutes/case").json()["instances"][0]["instance_id"]
    url = f"{owner.url}/instances/{instance_id}/logs"
    with requests.get(url, headers=make_bearer_header(key), stream=True, timeout=60) as stream:
        message = (json.loads(line[6:]).get("log", "") for line in stream.iter_lines(decode_unicode=True) if line)
        assert "greeting hunt" in message


def test_the_page_calls_it(owner: Client, platform: RunningPlatform) -> None:
    assert "Chutes on this machine" in requests.get(owner.url, timeout=60).text
    secret = {SECRET_HEADER: platform.page_url.partition("#")[2]}
    url = f"{owner.url}/emulator/call/tester-case/greet"
    assert requests.post(url, json={"name": "page"}, headers=secret, timeout=60).json() == {"hello": "page"}
    status = requests.get(f"{owner.url}/emulator/status.json", headers=secret, timeout=60).json()
    assert status["calls"][-1]["path"] == "/greet"


def test_a_deleted_chute_is_404(platform: RunningPlatform) -> None:
    user = Client.register(platform.url, "third")
    user.build_and_wait()
    user.deploy()
    parse_events(user.get("/chutes/warmup/case"))
    secret = user.create_key(admin=True)["secret_key"]
    assert send_call(user, secret, "third-case").status_code == 200
    user.delete_chute("case")
    assert send_call(user, secret, "third-case").status_code == 404


def test_warming_up_a_chute_that_cannot_start_returns_the_reason(platform: RunningPlatform) -> None:
    user = Client.register(platform.url, "fourth")
    user.build_and_wait()
    user.deploy(name="broken", code="raise SystemExit('no model')\n")
    last = parse_events(user.get("/chutes/warmup/broken"))[-1]
    assert (last["status"], "no model" in last["log"]) == ("cold", True)


def test_several_run_at_once(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                run_platform(Settings(registration_token=TOKEN, folder=tmp_path / str(number), docker=False))
            )
            for number in range(3)
        ]
        users = [Client.register(platform.url, "tester") for platform in running]
        for number, user in enumerate(users):
            user.build_and_wait(tag=f"v{number}")
        assert [user.get("/images/").json()["total"] for user in users] == [1, 1, 1]
        assert users[0].get("/images/case:v1").status_code == 404
        with (
            pytest.raises(ConfigurationError, match="another emulator"),
            run_platform(Settings(registration_token=TOKEN, folder=tmp_path / "0", docker=False)),
        ):
            pass
        with (
            pytest.raises(ConfigurationError, match="--port"),
            run_platform(
                Settings(registration_token=TOKEN, folder=tmp_path / "other", port=running[0].port, docker=False)
            ),
        ):
            pass


def test_no_other_user_can_listen_at_the_other_address_of_a_chutes_name(tmp_path: Path) -> None:
    """A browser tries ::1 first for a name below localhost."""
    with (
        run_platform(Settings(registration_token=TOKEN, folder=tmp_path, docker=False)) as platform,
        pytest.raises(OSError, match=r"in use|assign|not supported"),
    ):
        socket.create_server(("::1", platform.port), family=socket.AF_INET6)


def start_emulator(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start what ``python -m chutes_wrappers.emulator`` runs; standard error is a pipe."""
    return start_forked(
        EMULATOR,
        *("--folder", str(folder), "--no-docker", *arguments),
        cwd=ROOT,
        env=dict(os.environ),
        stderr=subprocess.PIPE,
    )


def run_to_the_end(folder: Path, *arguments: str) -> tuple[int, str]:
    """Return exit code and standard error of an emulator that ends by itself."""
    process = start_emulator(folder, *arguments)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@contextlib.contextmanager
def run_emulator(folder: Path, port: int = 0, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run an emulator with an account, and yield the process and its URL."""
    account = ("--config", str(folder / "config.ini"), "--username", "tester")
    with start_emulator(folder, "--port", str(port), *account, *more) as process:
        assert process.stderr is not None
        try:
            found = next(
                (match for line in process.stderr if (match := re.search(r"ready at (http://\S+)", line))), None
            )
            assert found is not None, f"it ended with {process.wait(60)}"
            yield process, found[1]
        finally:
            process.kill()
            process.stderr.read()


def test_state_survives_a_kill(tmp_path: Path) -> None:
    port = find_free_port()
    with run_emulator(tmp_path, port) as (process, url):
        user = Client(url, accounts.read_config(tmp_path / "config.ini"))
        user.build_and_wait()
        user.deploy()
        secret = user.create_key(admin=True)["secret_key"]
        assert parse_events(user.get("/chutes/warmup/case"))[-1]["status"] == "hot"
        before = user.get("/chutes/case").json()
        process.kill()
    with run_emulator(tmp_path, port) as (process, _):
        after = user.get("/chutes/case").json()
        assert (after["version"], after["cords"], after["slug"]) == (before["version"], before["cords"], before["slug"])
        assert (after["hot"], after["instances"]) == (False, [])
        assert send_call(user, secret).status_code == 503  # and an instance is requested
        assert parse_events(user.get("/chutes/warmup/case"))[-1]["status"] == "hot"
        assert send_call(user, secret).json() == {"hello": "you"}
        assert user.get("/images/case:v1").json()["status"] == "built and pushed"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_its_flags_allow_one_more_host_and_site(tmp_path: Path) -> None:
    with run_emulator(tmp_path, 0, "--allow-host", "box.example", "--allow-origin", "https://app.example") as (_, url):
        for headers, status in (
            ({"Host": "box.example"}, 200),
            ({"Host": "evil.example"}, 403),
            ({"Origin": "https://app.example"}, 200),
            ({"Origin": "https://evil.example"}, 403),
        ):
            assert requests.get(f"{url}/ping", headers=headers, timeout=60).status_code == status, headers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--allow-host", "*"), "'*' is not a valid host name"),
        (("--allow-origin", "null"), "'null' is not a valid origin"),
        (("--port", "99999"), "'99999' is not a valid port"),
    ],
)
def test_invalid_arguments_are_usage_errors(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    code, errors = run_to_the_end(tmp_path, *arguments)
    assert (code, message in errors, "Traceback" in errors) == (2, True, False), errors


def test_an_account_of_another_emulator_is_not_overwritten(tmp_path: Path) -> None:
    config = tmp_path / "config.ini"
    with run_emulator(tmp_path):
        before = config.read_text()
    code, errors = run_to_the_end(tmp_path / "new", "--config", str(config))
    assert (code, "set --config to another file" in errors) == (2, True), errors
    assert config.read_text() == before


def test_a_folder_in_use_exits_with_two(tmp_path: Path) -> None:
    with run_emulator(tmp_path) as (first, _):
        code, errors = run_to_the_end(tmp_path)
        assert code == 2
        assert f"another emulator uses this folder (pid {first.pid})" in errors
        started = time.monotonic()
        first.send_signal(signal.SIGINT)
        assert first.wait(60) == 0
        assert time.monotonic() - started < 30


@pytest.fixture(scope="module")
def command_line(owner: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the SDK's command line uses the owner's account."""
    config = tmp_path_factory.mktemp("config") / "config.ini"
    accounts.write_config(owner.account, owner.url, config)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHUTES_")}
    return {**inherited, "CHUTES_CONFIG_PATH": str(config), "NO_COLOR": "1"}


def test_the_command_line_gets_no_log_with_its_signature(
    owner: Client, command_line: dict[str, str], tmp_path: Path
) -> None:
    """As on the platform, which shows logs to API keys only (PLATFORM.md, section 5)."""
    argv = [str(CHUTES), "warmup", "case", "--stream-logs"]
    with subprocess.Popen(
        argv, cwd=tmp_path, env=command_line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert any("Log stream failed: 401" in line for line in process.stdout)
        finally:
            process.kill()


def test_the_command_lines_view_of_a_warm_up_sees_that_it_is_hot(
    owner: Client, command_line: dict[str, str], tmp_path: Path
) -> None:
    environment: Any = {**command_line, "TERM": "xterm"}
    view = pexpect.spawn(
        str(CHUTES), ["warmup", "case"], cwd=str(tmp_path), env=environment, dimensions=(40, 160), encoding="utf-8"
    )
    try:
        view.expect("HOT", timeout=60)
    finally:
        view.close(force=True)


def test_it_makes_an_account_for_the_command_line_and_keeps_it(tmp_path: Path) -> None:
    config = tmp_path / "config.ini"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHUTES_")}
    for _ in range(2):
        with run_emulator(tmp_path / "state", 0, "--config", str(config), "--username", "mine"):
            variables = {**inherited, "CHUTES_CONFIG_PATH": str(config)}
            done = Commands(tmp_path, variables, SDK_COMMAND).run("chutes", "list")
            assert "Found 0 matching chutes" in done.stderr
    assert "username = mine" in config.read_text()
