"""Errors of a command line are reported before the SDK is imported, here or in another process."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fork_server import TIMEOUT_S
from tests.scenario import ROOT, find_free_port, make_environment

# Exits with the command's code, and prints the number of started processes and the loaded slow libraries.
SCRIPT = """
import sys
from chutes_wrappers.cli.main import deploy
started = []
starts = ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.exec")
sys.addaudithook(lambda event, arguments: started.append(event) if event in starts else None)
try:
    deploy(sys.argv[1:], prog_name="./deploy.sh")
finally:
    slow = {"chutes", "aiohttp", "fastapi", "bittensor_wallet", "docker", "uvicorn"}
    print("started", len(started), "loaded", *slow & {*sys.modules})
"""
MODULE = """
from chutes.chute import Chute
CHUTE_NAME = "early"
CHUTE_TAG = "v1"
CHUTE_BASE_IMAGE = "vendor/unused:1"
SERVICE_PORTS = [{port}]
chute = Chute()
"""


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {**make_environment(), "CHUTES_API_KEY": "key", "HOME": str(folder), "CHUTES_USERNAME": "tester"}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=folder,
        env={**variables, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


def module(folder: Path, port: int = 18080) -> str:
    (folder / "deploy_early.py").write_text(MODULE.format(port=port))
    return "deploy_early"


NOTHING = "started 0 loaded\n"


def test_a_valid_command_starts_the_sdk(tmp_path: Path) -> None:
    done = run(tmp_path, "--run", module(tmp_path), "--port", str(find_free_port()))
    assert "TypeError: Chute.__init__()" in done.stderr
    assert done.stdout.startswith("started 1 loaded ")


@pytest.mark.parametrize(
    "words", ["discover", "build", "build --local", "emulate", "run-docker", "run", "deploy", "cost", "forward"]
)
def test_a_missing_module_is_reported_before_the_sdk_starts(words: str, tmp_path: Path) -> None:
    verb, *flags = words.split()
    done = run(tmp_path, f"--{verb}", "deploy_nowhere", *flags)
    assert done.returncode == 2
    assert "deploy module 'deploy_nowhere' not found" in done.stderr
    assert done.stdout == NOTHING


@pytest.mark.parametrize(
    "words",
    [
        "--run {} --port {}",
        "--emulate {} --port {}",
        "--forward {} --listen {}:18080",
        "--forward {} --url http://127.0.0.1:9",
    ],
)
def test_a_port_in_use_is_reported_before_the_sdk_starts(words: str, tmp_path: Path, busy_port: int) -> None:
    service_port = busy_port if "--url" in words else 18080
    done = run(tmp_path, *words.format(module(tmp_path, service_port), busy_port).split())
    assert done.returncode == 2, done.stderr
    assert f"port {busy_port} cannot be used" in done.stderr
    assert "Next: set another port with --" in done.stderr
    assert done.stdout.startswith("started 0 ")
    assert "--url" in words or done.stdout == NOTHING


@pytest.mark.parametrize(
    ("words", "output_text"),
    [
        ("--run {} --port abc", "'abc' is not a port: a number from 1 to 65535"),
        ("--emulate {} --watch soon", "'soon' is not a number of seconds: give 0 or more"),
        ("--discover {} --docker-gpus some", "'some' is not a number of GPUs"),
        ("--forward {} --listen x", "'x' is not a pair of ports"),
        ("--emulate {} --allow-host a/b", "'a/b' is not a valid host name"),
        ("--build {} --local --json", "--json cannot be used with --build --local"),
        ("--create vendor/unused:1 --name A!", "'A!' is not a valid name for a chute"),
    ],
)
def test_an_invalid_value_is_reported_before_the_sdk_starts(words: str, output_text: str, tmp_path: Path) -> None:
    done = run(tmp_path, *words.format(module(tmp_path)).split())
    assert done.returncode == 2
    assert output_text in " ".join(done.stderr.split())
    assert done.stdout == NOTHING
