"""Programs of this Python that are forked from one process, which has loaded their libraries (``host/library_process.py``)."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from chutes_wrappers.host.library_process import MAX_MESSAGE_BYTES

_START_TIMEOUT_S = 60.0
# What Python, the loader of libraries and the C library read once, at the start of a program.
# An instance inherits no LC_CTYPE, which Python sets for itself, and no LANGUAGE (emulator/host_launcher.py).
_START_PREFIXES = ("PYTHON", "LD_", "MALLOC_", "GLIBC_")
_START_VARIABLES = {"LANG", "LC_ALL", "TZ"}
# Of these, no library depends on them.
_HARMLESS = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}


class ForkedProcess:
    """A running program, with the part of the interface of ``subprocess.Popen`` that this project uses."""

    def __init__(
        self, report: IO[bytes], stdin: IO[bytes] | None, stdout: IO[bytes] | None, stderr: IO[bytes] | None
    ) -> None:
        """Raises OSError when the library process ends before the program starts."""
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        pid = report.readline()
        if not pid:
            raise BrokenPipeError("the library process has ended")
        self.pid = int(pid)
        self.returncode: int | None = None
        self._report = report
        self._lock = threading.Lock()
        self._readers: list[_Reader] = []

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self._read_exit_code(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code. Raises subprocess.TimeoutExpired."""
        code = self._read_exit_code(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def terminate(self) -> None:
        """Send SIGTERM, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Return what it prints until its end. Raises subprocess.TimeoutExpired; nothing is lost for the next call."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._readers:
            self._readers = [_Reader(stream) for stream in (self.stdout, self.stderr)]
        for reader in self._readers:
            reader.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        self.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        output, errors = (reader.data for reader in self._readers)
        return output, errors

    def _read_exit_code(self, timeout: float | None) -> int | None:
        if self.returncode is None and _is_readable(self._report, timeout):
            with self._lock:
                if self.returncode is None:
                    # Nothing at all means that the library process was killed, and its programs with it.
                    self.returncode = int(self._report.readline() or -9)
                    self._report.close()
        return self.returncode


class _Reader(threading.Thread):
    """Reads a stream to its end."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        self.data = b""
        self._stream = stream
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            self.data = self._stream.read() if self._stream is not None else b""


class ForkServer:
    """Client of a library process, whose socket is ``requests`` and whose environment was ``environment``."""

    def __init__(self, requests: socket.socket, pid: int, environment: Mapping[str, str]) -> None:
        self.pid = pid
        self._requests = requests
        self._environment = environment
        self._read_variables: Mapping[str, str | None] = {}

    def wait_until_ready(self) -> bool:
        """Wait until the libraries are loaded. Return whether they are."""
        if not _is_readable(self._requests, _START_TIMEOUT_S) or not (data := self._requests.recv(MAX_MESSAGE_BYTES)):
            return False
        self._read_variables = json.loads(data)
        return True

    def can_start(self, environment: Mapping[str, str]) -> bool:
        """Whether the libraries would be the same in a program with ``environment``."""
        variables = {*environment, *self._environment} - _HARMLESS
        names = {name for name in variables if name.startswith(_START_PREFIXES) or name in _START_VARIABLES}
        return all((environment.get(name) or "") == (self._environment.get(name) or "") for name in names) and all(
            environment.get(name) == value for name, value in self._read_variables.items()
        )

    def start(
        self,
        target: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        merge: bool,
        has_input: bool,
    ) -> ForkedProcess:
        """Call ``MODULE:FUNCTION`` in a new session. Raises OSError when the library process has ended, or takes no such request."""
        request = {
            "target": target,
            "arguments": list(arguments),
            "environment": dict(environment),
            "directory": str(directory),
        }
        message = json.dumps(request).encode()
        if len(message) > MAX_MESSAGE_BYTES:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        with contextlib.ExitStack() as child_ends:
            stdin_end, stdin = _open_input() if has_input else (os.open(os.devnull, os.O_RDONLY), None)
            child_ends.callback(os.close, stdin_end)
            stdout_end, stdout = _open_output()
            child_ends.callback(os.close, stdout_end)
            stderr_end, stderr = (stdout_end, None) if merge else _open_output()
            if not merge:
                child_ends.callback(os.close, stderr_end)
            report_end, report = _open_output()
            child_ends.callback(os.close, report_end)
            streams = [stdin_end, stdout_end, stderr_end, report_end]
            our_ends = [end for end in (report, stdin, stdout, stderr) if end is not None]
            try:
                socket.send_fds(self._requests, [message], streams)
                child_ends.close()
                return ForkedProcess(report, stdin, stdout, stderr)
            except OSError:
                for end in our_ends:
                    end.close()
                raise


def _open_input() -> tuple[int, IO[bytes]]:
    reader, writer = os.pipe()
    return reader, os.fdopen(writer, "wb")


def _open_output() -> tuple[int, IO[bytes]]:
    reader, writer = os.pipe()
    return writer, os.fdopen(reader, "rb")


def _is_readable(source: IO[bytes] | socket.socket, timeout: float | None) -> bool:
    poller = select.poll()
    poller.register(source, select.POLLIN)
    return bool(poller.poll(None if timeout is None else timeout * 1000))
