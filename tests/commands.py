"""Runs command lines of ``deploy.sh`` and other programs (without their shell), one at a time, through the fork server."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fork_server import DEPLOY, TIMEOUT_S, ForkedProcess, get_fork_server

KILLED = -1
_POLL_S = 0.02


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """Exit code and output of a command; the code is KILLED after a timeout or at ``until``."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Commands:
    """Runs ``target`` in ``folder``, with the environment ``variables``."""

    folder: Path
    variables: Mapping[str, str]
    target: str = DEPLOY

    def run(
        self,
        *arguments: str,
        stdin_text: str = "",
        timeout_s: float = TIMEOUT_S,
        variables: Mapping[str, str] | None = None,
        folder: Path | None = None,
        until: str = "",
    ) -> CommandResult:
        """Run a command to its end, or until it prints ``until``; ``stdin_text`` is its standard input."""
        with tempfile.TemporaryDirectory() as scratch:
            stdin, *others = (Path(scratch) / name for name in ("stdin", "stdout", "stderr"))
            stdin.write_text(stdin_text)
            with stdin.open() as read, others[0].open("a") as stdout, others[1].open("a") as stderr:
                process = get_fork_server().start(
                    self.target,
                    arguments,
                    folder=folder or self.folder,
                    variables={"NO_COLOR": "1", **self.variables, **(variables or {})},
                    streams=[read.fileno(), stdout.fileno(), stderr.fileno()],
                )
            code = _wait_for_end(process, others, until, timeout_s)
            stdout_text, stderr_text = (path.read_bytes().decode(errors="replace") for path in others)
            return CommandResult(code=code, stdout=stdout_text, stderr=stderr_text)


def _wait_for_end(process: ForkedProcess, streams: list[Path], until: str, timeout_s: float) -> int:
    give_up_at = time.monotonic() + timeout_s
    while time.monotonic() < give_up_at:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_POLL_S if until else timeout_s)
        if until and any(until in path.read_text() for path in streams):
            break
    process.kill()
    return KILLED
