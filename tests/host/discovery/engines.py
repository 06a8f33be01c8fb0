"""A fake engine whose containers are servers of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.container_engine.engine import ContainerSpec, ExecResult, ImageFiles


@dataclass
class FakeContainer:
    """A fake container. ``exit_code`` None: it runs until it is stopped."""

    host_ports: Mapping[int, int]
    lines: Sequence[str] = ()
    exit_code: int | None = None
    listener_table: str = ""
    changes: Sequence[tuple[str, str]] = ()
    stopped: threading.Event = field(default_factory=threading.Event)

    def stream_logs(self, *, has_stderr: bool = True) -> Iterator[str]:
        yield from self.lines
        self.stopped.wait(30)

    def read_exit_code(self) -> int | None:
        return self.exit_code

    def read_tail(self, lines: int = 50) -> str:
        return "\n".join(self.lines[-lines:])

    def wait(self, timeout_s: float) -> int:
        raise WrapperError("still runs")

    def execute(self, argv: Sequence[str], *, user: str | None = None, timeout_s: float | None = None) -> ExecResult:
        if self.stopped.is_set():
            raise WrapperError("the container is gone")
        return ExecResult(exit_code=0, output=self.listener_table)

    def list_changed_paths(self) -> Sequence[tuple[str, str]]:
        return self.changes

    def stop(self, timeout_s: float = 10) -> None:
        self.stopped.set()


class FakeEngine:
    """Starts ``container`` for every spec; ``started_specs`` are the specs."""

    def __init__(self, container: FakeContainer, *, has_gpu: bool = True) -> None:
        self.container = container
        self.started_specs: list[ContainerSpec] = []
        self._has_gpu = has_gpu

    def has_gpu(self) -> bool:
        return self._has_gpu

    def inspect_image(self, reference: str) -> Mapping[str, object]:
        raise WrapperError(f"no image {reference}")

    def open_files(self, reference: str) -> AbstractContextManager[ImageFiles]:
        raise WrapperError(f"no image {reference}")

    @contextmanager
    def run(self, spec: ContainerSpec) -> Iterator[FakeContainer]:
        self.started_specs.append(spec)
        if spec.gpus and not self._has_gpu:
            raise WrapperError('could not select device driver "" with capabilities: [[gpu]]')
        try:
            yield self.container
        finally:
            self.container.stop()


def build_listener_table(*addresses: tuple[str, int]) -> str:
    """Return the text of ``/proc/net/tcp`` for IPv4 listeners."""
    rows = []
    for address, port in addresses:
        kernel_order = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
        rows.append(f"   0: {kernel_order}:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1")
    return "\n".join(["  sl  local_address rem_address   st", *rows])
