"""The README's commands that need no Docker, run unchanged, and a new recording of its session."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from docs import record
from docs.record import copy_project
from tests.docker.turns import locked
from tests.scenario import READY, ROOT

from .readme import ReadmeTerminal


@pytest.fixture(autouse=True)
def _alone_on_the_samples_ports() -> Iterator[None]:
    """Lock the ports: several processes of pytest-xdist can run the tests of this file."""
    with locked("sample-ports"):
        yield


@pytest.fixture
def terminal(tmp_path: Path) -> ReadmeTerminal:
    (tmp_path / "project").mkdir()
    (tmp_path / "home").mkdir()
    # An engine that is not reachable, as on a machine without Docker.
    return ReadmeTerminal(copy_project(tmp_path / "project"), tmp_path / "home", {"DOCKER_HOST": "unix:///nowhere"})


def test_the_first_command_runs_immediately_and_ends_with_ctrl_c(terminal: ReadmeTerminal) -> None:
    with terminal.running("./deploy.sh --emulate deploy_example", until=READY) as output_text:
        assert "7 proven · 0 not proven · 0 failing" in output_text


@pytest.fixture
def sample() -> Iterator[None]:
    """The Morse sample on its own ports."""
    variables = {**os.environ, "PYTHONPATH": "examples/morse"}
    process = subprocess.Popen([sys.executable, "-m", "morse"], cwd=ROOT, env=variables, stderr=subprocess.DEVNULL)
    try:
        with requests.Session() as session:
            retries = requests.adapters.Retry(total=10, connect=10, backoff_factor=0.1)
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
            assert session.get("http://127.0.0.1:8020/health", timeout=60).ok
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.usefixtures("sample")
def test_a_running_service_is_discovered(terminal: ReadmeTerminal) -> None:
    output_text = terminal.run(".venv/bin/python tools/discover_routes.py --base-url http://127.0.0.1:8020 --port 8020")
    assert "/speak" in output_text


def test_the_drawing_matches_the_recording() -> None:
    recording = record.parse_recording(record.RECORDING.read_text(encoding="utf-8"))
    assert record.draw_session(recording) == record.DRAWING.read_text(encoding="utf-8"), (
        "python docs/record.py draws it again"
    )
    assert record.format_recording(recording) == record.RECORDING.read_text(encoding="utf-8")


def test_a_new_recording_matches_the_saved_one() -> None:
    recording = record.parse_recording(record.RECORDING.read_text(encoding="utf-8"))
    assert record.find_differences(recording, record.record_session()) == [], "python docs/record.py records it again"


def test_only_measured_values_may_differ() -> None:
    def session(*lines: str) -> record.Lines:
        return [[record.Span(column=0, text=line, colour="default", bold=False)] for line in lines]

    old = session("✓ active after 1.4 s", "POST /a  200  15  14  ✓ same")
    assert record.find_differences(old, session("✓ active after 12 s", "POST /a  200  15  9   ✓ same")) == []
    slow = session("✓ active after 12 s", "loading deploy_a.py (at most 120 s)", "POST /a  200  15  9   ✓ same")
    assert record.find_differences(old, slow) == []
    assert record.find_differences(old, session("✓ active after 1.4 s", "POST /a 200 16 14 ✓ same"))
    assert record.find_differences(old, old[:1])
