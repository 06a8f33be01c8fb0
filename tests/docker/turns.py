"""Locks among the processes that test with one engine at the same time. A process that dies lets go of its own."""

from __future__ import annotations

import contextlib
import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(tempfile.gettempdir()) / "chutes-wrappers-docker"


@contextlib.contextmanager
def locked(name: str, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock ``name``: alone, or together with all others that share it."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{name}.lock").open("a") as file:  # programs that are started do not inherit it
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Use the engine together with other processes, or ``alone``."""
    with contextlib.ExitStack() as held:
        # Without the queue, tests that share the engine could keep one that wants it alone waiting for ever.
        with locked("queue"):
            held.enter_context(locked("engine", shared=not alone))
        yield
