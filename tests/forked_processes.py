"""Makes ``host/processes.py`` fork the Pythons that it starts: our modules, the SDK's command line and the emulator's instances.

A test about the start of such a Python uses ``real_processes`` (``tests/conftest.py``).
"""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from chutes_wrappers.host import processes
from tests.fork_server import ROOT, SCRIPT, ForkedProcess, ForkServer, get_fork_server

_START = str(ROOT / "chutes_wrappers" / "start.py")


class ForkedPopen(subprocess.Popen[bytes]):
    """A process of the fork server with the interface of ``Popen``, whose private methods it overrides."""

    def __init__(self, server: Callable[[], ForkServer], argv: Sequence[str], **options: Any) -> None:
        self._server = server
        self._forked: ForkedProcess | None = None
        super().__init__(argv, **options)

    def _execute_child(self, argv: Sequence[str], *rest: Any) -> None:
        _, _, _, _, directory, environment, _, _, _, *pipes = rest
        child_reads, our_writes, our_reads, child_writes, our_errors, child_errors = pipes[:6]
        streams = (child_reads, child_writes, child_errors)
        target, *arguments = argv[2:] if argv[1] == _START else (SCRIPT, *argv[2:])
        self._forked = self._server().start(
            target,
            arguments,
            folder=Path(directory),
            variables=environment,
            streams=[number if descriptor == -1 else descriptor for number, descriptor in enumerate(streams)],
        )
        self.pid = self._forked.pid
        self._child_created = True
        self._close_pipe_fds(child_reads, our_writes, our_reads, child_writes, our_errors, child_errors)  # type: ignore[attr-defined]

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None and self._forked is not None:
            self.returncode = self._forked.poll()
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        assert self._forked is not None
        self.returncode = self._forked.wait(timeout)
        return self.returncode


def start_forked(target: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start a process that calls ``MODULE:FUNCTION``; ``cwd``, ``env`` and the other options are those of ``Popen``."""
    argv = [sys.executable, _START, target, *arguments]
    process: Any = ForkedPopen(get_fork_server, argv, text=True, **options)
    return process  # type: ignore[no-any-return]


def install(server: Callable[[], ForkServer], *, and_scripts: bool = False) -> None:
    """Fork from now on, in this process; with ``and_scripts`` also for ``python -c``."""
    prefixes = ([sys.executable, _START], *([[sys.executable, "-c"]] if and_scripts else []))

    def popen(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        is_ours = list(argv[:2]) in prefixes
        return ForkedPopen(server, argv, **options) if is_ours else subprocess.Popen(argv, **options)

    module = types.ModuleType(subprocess.__name__)
    vars(module).update(vars(subprocess))
    module.Popen = popen  # type: ignore[attr-defined]
    processes.subprocess = module  # type: ignore[attr-defined]


def uninstall() -> None:
    """Start processes as the product does."""
    processes.subprocess = subprocess  # type: ignore[attr-defined]
