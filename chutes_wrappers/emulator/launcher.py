"""Where instances run, behind one protocol."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.emulator import runner
from chutes_wrappers.emulator.records import ChuteRecord
from chutes_wrappers.emulator.transport import InstanceClient

RUNNER_SOURCE = Path(runner.__file__)
_KEY_BYTES = 32


class LaunchedInstance(Protocol):
    """One instance that was launched. Its methods block, and are safe to call from any thread."""

    @property
    def client(self) -> InstanceClient:
        """How to call it."""
        ...

    def read_lines(self) -> Iterator[str]:
        """What it prints, line by line, until it ends."""
        ...

    def poll_exit_code(self) -> int | None:
        """None while it runs."""
        ...

    def list_listening_ports(self) -> Collection[int]:
        """The ports that it listens on now, as far as that can be told."""
        ...

    def lock_network(self) -> None:
        """Cut it off from everything but its own loopback and our calls; WrapperError when that fails."""
        ...


class Launcher(Protocol):
    """Starts instances. ``max_running`` bounds how many may run at a time, whatever the chutes say; None: nothing does."""

    @property
    def max_running(self) -> int | None:
        """How many instances may run at a time."""
        ...

    def launch(self, chute: ChuteRecord) -> AbstractContextManager[LaunchedInstance]:
        """Start an instance; it is gone, with all that it started, when the context ends. WrapperError says why not."""
        ...


def generate_key() -> bytes:
    """A key for one instance."""
    return secrets.token_bytes(_KEY_BYTES)


def build_runner_environment(key: bytes, **settings: str) -> Mapping[str, str]:
    """The variables that hand an instance its settings; they end with its start."""
    return {runner.KEY_VARIABLE: key.hex(), **settings}


def write_module(chute: ChuteRecord, folder: Path) -> Path:
    """Write the module's source as it was deployed; its path in ``folder``."""
    module = chute.reference.partition(":")[0]
    if not module.isidentifier():
        raise ConfigurationError(f"{chute.reference!r} is not MODULE:VARIABLE", where=chute.name)
    path = folder / f"{module}.py"
    path.write_text(chute.code, encoding="utf-8")
    # An instance reads it as uid 1000.
    path.chmod(0o644)
    return path
