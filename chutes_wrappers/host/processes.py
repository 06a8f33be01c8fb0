"""Child processes. No other module on the host starts any."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.core.setup_secrets import remove_setup_secrets
from chutes_wrappers.host.forked_process import ForkedProcess, ForkServer

Process = subprocess.Popen[bytes] | ForkedProcess

# Starts Python without imports from the current folder. A path, not an import: the file belongs to no layer.
_START = Path(__file__).resolve().parents[1] / "start.py"
_LIBRARY_PROCESS = "chutes_wrappers.host.library_process:main"
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
        exit_code=process.wait(), output=output.decode(errors="replace"), errors=errors.decode(errors="replace")
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
def share_libraries() -> Iterator[None]:
    """Load the libraries of the SDK once for all Pythons that start in the context, where this machine's system can: on Linux.

    Each such program is still a process of its own. One whose libraries would be others than those loaded, because of its
    environment, starts as it does without the context.
    """
    global _shared_libraries
    if not sys.platform.startswith("linux") or _shared_libraries is not None:
        yield
        return
    with _SharedLibraries() as _shared_libraries:
        try:
            yield
        finally:
            _shared_libraries = None


@contextlib.contextmanager
def start_process(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    merge: bool = True,
    has_input: bool = False,
    parent_variable: str | None = None,
) -> Iterator[Process]:
    """Start a process in its own session, without the secrets of the set-up. It and its children end with the context.

    ``parent_variable`` is the name of a variable for the id of the process that is its parent.
    """
    settings = remove_setup_secrets(environment), directory, merge, has_input, parent_variable
    process = _fork(argv, *settings) or _spawn(argv, *settings)
    try:
        yield process
    finally:
        _terminate(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _spawn(
    argv: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    merge: bool,
    has_input: bool,
    parent_variable: str | None,
) -> Process:
    parent = {parent_variable: str(os.getpid())} if parent_variable is not None else {}
    return subprocess.Popen(
        argv,
        env={**environment, **parent},
        cwd=directory,
        stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merge else subprocess.PIPE,
        start_new_session=True,
    )


def _fork(
    argv: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    merge: bool,
    has_input: bool,
    parent_variable: str | None,
) -> Process | None:
    """Start a process from shared libraries; None if it cannot be, as when the process that has them was killed."""
    server = _shared_libraries.find_server(argv, environment) if _shared_libraries is not None else None
    if server is None:
        return None
    parent = {parent_variable: str(server.pid)} if parent_variable is not None else {}
    _, _, target, *arguments = argv
    with contextlib.suppress(OSError):
        return server.start(
            target,
            arguments,
            environment={**environment, **parent},
            directory=directory,
            merge=merge,
            has_input=has_input,
        )
    return None


class _SharedLibraries:
    """A context manager with a library process, which is started for the first Python."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resources = contextlib.ExitStack()
        self._server: ForkServer | None = None
        self._has_failed = False

    def __enter__(self) -> _SharedLibraries:
        return self

    def __exit__(self, *failure: object) -> None:
        self._resources.close()

    def find_server(self, argv: Sequence[str], environment: Mapping[str, str]) -> ForkServer | None:
        """Return what can start ``argv``; None for other programs than a Python of ours, and for other libraries."""
        if list(argv[:2]) != build_python_argv("")[:2]:
            return None
        with self._lock:
            if self._server is None and not self._has_failed:
                self._server = self._start(environment)
                self._has_failed = self._server is None
        return self._server if self._server is not None and self._server.can_start(environment) else None

    def _start(self, environment: Mapping[str, str]) -> ForkServer | None:
        requests, server_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with server_end:
            process = subprocess.Popen(
                build_python_argv(_LIBRARY_PROCESS),
                env={**environment, "PYTHONUNBUFFERED": "1"},
                cwd="/",
                stdin=server_end.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._resources.callback(process.wait)
        self._resources.callback(requests.close)  # first: that ends it
        server = ForkServer(requests, process.pid, environment)
        return server if server.wait_until_ready() else None


_shared_libraries: _SharedLibraries | None = None


def read_lines(process: Process) -> Iterator[str]:
    """Yield the lines of the process's output until it closes the stream."""
    assert process.stdout is not None
    for raw in process.stdout:
        yield raw.decode(errors="replace").rstrip("\r\n")


@contextlib.contextmanager
def _kill_after(process: Process, timeout_s: float | None) -> Iterator[threading.Event]:
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


def _communicate(process: Process, timeout_s: float | None, on_slow: Callable[[], None]) -> tuple[bytes, bytes]:
    first_timeout_s = _SLOW_S if timeout_s is None else min(_SLOW_S, timeout_s)
    try:
        return process.communicate(timeout=first_timeout_s)
    except subprocess.TimeoutExpired:  # subprocess keeps what it has read, as documented
        on_slow()
    return process.communicate(timeout=None if timeout_s is None else timeout_s - first_timeout_s)


def _terminate(process: Process) -> None:
    if process.poll() is None:
        _send_signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    # Children of its session may outlive the leader.
    _send_signal(process, signal.SIGKILL)
    process.wait()


def _send_signal(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
