"""Real child processes for launcher tests; none outlives its test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chutes_wrappers.runtime import supervision
from chutes_wrappers.runtime.launcher import ManagedProcess

FAMILY = Path(__file__).resolve().parents[1] / "upstreams" / "service_family.py"
Starter = Callable[..., ManagedProcess]


@pytest.fixture
def family() -> Iterator[Starter]:
    """Make a ManagedProcess of ``service_family.py`` with these arguments (not started)."""
    made: list[ManagedProcess] = []

    def make(*arguments: str, **environment: str) -> ManagedProcess:
        argv = [sys.executable, str(FAMILY), *arguments]
        process = ManagedProcess(argv, environment={**os.environ, **environment}, directory="/")
        made.append(process)
        return process

    handler = signal.getsignal(signal.SIGTERM)
    yield make
    signal.signal(signal.SIGTERM, handler)
    for process in made:
        process.terminate(grace_s=0.2)
    supervision.stop_all()
