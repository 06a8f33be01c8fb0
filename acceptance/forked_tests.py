"""Pytest in forks of one process that has loaded the libraries: their import is most of a short test run.

A context manager around a process in separate process and network namespaces. Linux only.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

# Libraries of the tests and the package, but not their own modules: each fork imports those again.
LIBRARIES = (
    "aiohttp",
    "fastapi",
    "hypothesis",
    "loguru",
    "orjson",
    "psutil",
    "pybase64",
    "pydantic",
    "requests",
    "uvicorn",
)


class ForkedTests:
    """Runs test files below ``root``. A context manager; its exit ends everything that a test has started."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ForkedTests:
        if subprocess.run([*_unshare(), "ip", "link", "set", "lo", "up"]).returncode:
            raise SystemExit(
                "Cannot create namespaces. Run it on Linux, with unshare and ip, as root or where users may do that."
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def run_tests(self, tests: Sequence[str], timeout_s: float) -> int | None:
        """Run ``tests`` and return pytest's exit code, 0 if all passed; None after ``timeout_s``."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(" ".join(tests).encode() + b"\n")
        process.stdin.flush()
        is_in_time = bool(select.select([process.stdout], [], [], timeout_s)[0])
        line = process.stdout.readline() if is_in_time else b""
        if not line:  # a timeout, or a test that signalled the wrong process
            self._end()
        return int(line) if line else 1 if is_in_time else None

    def _start(self) -> subprocess.Popen[bytes]:
        # A shell in between, because the tests depend on Python not being process 1.
        shell = ["sh", "-c", 'ip link set lo up && "$@"; exit $?', "sh", sys.executable, __file__]
        environment = {**os.environ, "PYTHONPATH": str(self._root)}
        return subprocess.Popen(
            [*_unshare(), *shell],
            cwd=self._root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()  # and with it everything in its namespace
            self._process.communicate()
            self._process = None


def _unshare() -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--pid", "--net", "--mount-proc", "--fork", "--kill-child"]


def _serve() -> None:
    """Read lines with the test files of one run, and print the exit code of each run."""
    import pytest

    for name in LIBRARIES:
        __import__(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nothing, descriptor)
            os._exit(
                pytest.main(["-xq", "--assert=plain", "-p", "no:cacheprovider", "--hypothesis-seed=0", *line.split()])
            )
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
