"""Docker, behind one small protocol."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from chutes_wrappers.core.errors import WrapperError


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """What to run. ``ports`` are container ports to publish on free loopback ports; ``environment`` travels in the API's body.

    ``volumes`` are in Docker's notation (``source:target``); ``empty_volumes`` are paths that become fresh volumes which hide
    what the image has there and which everybody may write to; ``gpus`` is "all", a number, or ``device=0,1``.
    """

    image: str
    command: Sequence[str] | None = None
    entrypoint: Sequence[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    working_dir: str | None = None
    ports: Sequence[int] = ()
    volumes: Sequence[str] = ()
    empty_volumes: Sequence[str] = ()
    shm_bytes: int | None = None
    gpus: str | None = None
    platform: str = "linux/amd64"
    network: str | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ExecResult:
    """The outcome of a command in a container: its exit code and what it printed, both streams together."""

    exit_code: int
    output: str


class ImageFiles(Protocol):
    """The files of an image."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder, symbolic links followed."""
        ...

    def read(self, path: str) -> bytes | None:
        """A file's content, symbolic links followed; None when there is no such file (or it is above 64 MiB)."""
        ...


class RunningContainer(Protocol):
    """One container, gone when its context ends."""

    @property
    def host_ports(self) -> Mapping[int, int]:
        """Container port → loopback port."""
        ...

    def stream_logs(self) -> Iterator[str]:
        """Lines as the container prints them, from its start; ends when it exits."""
        ...

    def read_exit_code(self) -> int | None:
        """None while it runs."""
        ...

    def read_tail(self, lines: int = 50) -> str:
        """The last lines that it printed."""
        ...

    def wait(self, timeout_s: float) -> int:
        """The exit code; raises WrapperError when it still runs after ``timeout_s``."""
        ...

    def execute(self, argv: Sequence[str], *, user: str | None = None) -> ExecResult:
        """Run a command inside."""
        ...

    def list_changed_paths(self) -> Sequence[tuple[str, str]]:
        """(kind, absolute path) of what differs from the image; kind is "added", "changed" or "deleted"."""
        ...

    def stop(self, timeout_s: float = 10) -> None:
        """SIGTERM, then SIGKILL; no error when it is gone."""
        ...


class ImageReader(Protocol):
    """Opens images."""

    def open_files(self, reference: str) -> AbstractContextManager[ImageFiles]:
        """The files of an image, to be read without running it; ImageMissing when it is not there."""
        ...


class ContainerEngine(ImageReader, Protocol):
    """What the toolkit needs of Docker."""

    def inspect_image(self, reference: str) -> Mapping[str, object]:
        """The engine's description of an image, pulled first when it is not there; WrapperError when neither works."""
        ...

    def run(self, spec: ContainerSpec) -> AbstractContextManager[RunningContainer]:
        """Start a container; it is stopped and removed, with its anonymous volumes, when the context ends."""
        ...


@contextlib.contextmanager
def start_container(
    engine: ContainerEngine, spec: ContainerSpec, report: Callable[[str], None]
) -> Iterator[RunningContainer]:
    """The running container; without GPUs, and said so, where the engine has none to give."""
    with contextlib.ExitStack() as stack:
        try:
            container = stack.enter_context(engine.run(spec))
        except WrapperError as error:
            if spec.gpus is None or not _is_about_gpus(error):
                raise
            report(f"Docker has no GPU to give here ({error.what}): running without one")
            container = stack.enter_context(engine.run(replace(spec, gpus=None)))
        yield container


def _is_about_gpus(error: WrapperError) -> bool:
    return any(word in str(error).lower() for word in ("gpu", "device driver", "nvidia"))
