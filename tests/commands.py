"""Runs ``deploy.sh`` (without its shell) many times: a process that has loaded it forks one child for each command.

A fresh process takes a second to load; a fork takes some milliseconds, and has memory, streams and signals of its own all the
same: nothing that a command caches reaches the next one.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
KILLED = -1
_PR_SET_PDEATHSIG = 1
# Loaded once. Not the SDK: it reads its configuration when it is imported.
_LOADED = (
    "bittensor_wallet", "requests", "rich.console", "rich.table", "rich.status", "rich.box", "loguru", "aiohttp", "pydantic",
    "chutes_wrappers.host.platform_api", "chutes_wrappers.cli.commands.call", "chutes_wrappers.cli.commands.forward",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a command ended: KILLED when it had to be, after too long."""

    code: int
    stdout: str
    stderr: str


class Commands:
    """Runs commands one after the other, in ``folder`` and with ``variables`` for environment."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.commands"],
            cwd=ROOT,
            env={**variables, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        *arguments: str,
        said: str = "",
        timeout_s: float = 30,
        variables: Mapping[str, str] | None = None,
        folder: Path | None = None,
        until: str = "",
    ) -> Ran:
        """Run one to its end, or until it says ``until``; ``said`` is its standard input."""
        with tempfile.TemporaryDirectory() as scratch:
            streams = [Path(scratch) / name for name in ("stdin", "stdout", "stderr")]
            for stream in streams:
                stream.write_text(said if stream.name == "stdin" else "")
            asked = {
                "arguments": arguments,
                "streams": [str(stream) for stream in streams],
                "folder": str(folder or self._folder),
                "variables": dict(variables or {}),
                "timeout_s": timeout_s,
                "until": until,
            }
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            assert answer, "the process that runs commands has ended"
            stdout, stderr = (stream.read_bytes().decode(errors="replace") for stream in streams[1:])
            return Ran(code=int(answer), stdout=stdout, stderr=stderr)

    def close(self) -> None:
        """End, once the last command has."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def commands(folder: Path, variables: Mapping[str, str]) -> Iterator[Commands]:
    """Something that runs commands, until the block ends."""
    running = Commands(folder, variables)
    try:
        yield running
    finally:
        running.close()


def main() -> None:
    """Fork a child for each line on standard input; say its exit code when it has ended."""
    for name in _LOADED:
        __import__(name)
    for line in sys.stdin:
        sys.stdout.write(f"{_forked(json.loads(line))}\n")
        sys.stdout.flush()


def _forked(asked: dict[str, Any]) -> int:
    alive, held = os.pipe()  # its end is seen when the child has ended, whose alone the other end is
    child = os.fork()
    if child == 0:
        os.close(alive)
        os._exit(_ran(asked))
    os.close(held)
    give_up_at = time.monotonic() + asked["timeout_s"]
    ended: list[int] = []
    while not ended and time.monotonic() < give_up_at and not _has_said(asked):
        ended, _, _ = select.select([alive], [], [], 0.05 if asked["until"] else asked["timeout_s"])
    os.close(alive)
    if not ended:
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if ended else KILLED


def _has_said(asked: dict[str, Any]) -> bool:
    return bool(asked["until"]) and any(asked["until"] in Path(stream).read_text() for stream in asked["streams"][1:])


def _ran(asked: dict[str, Any]) -> int:
    code = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # it must not outlive tests that are killed
        for number, path in enumerate(asked["streams"]):
            os.dup2(os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND), number)
        sys.stdin = open(0)  # noqa: SIM115  # for as long as the child lives, as the two below
        sys.stdout, sys.stderr = open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
        os.environ.update(asked["variables"])
        os.chdir(asked["folder"])
        sys.argv = ["./deploy.sh", *asked["arguments"]]
        from chutes_wrappers.cli.main import deploy

        deploy(asked["arguments"], prog_name="./deploy.sh")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  # as Python itself ends a program
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    main()
