"""The README's commands that need no Docker, run as they stand; and its recording, recorded again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from docs import record
from docs.record import copied_project
from tests.docker.turns import locked
from tests.scenario import READY, ROOT

from .readme import Terminal


@pytest.fixture(autouse=True)
def _alone_on_the_samples_ports() -> Iterator[None]:
    """Several processes of pytest-xdist may run the tests of this file."""
    with locked("sample-ports"):
        yield


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    (tmp_path / "project").mkdir()
    (tmp_path / "home").mkdir()
    # An engine that does not answer: as on a machine without Docker.
    return Terminal(copied_project(tmp_path / "project"), tmp_path / "home", {"DOCKER_HOST": "unix:///nowhere"})


def test_the_main_job_runs_at_once_and_ends_with_ctrl_c(terminal: Terminal) -> None:
    with terminal.running("./deploy.sh --emulate deploy_example", until=READY) as said:
        assert "all 7 routes would work on Chutes" in said


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
def test_a_service_that_runs_is_discovered(terminal: Terminal) -> None:
    said = terminal.run(".venv/bin/python tools/discover_routes.py --base-url http://127.0.0.1:8020 --port 8020")
    assert "/speak" in said


def test_the_recording_is_drawn_from_what_was_recorded() -> None:
    kept = record.load(record.KEPT.read_text(encoding="utf-8"))
    assert record.drawn(kept) == record.DRAWN.read_text(encoding="utf-8"), "python docs/record.py draws it again"
    assert record.dump(kept) == record.KEPT.read_text(encoding="utf-8")


def test_recorded_again_the_session_says_the_same() -> None:
    kept = record.load(record.KEPT.read_text(encoding="utf-8"))
    assert record.differences(kept, record.recorded()) == [], "python docs/record.py records it again"


def test_only_what_is_measured_may_differ() -> None:
    def session(*lines: str) -> record.Lines:
        return [[record.Span(column=0, text=line, colour="default", bold=False)] for line in lines]

    old = session("✓ active after 1.4 s", "POST /a  200  15  14  ✓ same")
    assert record.differences(old, session("✓ active after 12 s", "POST /a  200  15  9   ✓ same")) == []
    slow = session("✓ active after 12 s", "loading deploy_a.py (at most 120 s)", "POST /a  200  15  9   ✓ same")
    assert record.differences(old, slow) == []
    assert record.differences(old, session("✓ active after 1.4 s", "POST /a 200 16 14 ✓ same"))
    assert record.differences(old, old[:1])
