"""What instances print while they start, for ``--warmup --follow``."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from http import HTTPStatus

from chutes_wrappers.cli import output
from chutes_wrappers.cli.commands.logs import skip_repeated_lines
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformRequestFailed
from chutes_wrappers.host.platform_api.instance_logs import BACKFILL_LINES, InstanceLogs
from chutes_wrappers.host.platform_api.objects import ChuteInfo

_SILENCE_S = 30.0
_RETRY_S = 1.0
_LAST_LINES_S = 0.5
_MAX_READERS = 20
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class StartLog:
    """Prints the lines of each instance of ``chute`` that starts. A context manager; its end prints what has still arrived.

    When the platform refuses the logs, it warns once, and prints nothing from then on. Without ``is_shown`` it does nothing.
    ``has_lines`` is whether it has printed a line.
    """

    def __init__(self, chute: ChuteInfo, *, is_shown: bool, as_json: bool) -> None:
        self._name = chute.name
        self._as_json = as_json
        self._is_shown = is_shown
        self._readers: dict[str, _Reader] = {}
        self._shown_id = ""
        self.has_lines = False

    def __enter__(self) -> StartLog:
        return self

    def __exit__(self, *failure: object) -> None:
        if not isinstance(failure[1], KeyboardInterrupt):
            end_at = time.monotonic() + _LAST_LINES_S
            for reader in self._readers.values():
                reader.wait(max(0.0, end_at - time.monotonic()))
            self._print_new_lines()
        for reader in self._readers.values():
            reader.stop()

    def follow(self, chute: ChuteInfo) -> None:
        """Print the new lines of the instances of ``chute``, the present state of the chute: of twenty at a time at most."""
        for instance in chute.instances:
            running_count = sum(reader.is_running for reader in self._readers.values())
            if self._is_shown and running_count < _MAX_READERS and instance.instance_id not in self._readers:
                self._readers[instance.instance_id] = _Reader(instance.instance_id)
        self._print_new_lines()

    def _print_new_lines(self) -> None:
        """Print the lines that arrived since the last call."""
        for instance_id, reader in self._readers.items():
            for line in reader.take_lines():
                self._print(line, instance_id)
            if reader.problem is not None and self._is_shown:
                self._is_shown = False
                output.warning(f"the log cannot be shown: {reader.problem.what}")
                output.report_next_step(reader.problem.next_step or "wait for the instance without its log")

    def _print(self, line: str, instance_id: str) -> None:
        self.has_lines = True
        if self._as_json:
            output.print_result(json.dumps({"instance_id": instance_id, "log": line}))
            return
        if instance_id != self._shown_id:
            self._shown_id = instance_id
            output.print_heading(f"instance {instance_id[:8]} of {self._name}")
        output.print_result(line)


class _Reader:
    """Reads the log of one instance in a thread of its own, until ``stop``. ``problem`` is why it cannot be read."""

    def __init__(self, instance_id: str) -> None:
        self.problem: WrapperError | None = None
        self._instance_id = instance_id
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._has_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="instance-log")
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the log is still read."""
        return self._thread.is_alive()

    def take_lines(self) -> Iterator[str]:
        """Yield the lines that have arrived."""
        for _ in range(self._lines.qsize()):  # not until it is empty: an instance may print faster than a terminal
            yield self._lines.get()

    def stop(self) -> None:
        """End the thread at its next line, or when nothing more has come for half a minute."""
        self._has_stopped.set()

    def wait(self, seconds: float) -> None:
        """Wait up to so many seconds for the end of the log."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            with api_client.connect() as api:
                self._read_until_stopped(InstanceLogs(api))
        except WrapperError as problem:
            self.problem = problem

    def _read_until_stopped(self, logs: InstanceLogs) -> None:
        """Read the log again whenever it ends: its server starts with the instance. Raises WrapperError when it is refused."""
        printed: deque[str] = deque(maxlen=BACKFILL_LINES)
        while not self._has_stopped.is_set():
            try:
                for line in skip_repeated_lines(
                    logs.stream_lines(self._instance_id, silence_s=_SILENCE_S), list(printed)
                ):
                    printed.append(line)
                    self._lines.put(line)
                    if self._has_stopped.is_set():
                        return
            except ConfigurationError:
                raise
            except PlatformRequestFailed as error:
                if error.status in _REFUSED:
                    raise
                if error.status == HTTPStatus.NOT_FOUND and printed:
                    return  # the instance is gone
            except WrapperError:
                pass  # the warm-up reports an outage
            self._has_stopped.wait(_RETRY_S)
