"""The protocols of a container engine, and the values that they exchange."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_rules import IMAGE_PLATFORM


@dataclass(frozen=True, kw_only=True)
class KeptVolume:
    """A volume that outlives containers, for the files of one user. It is created when it is missing.

    ``name`` is the engine's name, ``target`` the path in the container. ``uid`` is its user and group. ``owner`` is the path on
    this machine that it belongs to: a later process removes the volume once that path is gone. Without one, it belongs to
    this process. ``DockerEngine.remove_volume`` removes it.
    """

    name: str
    target: str
    uid: int
    owner: str | None = None


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """The options of a container. ``ports`` are container ports to publish on free loopback ports.

    ``environment`` is sent in a request body, never in an argv. ``volumes`` are in Docker's notation (``source:target``).
    ``empty_volumes`` are paths of new volumes, which hide the image's files and which every user may write to.
    ``seccomp_profile`` is JSON. ``capabilities`` are the only ones, and no program gets more; None is the engine's default.
    ``files`` maps paths in the container, not in a volume, to contents: root's files, which every user of it may read.
    ``gpus`` is "all", a number, or ``device=0,1``.
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
    kept_volumes: Sequence[KeptVolume] = ()
    seccomp_profile: str | None = field(default=None, repr=False)
    capabilities: Sequence[str] | None = None
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    shm_bytes: int | None = None
    gpus: str | None = None
    platform: str = IMAGE_PLATFORM
    network: str | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ExecResult:
    """The result of a command in a container: its exit code, and its stdout and stderr together."""

    exit_code: int
    output: str


class ImageFiles(Protocol):
    """The files of an image."""

    def exists(self, path: str) -> bool:
        """Return whether a file or folder exists; follows symbolic links."""

    def read(self, path: str) -> bytes | None:
        """Return a file's content; follows symbolic links. None when there is no such file, or it is above 64 MiB."""


class RunningContainer(Protocol):
    """A running container, removed when its context ends."""

    @property
    def host_ports(self) -> Mapping[int, int]:
        """Container port → loopback port."""

    def stream_logs(self, *, has_stderr: bool = True) -> Iterator[str]:
        """Yield the lines that the container prints, from its start until it exits.

        Those of standard error have no certain place among the others; without ``has_stderr`` they are left out. The engine may
        end the stream before the very last output; ``read_tail`` returns that too.
        """

    def read_exit_code(self) -> int | None:
        """Return the exit code, or None while the container runs."""

    def read_tail(self, lines: int = 50) -> str:
        """Return the last lines that the container printed."""

    def wait(self, timeout_s: float) -> int:
        """Return the exit code; raise WrapperError when the container still runs after ``timeout_s``."""

    def execute(self, argv: Sequence[str], *, user: str | None = None, timeout_s: float | None = None) -> ExecResult:
        """Run a command inside and return its result. Raise WrapperError for more than 16 MiB of output, or a timeout."""

    def list_changed_paths(self) -> Sequence[tuple[str, str]]:
        """List (kind, absolute path) of the differences from the image; kind is "added", "changed" or "deleted"."""

    def stop(self, timeout_s: float = 10) -> None:
        """Send SIGTERM, then SIGKILL after ``timeout_s``. No error when the container is gone."""


class ImageReader(Protocol):
    """Reads the files of images."""

    def open_files(self, reference: str) -> AbstractContextManager[ImageFiles]:
        """Open the files of an image, without running it. Raise ImageMissing when the engine does not have it."""


class ContainerEngine(ImageReader, Protocol):
    """The operations of an engine that this project needs."""

    def inspect_image(self, reference: str) -> Mapping[str, object]:
        """Return the engine's description of an image, which is pulled when missing. Raise WrapperError when neither works."""

    def run(self, spec: ContainerSpec) -> AbstractContextManager[RunningContainer]:
        """Start a container. It is stopped and removed with its volumes when the context ends, in any way."""


@contextlib.contextmanager
def start_container(
    engine: ContainerEngine, spec: ContainerSpec, report: Callable[[str], None]
) -> Iterator[RunningContainer]:
    """Run a container. Where the engine has no GPUs, or accepts no seccomp profile, run it without and report that."""
    with contextlib.ExitStack() as stack:
        container = None
        while container is None:
            try:
                container = stack.enter_context(engine.run(spec))
            except WrapperError as error:
                spec = _drop_rejected_option(spec, error, report)
        yield container


def _drop_rejected_option(spec: ContainerSpec, error: WrapperError, report: Callable[[str], None]) -> ContainerSpec:
    """Return ``spec`` without the option that the engine rejected. Raise ``error`` when it is about nothing optional."""
    message = str(error).lower()
    if spec.gpus is not None and any(word in message for word in ("gpu", "device driver", "nvidia")):
        report(f"Docker has no GPU available ({error.what}): running without one")
        return replace(spec, gpus=None)
    if spec.seccomp_profile is not None and "seccomp" in message:
        report(f"Docker accepts no seccomp profile ({error.what}): system calls that the platform refuses work here")
        return replace(spec, seccomp_profile=None)
    raise error
