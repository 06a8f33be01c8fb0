"""Real child processes for launcher tests; none outlives its test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chutes_wrappers.runtime import supervision
from chutes_wrappers.runtime.launcher import ManagedProcess

FAMILY = Path(__file__).resolve().parents[1] / "upstreams" / "process_tree.py"
Starter = Callable[..., ManagedProcess]


@pytest.fixture
def family() -> Iterator[Starter]:
    """Make a ManagedProcess of ``process_tree.py`` with these arguments (not started)."""
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
        process.terminate(timeout_s=0.2)
    supervision.stop_all()


def as_pid_1() -> list[str]:
    """The prefix of a command line that runs as process 1, in a separate process namespace."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    prefix = ["unshare", *user, "--pid", "--fork", "--mount-proc", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("unshare cannot make a process namespace here")
    return prefix
