"""What builds images: the Docker engine, through its command line."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from chutes_wrappers.core.errors import EngineUnavailable, WrapperError
from chutes_wrappers.host import processes

# On every image that is built here, with the identity of the state that knows it.
LABEL = "chutes-wrappers.emulator"
_SHORT_S = 60


class Builder(Protocol):
    """Builds one image at a time."""

    def build(self, context: Path, reference: str, on_line: Callable[[str], None]) -> None:
        """Build the Dockerfile in ``context`` as ``reference``; WrapperError says why not. Blocks."""
        ...

    def remove(self, reference: str) -> None:
        """Take an image's name away; nothing when it has gone."""
        ...

    def stop(self) -> None:
        """End what is being built, and build nothing more. From any thread."""
        ...


class DockerBuilder:
    """Builds with ``docker build``, as the SDK's own local build does (SDK ``entrypoint/build.py``).

    A command, because it can be ended at any moment, and then the engine ends the build too. EngineUnavailable without it.
    """

    def __init__(self, identity: str) -> None:
        command = shutil.which("docker")
        if command is None:
            raise EngineUnavailable(
                "images are built with the docker command, which is not on PATH",
                next_step="install Docker's command line, or build nothing with --no-docker",
            )
        self._command = command
        self._identity = identity
        self._lock = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def build(self, context: Path, reference: str, on_line: Callable[[str], None]) -> None:
        """Build the Dockerfile in ``context`` as ``reference``; WrapperError says why not. Blocks."""
        argv = [self._command, "build", "--platform=linux/amd64", "--force-rm"]
        argv += ["--label", f"{LABEL}={self._identity}", "-t", reference, "."]
        last = ""
        with processes.started(argv, environment=os.environ, directory=context) as process, self._watched(process):
            for line in processes.lines(process):
                last = line.strip() or last
                on_line(line)
            code = process.wait()
        if code != 0:
            raise WrapperError(f"the build ended with exit code {code}: {last}", where=reference)
        self._remove_nameless()

    def remove(self, reference: str) -> None:
        """Take an image's name away; nothing when it has gone."""
        self._run("image", "rm", reference)

    def stop(self) -> None:
        """End what is being built, and build nothing more. From any thread."""
        with self._lock:
            self._is_stopped = True
            if self._running is not None:
                self._running.terminate()

    def _remove_nameless(self) -> None:
        """What had the name of a built image before: nothing else would ever remove it."""
        self._run("image", "prune", "--force", "--filter", f"label={LABEL}={self._identity}")

    def _run(self, *arguments: str) -> None:
        with contextlib.suppress(TimeoutError):
            processes.capture(
                [self._command, *arguments], environment=os.environ, directory=Path.cwd(), timeout_s=_SHORT_S
            )

    @contextlib.contextmanager
    def _watched(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        with self._lock:
            self._running = process
            if self._is_stopped:
                process.terminate()
        try:
            yield
        finally:
            with self._lock:
                self._running = None
