"""What builds images: the Docker engine, through its command line."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from chutes_wrappers.core.errors import EngineUnavailable, WrapperError
from chutes_wrappers.host import processes

if TYPE_CHECKING:
    import subprocess

# On every image that is built here, with the identity of the state that knows it.
LABEL = "chutes-wrappers.emulator"
_COMMAND_TIMEOUT_S = 60


class Builder(Protocol):
    """Builds one image at a time."""

    def build(self, context: Path, reference: str, on_line: Callable[[str], None]) -> None:
        """Build the Dockerfile in ``context`` as ``reference`` of the Docker engine; WrapperError says why not. Blocks."""
        ...

    def remove(self, reference: str) -> None:
        """Take an image's name away; nothing when it has gone."""
        ...

    def stop(self) -> None:
        """End what is being built, and build nothing more. From any thread."""
        ...


class BuildCommands:
    """Runs the commands of one tool, one at a time, until it is stopped. EngineUnavailable without the tool."""

    def __init__(self, tool: str, next_step: str) -> None:
        command = shutil.which(tool)
        if command is None:
            raise EngineUnavailable(
                f"images are built with the {tool} command, which is not on PATH", next_step=next_step
            )
        self._command = command
        self._lock = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def run(self, arguments: Sequence[str], directory: Path, on_line: Callable[[str], None]) -> None:
        """Run a command to its end; WrapperError with its last words when it fails."""
        last_line = ""
        argv = [self._command, *arguments]
        with (
            processes.start_process(argv, environment=os.environ, directory=directory) as process,
            self._track_process(process),
        ):
            for line in processes.read_lines(process):
                last_line = line.strip() or last_line
                on_line(line)
            exit_code = process.wait()
        if exit_code != 0:
            raise WrapperError(f"the build ended with exit code {exit_code}: {last_line}")

    def try_run(self, *arguments: str, timeout_s: float = _COMMAND_TIMEOUT_S) -> bool:
        """Run a command whose failure is no fault; whether it succeeded."""
        with contextlib.suppress(TimeoutError):
            result = processes.capture(
                [self._command, *arguments], environment=os.environ, directory=Path.cwd(), timeout_s=timeout_s
            )
            return result.exit_code == 0
        return False

    def stop(self) -> None:
        """End what runs, and what is run from now on at once. From any thread."""
        with self._lock:
            self._is_stopped = True
            if self._running is not None:
                self._running.terminate()

    @contextlib.contextmanager
    def _track_process(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        with self._lock:
            self._running = process
            if self._is_stopped:
                process.terminate()
        try:
            yield
        finally:
            with self._lock:
                self._running = None


class DockerBuilder:
    """Builds with ``docker build``, as the SDK's own local build does (SDK ``entrypoint/build.py``).

    A command, because it can be ended at any moment, and then the engine ends the build too. EngineUnavailable without it.
    """

    def __init__(self, identity: str) -> None:
        self._docker = BuildCommands("docker", "install Docker's command line, or build nothing with --no-docker")
        self._label = f"{LABEL}={identity}"

    def build(self, context: Path, reference: str, on_line: Callable[[str], None]) -> None:
        """Build the Dockerfile in ``context`` as ``reference``; WrapperError says why not. Blocks."""
        options = ["--platform=linux/amd64", "--force-rm", "--label", self._label, "-t", reference]
        self._docker.run(["build", *options, "."], context, on_line)
        # What had the name before: nothing else would ever remove it.
        self._docker.try_run("image", "prune", "--force", "--filter", f"label={self._label}")

    def remove(self, reference: str) -> None:
        """Take an image's name away; nothing when it has gone."""
        self._docker.try_run("image", "rm", reference)

    def stop(self) -> None:
        """End what is being built, and build nothing more. From any thread."""
        self._docker.stop()
