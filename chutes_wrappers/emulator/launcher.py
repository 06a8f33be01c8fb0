"""The protocol of launchers, which start instances, and what all launchers share."""

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
    """A launched instance. Its methods block, and can be called from any thread."""

    @property
    def client(self) -> InstanceClient:
        """The client that calls it."""
        ...

    def read_lines(self) -> Iterator[str]:
        """Yield the lines that it prints, until it ends."""
        ...

    def poll_exit_code(self) -> int | None:
        """Return its exit code; None while it runs."""
        ...

    def list_listening_ports(self) -> Collection[int]:
        """Return the ports that it listens on now, as far as they are known."""
        ...

    def find_probe_problem(self) -> str:
        """Send the readiness probe once. Return why it failed; empty if it did not, or the instance has ended."""
        ...

    def measure_written_bytes(self) -> int:
        """Return the size of what it wrote outside of /cache, as far as that is known."""
        ...

    def lock_network(self) -> None:
        """Block all its network traffic except its loopback and our calls. Raises WrapperError when that fails."""
        ...


class Launcher(Protocol):
    """Starts instances. ``max_running`` limits the instances of all chutes that run at a time; None means no limit."""

    @property
    def max_running(self) -> int | None:
        """The maximum number of running instances."""
        ...

    def launch(self, chute: ChuteRecord) -> AbstractContextManager[LaunchedInstance]:
        """Start an instance. At the end of the context it is gone, with all its processes. Raises WrapperError."""
        ...

    def describe_cache(self, chute_id: str) -> str:
        """Return where the folder /cache of a chute is, and the command that removes it."""
        ...

    def remove_cache(self, chute_id: str) -> None:
        """Remove the folder /cache of a deleted chute, which its instances share. They are gone."""
        ...

    def close(self) -> None:
        """Remove all that outlives instances and not the emulator. All instances are gone."""
        ...


def generate_key() -> bytes:
    """Return a new key for one instance."""
    return secrets.token_bytes(_KEY_BYTES)


def build_runner_environment(key: bytes, **settings: str) -> Mapping[str, str]:
    """Return the variables that pass an instance its settings. The runner removes them when it starts."""
    return {runner.KEY_VARIABLE: key.hex(), **settings}


def find_module_file(chute: ChuteRecord) -> str:
    """Return the file name of the deployed module. Raises ConfigurationError for an invalid reference."""
    module = chute.reference.partition(":")[0]
    if not module.isidentifier():
        raise ConfigurationError(f"{chute.reference!r} is not a valid MODULE:VARIABLE", where=chute.name)
    return f"{module}.py"
