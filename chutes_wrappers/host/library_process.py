"""A process that has loaded the libraries of the SDK, and forks a program for each request: most of a program's start is their import.

The SDK and our modules are not among them: each program imports those itself, with its own environment. Libraries read the
environment during their import, too. So the process reports which variables were read (``host/forked_process.py``).
"""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import socket
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from chutes_wrappers.core.layout import TRACEBACK_SETTINGS

MAX_MESSAGE_BYTES = 1 << 17
_GRACE_S = 15.0
_POLL_S = 0.05
# What most of its programs load. Files that a version of the SDK does not have are left out.
_SDK_FILES = (
    *("cli.py", "chute/base.py", "chute/cord.py", "util/auth.py", "entrypoint/_shared.py", "entrypoint/build.py"),
    *("entrypoint/deploy.py", "entrypoint/logger.py", "entrypoint/run.py", "entrypoint/verify.py"),
)


def main() -> int | None:
    """Serve the socket at standard input until it is closed; in a forked child, call the requested ``MODULE:FUNCTION``."""
    with socket.socket(fileno=os.dup(0)) as requests:
        variables = {name: os.environ.get(name) for name in _load_libraries()}
        if len(os.listdir("/proc/self/task")) > 1:
            return 1  # a library has started a thread, which no fork keeps
        requests.send(json.dumps(variables).encode())
        gc.freeze()  # the children share this memory for longer
        target = _serve(requests)
    if target is None:
        return 0
    # start.py has prepared the path, which is the same for both programs.
    module, _, function = target.partition(":")
    entry_point: Callable[[], int | None] = getattr(importlib.import_module(module), function)
    return entry_point()


def _load_libraries() -> set[str]:
    """Import the libraries. Return the names of the variables that they have read, and that our package does not set."""
    # These read the whole environment, and HOME, for CGI scripts and installations only.
    importlib.import_module("wsgiref.handlers")
    sysconfig.get_config_vars()
    names: set[str] = set()
    environment_class = type(os.environ)

    class RecordingEnvironment(environment_class):  # type: ignore[misc, valid-type]  # the standard library's, without a public name
        def __getitem__(self, name: str) -> str:
            names.add(name)
            value: str = super().__getitem__(name)
            return value

    os.environ.__class__ = RecordingEnvironment
    for library in _list_libraries():
        with contextlib.suppress(Exception):  # the program itself reports what cannot be imported
            importlib.import_module(library)
    os.environ.__class__ = environment_class
    return names - TRACEBACK_SETTINGS.keys()


def _list_libraries() -> Iterator[str]:
    """Yield the names of the modules that the SDK's files import at their top level, without running those files."""
    specification = importlib.util.find_spec("chutes")
    folders = specification.submodule_search_locations if specification is not None else None
    for path in (Path(folder, name) for folder in folders or () for name in _SDK_FILES):
        for node in ast.parse(path.read_bytes()).body if path.is_file() else ():
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            yield from (name for name in names if name.partition(".")[0] != "chutes")


def _serve(requests: socket.socket) -> str | None:
    """Fork for each request. Return the target in a child, and None at the end, when no child is left."""
    children: dict[int, int] = {}
    with _child_signals() as ended:
        poller = select.poll()
        poller.register(requests, select.POLLIN)
        poller.register(ended, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poller.poll()]
            if ended in ready:
                os.read(ended, select.PIPE_BUF)
                _report_ended(children)
            if requests.fileno() not in ready:
                continue
            message, descriptors, _, _ = socket.recv_fds(requests, MAX_MESSAGE_BYTES, 4)
            if not message:
                _end_all(children)
                return None
            *streams, report = descriptors
            child = os.fork()
            if child == 0:
                break
            children[child] = report
            for descriptor in streams:
                os.close(descriptor)
    os.setsid()
    os.write(report, f"{os.getpid()}\n".encode())  # from now on signals to its session reach it
    for descriptor in (*children.values(), report):
        os.close(descriptor)
    return _become(json.loads(message), streams)


@contextlib.contextmanager
def _child_signals() -> Iterator[int]:
    """Yield a descriptor that is readable when a child has ended. Without effect after the context."""
    reader, writer = os.pipe()
    for descriptor in (reader, writer):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        yield reader
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        for descriptor in (reader, writer):
            os.close(descriptor)


def _report_ended(children: dict[int, int]) -> None:
    for child, report in list(children.items()):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            del children[child]
            with contextlib.suppress(BrokenPipeError):
                os.write(report, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(report)


def _end_all(children: dict[int, int]) -> None:
    """End the programs that still run, as ``processes.py`` would: what requested them is gone."""
    _signal_all(children, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while children and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        _report_ended(children)
    _signal_all(children, signal.SIGKILL)


def _signal_all(children: Iterable[int], number: signal.Signals) -> None:
    for child in children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, number)


def _become(request: dict[str, object], streams: list[int]) -> str:
    """Make this child the requested program, as if it had been started so. Return its target."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for descriptor in set(streams):
        os.close(descriptor)
    target, arguments = str(request["target"]), request["arguments"]
    assert isinstance(arguments, list)
    environment = request["environment"]
    assert isinstance(environment, dict)
    prepared = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ and name in environment}
    os.environ.clear()
    os.environ.update({**environment, **prepared, **TRACEBACK_SETTINGS})
    os.chdir(str(request["directory"]))
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.argv = [target.partition(".")[0], *arguments]  # as in start.py
    gc.unfreeze()
    return target
