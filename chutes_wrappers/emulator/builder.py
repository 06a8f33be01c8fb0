"""The protocol of image builders, and the one that uses the docker command."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from chutes_wrappers.core.errors import EngineUnavailable, WrapperError
from chutes_wrappers.core.platform_rules import IMAGE_PLATFORM
from chutes_wrappers.host import processes

# A label on every image that is built here. Its value is the identity of the state.
LABEL = "chutes-wrappers.emulator"
_COMMAND_TIMEOUT_S = 60


class Builder(Protocol):
    """Builds one image at a time."""

    def build(self, context: Path, reference: str, on_line: Callable[[str], None]) -> None:
        """Build the Dockerfile in ``context`` as ``reference``. Raises WrapperError. Blocks."""
        ...

    def build_stage(self, context: Path, reference: str, has_network: bool, on_line: Callable[[str], None]) -> None:
        """Build a Dockerfile whose base this has built (host/forge_stages.py, BuildStage)."""
        ...

    def publish(self, reference: str, on_line: Callable[[str], None]) -> None:
        """Let the Docker engine run ``reference`` from now on, and remove its predecessor. Raises WrapperError. Blocks."""
        ...

    def remove(self, reference: str) -> None:
        """Remove an image's name. Does nothing when it does not exist."""
        ...

    def stop(self) -> None:
        """End the current build, and start no other. Can be called from any thread."""
        ...


class BuildCommands:
    """Runs the commands of one tool, one at a time, until it is stopped. EngineUnavailable without the tool."""

    def __init__(self, tool: str, next_step: str) -> None:
        command = shutil.which(tool)
        if command is None:
            raise EngineUnavailable(f"cannot build images: the command {tool} is not on PATH", next_step=next_step)
        self._command = command
        self._lock = threading.Lock()
        self._running: processes.Process | None = None
        self._is_stopped = False

    def run(self, arguments: Sequence[str], directory: Path, on_line: Callable[[str], None]) -> None:
        """Run a command to its end. Raises WrapperError with its last line when it fails."""
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
            raise WrapperError(f"the build failed with exit code {exit_code}: {last_line}")

    def try_run(self, *arguments: str, timeout_s: float = _COMMAND_TIMEOUT_S) -> bool:
        """Run a command that may fail. Return whether it succeeded."""
        with contextlib.suppress(TimeoutError):
            result = processes.capture(
                [self._command, *arguments], environment=os.environ, directory=Path.cwd(), timeout_s=timeout_s
            )
            return result.exit_code == 0
        return False

    def stop(self) -> None:
        """Terminate the running command, and every later one immediately. Can be called from any thread."""
        with self._lock:
            self._is_stopped = True
            if self._running is not None:
                self._running.terminate()

    @contextlib.contextmanager
    def _track_process(self, process: processes.Process) -> Iterator[None]:
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

    Its images have ``label``. It runs the command instead of the engine's API: the engine stops the build when the command
    ends. Raises EngineUnavailable when the command is missing.
    """

    def __init__(self, label: str) -> None:
        self._docker = BuildCommands("docker", "install Docker's command line, or add --no-docker to build no images")
        self._label = label

    def build(self, context: Path, reference: str, on_line: Callable[[str], None]) -> None:
        self.build_stage(context, reference, True, on_line)

    def build_stage(self, context: Path, reference: str, has_network: bool, on_line: Callable[[str], None]) -> None:
        options = [f"--platform={IMAGE_PLATFORM}", "--force-rm", "--label", self._label, "-t", reference]
        network = [] if has_network else ["--network", "none"]
        self._docker.run(["build", *options, *network, "."], context, on_line)

    def publish(self, reference: str, on_line: Callable[[str], None]) -> None:
        # The previous image of this name: nothing else would remove it.
        self._docker.try_run("image", "prune", "--force", "--filter", f"label={self._label}")

    def remove(self, reference: str) -> None:
        self._docker.try_run("image", "rm", reference)

    def stop(self) -> None:
        self._docker.stop()
