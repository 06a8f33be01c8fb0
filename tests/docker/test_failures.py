"""Ctrl-C, kills and an engine that goes away: a clear end, and nothing left."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from chutes_wrappers.host.container_engine.docker_engine import LABEL, DockerEngine
from tests.scenario import ROOT, Scenario, make_environment, run_command

from . import bases

pytestmark = pytest.mark.docker


class Running:
    """A command line that is under way."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chutes_wrappers.cli.main", *arguments],
            cwd=ROOT,
            env={**make_environment(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def until(self, matches: Callable[[str], bool]) -> None:
        """Read until a line matches."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if matches(line):
                return
        pytest.fail("it ended before\n" + "".join(self.lines))

    def end(self) -> tuple[int, str]:
        """Exit code, and all that it printed."""
        rest, _ = self.process.communicate(timeout=90)
        return self.process.returncode, "".join(self.lines) + rest


@pytest.fixture
def silent(engine: DockerEngine, tmp_path: Path) -> Scenario:
    """A service on another port than the module says: discovery of it waits until it is stopped."""
    return Scenario(tmp_path, "silent", bases.image("python3-no-pip"), [9191])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_discovery_removes_its_container(silent: Scenario, number: signal.Signals) -> None:
    silent.manifest.write_text("[]")
    with Running("--discover", str(silent.module), "--yes") as running:
        running.until(lambda line: "echo service listens" in line)
        running.process.send_signal(number)
        code, output_text = running.end()
    assert code == 130, output_text
    assert "Traceback" not in output_text
    assert silent.manifest.read_text() == "[]"


@pytest.mark.alone
def test_what_a_killed_command_left_is_removed_by_the_next_one(silent: Scenario) -> None:
    with Running("--discover", str(silent.module), "--yes") as running:
        running.until(lambda line: "echo service listens" in line)
        running.process.kill()
        running.end()
    client = docker.from_env()
    try:
        assert len(client.containers.list(all=True, filters={"label": LABEL})) == 1
        with Running(
            "--discover", str(silent.module), "--startup-delay", "0", "--probe-timeout", "1", "--yes"
        ) as again:
            again.end()
        assert client.containers.list(all=True, filters={"label": LABEL}) == []
    finally:
        client.close()


@pytest.mark.alone
def test_an_interrupted_build_stops_building(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(
        tmp_path, "halted", bases.image("python3-no-pip"), [9090], image_arguments="python_version='3.10'"
    )
    scenario.discover()
    before = containers()
    with Running("--build", str(scenario.module), "--local", "--yes") as running:
        running.until(lambda line: "sdk.sh" in line)
        wait_until(lambda: containers() > before)
        running.process.send_signal(signal.SIGINT)
        code, output_text = running.end()
    assert code == 130, output_text
    assert "Traceback" not in output_text
    wait_until(lambda: containers() <= before)


def containers() -> set[str]:
    """The ids of every container of the engine, whoever made it."""
    listed = subprocess.run(["docker", "ps", "-aq"], capture_output=True, text=True, check=True).stdout
    return set(listed.split())


def wait_until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    """Fails when the condition does not come true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    """A second address of the engine, which can be cut."""
    between = Relay(tmp_path / "engine.sock")
    yield between
    between.cut()


class Relay:
    """Passes connections on to the engine's socket until it is cut."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._connections: list[socket.socket] = []
        self._path = path
        self._is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop every connection, and take no more."""
        self._is_cut = True
        self._path.unlink(missing_ok=True)
        for connection in [self._listener, *self._connections]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        while not self._is_cut:
            try:
                client, _ = self._listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect("/var/run/docker.sock")
            except OSError:
                return
            self._connections += [client, engine]
            for source, sink in ((client, engine), (engine, client)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_an_engine_that_goes_away_during_a_build_fails_it(engine: DockerEngine, tmp_path: Path, relay: Relay) -> None:
    scenario = Scenario(
        tmp_path, "orphan", bases.image("python3-no-pip"), [9090], image_arguments="python_version='3.11'"
    )
    scenario.discover()
    with Running("--build", str(scenario.module), "--local", "--yes", DOCKER_HOST=relay.url) as running:
        running.until(lambda line: "sdk.sh" in line)
        relay.cut()
        code, output_text = running.end()
    assert code == 1, output_text
    assert "the build failed" in output_text
    assert "Next:" in output_text
    assert "Traceback" not in output_text


@pytest.mark.alone
def test_an_engine_that_goes_away_during_discovery_is_named(silent: Scenario, relay: Relay) -> None:
    with Running("--discover", str(silent.module), "--yes", DOCKER_HOST=relay.url) as running:
        running.until(lambda line: "echo service listens" in line)
        relay.cut()
        code, output_text = running.end()
    assert code == 1, output_text
    assert "engine" in output_text
    assert "Traceback" not in output_text
    for container in docker.from_env().containers.list(filters={"label": LABEL}):
        container.remove(force=True)


def test_a_service_that_needs_root_is_told_by_run_docker(engine: DockerEngine, tmp_path: Path) -> None:
    base = bases.built_from_scratch(
        "needs-root",
        f'FROM {bases.image("echo")}\nCOPY start.sh /start.sh\nRUN chmod 700 /start.sh\nCMD ["/start.sh"]\n',
        {"start.sh": "#!/bin/sh\nexec python3 /srv/echo/service.py\n"},
    )
    scenario = Scenario(tmp_path, "root", base, [9090], image_arguments="python_version='3.11'")
    scenario.discover()
    scenario.build()
    done = run_command("--run-docker", str(scenario.module), "--yes", timeout_s=50)
    assert done.returncode == 1
    assert "uid 1000" in done.stderr
    assert "/start.sh" in done.stderr
