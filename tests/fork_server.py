"""Starts programs of this project and of the SDK in milliseconds: a process that has loaded their libraries forks a child for each.

A fresh Python needs a second to load them. A forked child still has separate memory, streams, signals, session and environment. It
imports our package and the SDK itself, so that no cache of one program affects the next one.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import functools
import importlib
import importlib.util
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = "chutes_wrappers.cli.main:main"
WIZARD = "chutes_wrappers.cli.setup.wizard:main"
CHUTES = "chutes.cli:app"
SCRIPT = "script"  # what ``python -c`` does: the first argument is source
# Programs that use our modules from the forking process. All others import them again.
_PRELOADED = (DEPLOY, WIZARD)
# The parent of a forked process is its supervisor, not the process that requested it.
_PARENT_VARIABLE = "CHUTES_EMULATOR_PARENT"
# Only a fault reaches this timeout, even on the slowest machine.
TIMEOUT_S = 120.0
_PR_SET_PDEATHSIG = 1
_MAX_REQUEST_BYTES = 1 << 17
# Prints the modules that a fresh Python loads for the SDK, without the SDK's own and ours.
_LIBRARIES_OF = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
ours = ("chutes", "chutes_wrappers", "tests", "tools", "__main__")
print(json.dumps([name for name in sys.modules if name.partition(".")[0] not in ours]))
"""
# Our modules of most commands. They read no configuration during the import, and so can stay loaded.
_OURS = (
    "chutes_wrappers.host.platform_api.api_client", "chutes_wrappers.cli.main", "chutes_wrappers.cli.setup.wizard",
    "chutes_wrappers.cli.commands.call", "chutes_wrappers.cli.commands.forward",
)  # fmt: skip
_OTHERS = ("chutes.cli", "bittensor_wallet", "rich.console", "rich.table", "rich.status", "rich.box", "uvicorn")


class ForkedProcess:
    """A running program."""

    def __init__(self, report: int) -> None:
        self._report = os.fdopen(report)
        self._lock = threading.Lock()
        started = self._report.readline()
        if not started:
            self._report.close()
            raise RuntimeError("the process that forks has ended")
        self.pid = int(started)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self._read_exit_code(0)

    def wait(self, timeout: float | None = TIMEOUT_S) -> int:
        """Wait for the exit code; raises subprocess.TimeoutExpired."""
        code = self._read_exit_code(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def kill(self) -> None:
        """Kill the program and its session's process group."""
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def __del__(self) -> None:
        self._report.close()

    def _read_exit_code(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._report], [], [], timeout)[0]:
                self.returncode = int(self._report.readline())
                self._report.close()
            return self.returncode


class ForkServer:
    """Client of the forking process at the other end of ``requests``. Programs that it starts can use it, too."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests

    def start(
        self,
        target: str,
        arguments: Sequence[str],
        *,
        folder: Path,
        variables: Mapping[str, str],
        streams: Sequence[int],
        has_terminal: bool = False,
    ) -> ForkedProcess:
        """Call ``MODULE:FUNCTION`` in a new process with exactly these ``variables``; ``streams`` become 0, 1 and 2.

        With ``has_terminal`` the streams are one terminal, which becomes that of the program's session.
        """
        request = {
            "target": target,
            "arguments": list(arguments),
            "folder": str(folder),
            "variables": dict(variables),
            "has_terminal": has_terminal,
        }
        report, written = os.pipe()
        try:
            descriptors = [*streams, written, self._requests.fileno()]
            socket.send_fds(self._requests, [json.dumps(request).encode()], descriptors)
        finally:
            os.close(written)
        return ForkedProcess(report)


@functools.cache
def get_fork_server() -> ForkServer:
    """The one of this test run."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_"))}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
            cwd=ROOT,
            env={**variables, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            stdin=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )

    def close() -> None:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(TIMEOUT_S)
        ours.close()

    atexit.register(close)
    return ForkServer(ours)


def main() -> None:
    """Fork for each request on the socket whose descriptor is the argument, until standard input ends."""
    _load_libraries()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no process waits for the children that are forked here
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        while sys.stdin not in select.select([requests, sys.stdin], [], [])[0]:
            message, descriptors, _, _ = socket.recv_fds(requests, _MAX_REQUEST_BYTES, 5)
            if os.fork() == 0:
                requests.close()
                os._exit(_supervise(json.loads(message), *descriptors))
            for descriptor in descriptors:
                os.close(descriptor)


def _load_libraries() -> None:
    argv = [sys.executable, "-c", _LIBRARIES_OF, *_OTHERS]
    variables = {**os.environ, "CHUTES_ALLOW_MISSING": "true"}
    done = subprocess.run(argv, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    for name in json.loads(done.stdout.splitlines()[-1]):
        with contextlib.suppress(ImportError):  # compiled modules register names that cannot be imported
            importlib.import_module(name)
    for name in _OURS:
        importlib.import_module(name)


def _supervise(request: dict[str, Any], stdin: int, stdout: int, stderr: int, report: int, requests: int) -> int:
    """Run the program in a child; report its process id immediately, and its exit code at the end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _die_with_parent()
    child = os.fork()
    if child == 0:
        os.close(report)
        os._exit(_run_program(request, (stdin, stdout, stderr), requests))
    for descriptor in (stdin, stdout, stderr, requests):
        os.close(descriptor)
    os.write(report, f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    os.write(report, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    return 0


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # the process must not outlive killed tests


def _run_program(request: dict[str, Any], streams: tuple[int, int, int], requests: int) -> int:
    code = 1
    try:
        _set_up_process(request, streams)
        _call_target(request["target"], requests)
        code = 0
    except SystemExit as end:
        code = _exit_code_of(end)
    except KeyboardInterrupt:
        traceback.print_exc()
        code = 130
    except BaseException:  # noqa: BLE001  # like the end of a program in Python itself
        traceback.print_exc()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return code


def _set_up_process(request: dict[str, Any], streams: tuple[int, int, int]) -> None:
    os.setsid()
    _die_with_parent()
    if request["has_terminal"]:
        fcntl.ioctl(streams[0], termios.TIOCSCTTY, 0)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for descriptor in set(streams) - {0, 1, 2}:
        os.close(descriptor)
    variables = request["variables"]
    if _PARENT_VARIABLE in variables:
        variables[_PARENT_VARIABLE] = str(os.getppid())
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(request["folder"])
    sys.argv = [request["target"].partition(":")[0], *request["arguments"]]
    _open_streams(is_unbuffered="PYTHONUNBUFFERED" in variables)


def _open_streams(*, is_unbuffered: bool) -> None:
    sys.stdin = open(0)  # noqa: SIM115  # open for the lifetime of the process, like the two below
    if is_unbuffered:
        sys.stdout = io.TextIOWrapper(open(1, "wb", buffering=0), write_through=True)  # noqa: SIM115
    else:
        sys.stdout = open(1, "w", buffering=1 if os.isatty(1) else -1)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115


def _call_target(target: str, requests: int) -> None:
    """Call the target like ``chutes_wrappers/start.py``."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [
        *(entry for entry in entries if entry),
        *(entry for entry in sys.path if entry not in ("", str(ROOT))),
    ]
    if target in _PRELOADED:
        from tests.forked_processes import install

        server = ForkServer(socket.socket(fileno=requests))
        install(lambda: server, and_scripts=True)
    else:
        os.close(requests)
        for name in [name for name in sys.modules if name.partition(".")[0] in ("chutes_wrappers", "tools", "tests")]:
            del sys.modules[name]
    if target == SCRIPT:
        source = sys.argv.pop(1)
        exec(compile(source, "<script>", "exec"), {"__name__": "__main__"})
        return
    sys.path.insert(0, str(ROOT / "chutes_wrappers"))
    specification = importlib.util.spec_from_file_location("start", ROOT / "chutes_wrappers" / "start.py")
    assert specification is not None
    assert specification.loader is not None
    start = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(start)
    start.run(target)


def _exit_code_of(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1


if __name__ == "__main__":
    main()
