"""Tracebacks in every kind of process that this project starts: none shows the value of a variable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chutes_wrappers.core import layout
from chutes_wrappers.emulator.docker_launcher import build_container_spec
from chutes_wrappers.emulator.launcher import RUNNER_SOURCE
from chutes_wrappers.host import processes
from tests.emulator.platforms import make_chute_record

ROOT = Path(__file__).resolve().parents[1]
SECRET = "secret-4711"
# The secret is in a variable, not in the source. The module fails when it is loaded, so that each kind of process reaches it.
MODULE = """
from loguru import logger

def fail(token):
    headers = {"authorization": token}
    raise RuntimeError(f"failed with {len(headers)} headers")

def log():
    secret = "".join(["sec", "ret-", "4711"])
    try:
        fail(secret)
    except RuntimeError:
        logger.exception("logged")
    try:
        fail(secret)
    except RuntimeError as error:
        raise ValueError("raised") from error

log()
"""
EMULATOR = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import chutes_wrappers.emulator.__main__, leak"
COMMANDS = {
    "our command": processes.build_python_argv("leak:main"),
    "the emulator": [sys.executable, "-c", EMULATOR],
    "chutes build": processes.build_python_argv("chutes.cli:app", "build", "leak:chute", "--local"),
    "a module of a deployment": processes.build_python_argv("chutes_wrappers.sdk.describe:main", "leak"),
    "an instance in a container": [sys.executable, str(RUNNER_SOURCE), "leak:chute"],
}


@pytest.mark.parametrize("process", COMMANDS)
def test_a_traceback_shows_no_variables(process: str, tmp_path: Path) -> None:
    (tmp_path / "leak.py").write_text(MODULE)
    # As set by a user or a base image: this project's value wins.
    environment = {**os.environ, "LOGURU_DIAGNOSE": "YES", "PYTHONPATH": str(tmp_path), "CHUTES_USERNAME": "tester"}
    for name in layout.TRACEBACK_SETTINGS.keys() - {"LOGURU_DIAGNOSE"}:
        environment.pop(name, None)
    if process == "an instance in a container":
        environment |= build_container_spec(make_chute_record(image="any:1"), key=bytes(32)).environment
    done = subprocess.run(
        COMMANDS[process],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert "logged" in done.stdout
    assert "failed with 1 headers" in done.stdout
    assert SECRET not in done.stdout


FAULTS = f"""
import asyncio, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from chutes_wrappers.emulator.builds import Builds
from chutes_wrappers.emulator.clock import SystemClock
from chutes_wrappers.emulator.instance import Instance
from chutes_wrappers.emulator.state import State
from tests.emulator.platforms import make_chute_record
from tests.emulator.test_builds import submit_image

class Faulty:
    max_running = None

    def build(self, *arguments):
        token = "".join(["sec", "ret-", "4711"])
        raise RuntimeError(len(token))

    launch = build

    def stop(self):
        pass

with State(Path("state")) as state, Builds(state, Faulty()) as builds:
    image = submit_image(state)
    builds._run_build(image.image_id)
asyncio.run(Instance(make_chute_record(), Faulty(), SystemClock()).run())
"""


def test_a_fault_of_the_emulator_is_logged_without_variables(tmp_path: Path) -> None:
    # Not in this process, which imports loguru first.
    script = tmp_path / "faults.py"
    script.write_text(FAULTS)
    argv = [sys.executable, str(script)]
    environment = {name: value for name, value in os.environ.items() if name not in layout.TRACEBACK_SETTINGS}
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("RuntimeError: 11") == 2
    assert done.stderr.count("Traceback") == 2
    assert SECRET not in done.stderr


def test_importing_the_package_applies_the_settings() -> None:
    assert {name: os.environ.get(name) for name in layout.TRACEBACK_SETTINGS} == layout.TRACEBACK_SETTINGS
