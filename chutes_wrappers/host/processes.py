"""Child processes. No other module on the host starts any."""

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

from chutes_wrappers.core.setup_secrets import remove_setup_secrets

# Starts Python without imports from the current folder. A path, not an import: the file belongs to no layer.
_START = Path(__file__).resolve().parents[1] / "start.py"
_GRACE_S = 15.0
_SLOW_S = 2.0


@dataclass(frozen=True, kw_only=True)
class ProcessResult:
    """The exit code and the two output streams of a short command."""

    exit_code: int
    output: str
    errors: str


def build_python_argv(target: str, *arguments: str) -> list[str]:
    """Build the argv that calls ``MODULE:FUNCTION`` in this Python, without imports from the current folder."""
    return [sys.executable, str(_START), target, *arguments]


def capture(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    timeout_s: float | None = None,
    on_slow: Callable[[], None] = lambda: None,
) -> ProcessResult:
    """Run a short command to its end, without standard input, and return its result.

    ``on_slow`` is called once when it takes more than two seconds. After ``timeout_s`` the command and its children are
    killed, and TimeoutError is raised.
    """
    with start_process(argv, environment=environment, directory=directory, merge=False) as process:
        try:
            output, errors = _communicate(process, timeout_s, on_slow)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"still running after {timeout_s:g} s") from error
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
    """Run a command to its end, pass each line of its output to ``on_line``, and return the exit code.

    ``input_text`` is its standard input, at most some kilobytes; when empty, there is no standard input. After ``timeout_s``
    the command and its children are killed, and TimeoutError is raised.
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
            raise TimeoutError(f"still running after {timeout_s:g} s")
        return code


def strip_source_lines(errors: str) -> str:
    """Return the end of a traceback without its source lines, which may contain a secret."""
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
    """Start a process in its own session, without the secrets of the set-up. It and its children end with the context."""
    process = subprocess.Popen(
        argv,
        env=remove_setup_secrets(environment),
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
    """Yield the lines of the process's output until it closes the stream."""
    assert process.stdout is not None
    for raw in process.stdout:
        yield raw.decode(errors="replace").rstrip("\r\n")


@contextlib.contextmanager
def _kill_after(process: subprocess.Popen[bytes], timeout_s: float | None) -> Iterator[threading.Event]:
    """Kill a process that times out; the event is set when that happened."""
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
    except subprocess.TimeoutExpired:  # subprocess keeps what it has read, as documented
        on_slow()
    return process.communicate(timeout=None if timeout_s is None else timeout_s - first_timeout_s)


def _terminate(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        _send_signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    # Children of its session may outlive the leader.
    _send_signal(process, signal.SIGKILL)
    process.wait()


def _send_signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
