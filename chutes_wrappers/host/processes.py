"""The one place on the host that starts processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Starts a Python that imports nothing from its current folder; a path, since the file belongs to no layer.
_START = Path(__file__).resolve().parents[1] / "start.py"
_GRACE_S = 15.0
_SLOW_S = 2.0


@dataclass(frozen=True, kw_only=True)
class ProcessResult:
    """What a short command left behind."""

    exit_code: int
    output: str
    errors: str


def build_python_argv(target: str, *arguments: str) -> list[str]:
    """The argv that calls ``MODULE:FUNCTION`` in a Python like this one, where its current folder shadows no package."""
    return [sys.executable, str(_START), target, *arguments]


def capture(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    timeout_s: float | None = None,
    on_slow: Callable[[], None] = lambda: None,
) -> ProcessResult:
    """Run a short command to its end, without a standard input, and return both of its streams.

    ``on_slow`` is called once when it takes more than two seconds. After ``timeout_s`` the command and its children are
    killed, and TimeoutError is raised.
    """
    with start_process(argv, environment=environment, directory=directory, merge=False) as process:
        try:
            output, errors = _communicate(process, timeout_s, on_slow)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"still runs after {timeout_s:g} s") from error
    return ProcessResult(
        exit_code=process.returncode, output=output.decode(errors="replace"), errors=errors.decode(errors="replace")
    )


def stream(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    on_line: Callable[[str], None],
    input_text: str = "",
    timeout_s: float | None = None,
) -> int:
    """Run a command to its end, handing on each line of its output as it comes; returns the exit code.

    ``answers`` is its standard input, at most some kilobytes; without any it has none. After ``timeout_s`` the command and its
    children are ended, and TimeoutError is raised.
    """
    with start_process(argv, environment=environment, directory=directory, has_input=bool(input_text)) as process:
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(input_text.encode())
        with _kill_after(process, timeout_s) as is_late:
            for line in read_lines(process):
                on_line(line)
            code = process.wait()
        if is_late.is_set():
            raise TimeoutError(f"still ran after {timeout_s:g} s")
        return code


def strip_source_lines(errors: str) -> str:
    """The end of a traceback without the lines of source that it quotes, which may hold a secret."""
    lines_without_source = [
        line for line in errors.splitlines() if line.startswith("  File ") or not line.startswith(" ")
    ]
    return "\n".join(lines_without_source[-8:])


@contextlib.contextmanager
def start_process(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    merge: bool = True,
    has_input: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, ended with all its children when the context ends, whatever happened."""
    process = subprocess.Popen(
        argv,
        env=dict(environment),
        cwd=directory,
        stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merge else subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _terminate(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def read_lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The process's output, line by line, until it closes it."""
    assert process.stdout is not None
    for raw in process.stdout:
        yield raw.decode(errors="replace").rstrip("\r\n")


@contextlib.contextmanager
def _kill_after(process: subprocess.Popen[bytes], timeout_s: float | None) -> Iterator[threading.Event]:
    """Ends a process that takes too long; the event says that it had to."""
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        _send_signal(process, signal.SIGKILL)

    if timeout_s is None:
        yield is_late
        return
    timer = threading.Timer(timeout_s, end)
    timer.start()
    try:
        yield is_late
    finally:
        timer.cancel()
        timer.join()


def _communicate(
    process: subprocess.Popen[bytes], timeout_s: float | None, on_slow: Callable[[], None]
) -> tuple[bytes, bytes]:
    first_timeout_s = _SLOW_S if timeout_s is None else min(_SLOW_S, timeout_s)
    try:
        return process.communicate(timeout=first_timeout_s)
    except subprocess.TimeoutExpired:  # what was read until now is kept (subprocess documents it)
        on_slow()
    return process.communicate(timeout=None if timeout_s is None else timeout_s - first_timeout_s)


def _terminate(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        _send_signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    # The leader may be gone while children of its session live on.
    _send_signal(process, signal.SIGKILL)
    process.wait()


def _send_signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
