"""The README's commands that need Docker, run as they stand: on a copy of the project, by somebody with a home of their own."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from docs.record import copy_project
from tests.docs.readme import ReadmeTerminal
from tests.emulator_process import READY as SERVING
from tests.emulator_process import run_emulator_process
from tests.scenario import READY

from . import bases

pytestmark = pytest.mark.docker

BASE = "python:3.12-slim"  # what the examples are built on


@pytest.fixture(scope="module")
def project(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project; what its Dockerfiles begin with is in the engine."""
    is_there = subprocess.run(["docker", "image", "inspect", BASE], capture_output=True, check=False).returncode == 0
    if not is_there:
        subprocess.run(["docker", "tag", bases.image("python-venv"), BASE], check=True)
    yield copy_project(tmp_path_factory.mktemp("project"))
    if not is_there:
        subprocess.run(["docker", "rmi", BASE], check=True, capture_output=True)


@pytest.fixture
def terminal(project: Path, tmp_path: Path) -> ReadmeTerminal:
    return ReadmeTerminal(project, tmp_path)


@pytest.fixture
def platform(terminal: ReadmeTerminal, tmp_path: Path) -> Iterator[str]:
    """The URL of an emulator, and at the terminal nothing yet that knows it but the variable."""
    with run_emulator_process(tmp_path) as variables:
        terminal.variables.update(variables)
        yield variables["CHUTES_API_URL"]


def registered(terminal: ReadmeTerminal) -> None:
    """Go through the wizard, which also makes the API key that calls need."""
    replies = {"What to do": "2", "Username": "newcomer", "Sign with": "n", "Make an API key": "y"}
    assert "knows this account as newcomer" in terminal.run("./setup.sh --account", replies)


def test_from_an_image_to_a_chute_that_existing_clients_use(terminal: ReadmeTerminal, platform: str) -> None:
    terminal.run("docker build -t completions:latest examples/completions")
    terminal.run("./deploy.sh --create completions:latest --name chat")
    assert "matches the service: 4 routes" in terminal.run("./deploy.sh --discover deploy_chat --check")
    assert "5 proven · 0 not proven · 0 failing" in terminal.run("./deploy.sh --emulate deploy_chat --check")
    registered(terminal)
    terminal.run("./deploy.sh --build deploy_chat", {r"directly all the same\? \[y/N\]": "y"})
    terminal.run("./deploy.sh --deploy deploy_chat", {r"\[y/N\]": "y"})
    terminal.run("./deploy.sh --warmup chat")
    assert "5 equal, 0 different" in terminal.run("./deploy.sh --verify deploy_chat", {r"\[y/N\]": "y"})
    output_text = terminal.run('./deploy.sh --call chat /v1/embeddings -d \'{"input": "a container"}\'')
    assert '"embedding"' in output_text
    with terminal.running("./deploy.sh --forward deploy_chat", until=READY):
        assert "markov-1" in terminal.run("curl http://127.0.0.1:8090/v1/models")


def test_the_sample_step_by_step(terminal: ReadmeTerminal) -> None:
    terminal.run("docker build -t morse-sample:latest examples/morse")
    terminal.run("./deploy.sh --discover deploy_example --yes")
    terminal.run("./deploy.sh --build deploy_example --local")
    with terminal.running("./deploy.sh --run-docker deploy_example", until=READY) as output_text:
        match = re.search(r"ready after \d+ s at http://127\.0\.0\.1:(\d+)", output_text)
        assert match, output_text
        port = {"32785": match[1]}
        encoded = terminal.run(
            "curl -X POST http://127.0.0.1:32785/encode -H 'Content-Type: application/json' -d '{\"text\": \"SOS\"}'",
            instead=port,
        )
        assert '{"morse": "... --- ..."}' in encoded
        forward = (
            "./deploy.sh --forward deploy_example --url http://127.0.0.1:32785 --listen 18020:8020 --listen 18080:8080"
        )
        with terminal.running(forward, until=READY, instead=port):
            speak = ["curl", "-s", "http://127.0.0.1:18020/speak", "--json", '{"text": "SOS"}', "-o", "hello.wav"]
            subprocess.run(speak, cwd=terminal.folder, check=True)
            response_text = terminal.run("curl http://127.0.0.1:18080/inference -F file=@hello.wav")
            assert '"text": "SOS"' in response_text or '"text":"SOS"' in response_text


def test_a_module_on_the_platform(terminal: ReadmeTerminal, platform: str) -> None:
    module = terminal.folder / "deploy_myservice.py"
    module.write_text((terminal.folder / "deploy_example.py").read_text().replace('"morse-example"', '"myservice"'))
    terminal.run("docker build -t morse-sample:latest examples/morse")
    terminal.variables["HF_TOKEN"] = "a token of somebody"
    discover = ".venv/bin/python tools/discover_routes.py --chute-file deploy_myservice.py --docker-env DEBUG=1 --docker-env HF_TOKEN --shm-size 8g"
    assert "a token of somebody" not in terminal.run(discover, {r"\]: ": ""})
    registered(terminal)
    terminal.run("./deploy.sh --build deploy_myservice", {r"directly all the same\? \[y/N\]": "y"})
    terminal.run("./deploy.sh --deploy deploy_myservice", {r"\[y/N\]": "y"})
    terminal.run("./deploy.sh --warmup myservice")
    assert "active" in terminal.run("./deploy.sh --status myservice")
    assert "... --- ..." in terminal.run('./deploy.sh --call myservice /encode -d \'{"text": "SOS"}\'')
    (terminal.folder / "body.json").write_text('{"text": "SOS"}')
    terminal.run("./deploy.sh --call myservice /speak -d @body.json --output sos.wav")
    shutil.copy(terminal.folder / "sos.wav", terminal.folder / "hello.wav")
    assert "SOS" in terminal.run("./deploy.sh --call myservice /inference -F file=@hello.wav -F response_format=text")
    assert '"status"' in terminal.run("./deploy.sh --call myservice '/alphabet?letters=SO' --json")
    with terminal.running("./deploy.sh --forward deploy_myservice", until=READY):
        pass


def test_the_sdks_own_command_builds_at_the_emulator(terminal: ReadmeTerminal) -> None:
    terminal.run("docker build -t morse-sample:latest examples/morse")
    emulator = ".venv/bin/python tools/emulator.py --folder state --config emulated.ini --username tester"
    with terminal.running(emulator, until=SERVING):
        build = "CHUTES_CONFIG_PATH=$PWD/emulated.ini .venv/bin/chutes build deploy_example:chute --wait"
        output_text = terminal.run(build, {"see the rest": "n", r"[Cc]onfirm": "y"})
    assert "built and pushed" in output_text
