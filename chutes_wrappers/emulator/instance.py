"""One instance, from its launch to its end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from loguru import logger

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ServiceFailed, WrapperError
from chutes_wrappers.emulator.clock import Clock
from chutes_wrappers.emulator.failure_count import FailureCount
from chutes_wrappers.emulator.instance_log import InstanceLog
from chutes_wrappers.emulator.launcher import LaunchedInstance, Launcher
from chutes_wrappers.emulator.pod_limits import watch_disk, watch_readiness
from chutes_wrappers.emulator.records import ChuteRecord, InstanceRecord, InstanceState
from chutes_wrappers.emulator.transport import InstanceClient

_T = TypeVar("_T")

_POLL_INTERVAL_S = 0.2
_MAX_EVIDENCE_LINES = 30
_START_TIMEOUT_S = 3600.0
_REAP_DELAY_S = 0.05
_OUTPUT_DRAIN_S = 1.0
# The end of its output normally shows that it ended. A detached child process may keep the output open.
_RECHECK_INTERVAL_S = 2.0


class Instance:
    """One instance. ``run`` launches it and returns when all of it is gone; ``end`` ends it. Used on one event loop."""

    def __init__(
        self,
        chute: ChuteRecord,
        launcher: Launcher,
        clock: Clock,
        on_line: Callable[[str], None] = lambda line: None,
        *,
        disk_limit_bytes: int = platform_rules.INSTANCE_DISK_BYTES,
    ) -> None:
        self.chute = chute
        self._disk_limit_bytes = disk_limit_bytes
        self._on_line = on_line
        self.log = InstanceLog()
        self.record = InstanceRecord(
            instance_id=str(uuid.uuid4()),
            chute_id=chute.chute_id,
            version=chute.version,
            state=InstanceState.STARTING,
            started_at=time.time(),
        )
        # Set when it is active or gone.
        self.settled = asyncio.Event()
        # Set when everything that was launched is gone.
        self.closed = asyncio.Event()
        self._launcher = launcher
        self._clock = clock
        self._launched: LaunchedInstance | None = None
        self._client: InstanceClient | None = None
        self._ending = asyncio.Event()
        self._output_ended = asyncio.Event()
        self._last_used = clock.now()
        self._failure_count = FailureCount()
        # Launcher calls block: each instance has its own thread, so that no instance waits for another.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="emulator-instance")

    @property
    def state(self) -> InstanceState:
        """The state in its life cycle."""
        return self.record.state

    @property
    def client(self) -> InstanceClient:
        """The client that calls it. Valid once it is active."""
        assert self._client is not None
        return self._client

    @property
    def has_free_slot(self) -> bool:
        """Whether it is active and runs fewer calls than its chute's ``concurrency``."""
        return self.state is InstanceState.ACTIVE and self.record.running_calls < self.chute.concurrency

    @property
    def has_capacity(self) -> bool:
        """Whether the platform sends it one more call."""
        return self.has_free_slot and not self.disabled_s

    @property
    def disabled_s(self) -> float:
        """For how many seconds more it is disabled; 0 when it is not."""
        return self._failure_count.remaining_s(self._clock.now())

    @contextlib.contextmanager
    def track_call(self) -> Any:
        """Count a running call until the context ends."""
        self._update_record(running_calls=self.record.running_calls + 1)
        try:
            yield
        finally:
            self._update_record(running_calls=self.record.running_calls - 1)

    def mark_used(self) -> None:
        """Start the time without a call anew. Only completed calls do so (PLATFORM.md, section 3, sentence 10)."""
        self._last_used = self._clock.now()

    def record_success(self) -> None:
        """Record a call that succeeded. It resets the count of consecutive failures, and enables the instance."""
        self.mark_used()
        self._failure_count.record_success()
        self._update_record(failures=0, disabled_until=None)

    def enable(self) -> None:
        """Enable it before its time. The platform cannot: this is for checks, which call the next route."""
        self._failure_count.enable()
        self._update_record(disabled_until=None)
        logger.info("{}: enabled again, for the check only", self._describe())

    def record_failure(self, reason: str) -> None:
        """Record a call that failed: it may disable or delete the instance (``FailureCount``)."""
        disabled_s = self._failure_count.record_failure(self._clock.now())
        failures = self._failure_count.failures
        self._update_record(failures=failures, last_failure=reason)
        logger.warning("{}: a call failed ({} in a row): {}", self._describe(), failures, reason)
        if self._failure_count.is_exhausted:
            self.end(
                f"deleted: {failures} calls in a row failed, which disabled it {platform_rules.DISABLES_TO_DELETION} times within an hour. "
                f"The last one: {reason}"
            )
        elif disabled_s:
            self._update_record(disabled_until=time.time() + disabled_s)
            logger.warning(
                "{}: disabled for {:g} s after {} failures in a row: {}", self._describe(), disabled_s, failures, reason
            )

    def end(self, reason: str) -> None:
        """End it: it accepts no more calls. ``reason`` is a sentence for the owner; the first reason is kept."""
        if self.state is InstanceState.GONE:
            return
        self._update_record(state=InstanceState.GONE, ended_because=reason)
        logger.info("{}: gone: {}", self._describe(), reason)
        self._ending.set()
        self.settled.set()

    async def list_listening_ports(self) -> Collection[int]:
        """Return the ports that it listens on now; empty before its launch."""
        launched = self._launched
        return () if launched is None else await asyncio.to_thread(launched.list_listening_ports)

    async def is_gone_within(self, seconds: float) -> bool:
        """Wait up to ``seconds``. Return whether it has ended."""
        return await _is_set_within(self._ending, seconds)

    async def run(self, predecessors: Iterable[Instance] = ()) -> None:
        """Launch it when all ``predecessors`` are gone, and return when it has ended and all of it is gone."""
        try:
            for predecessor in predecessors:
                await predecessor.closed.wait()
            with contextlib.ExitStack() as stack:
                try:
                    await self._run_until_exit(stack)
                except WrapperError as failure:
                    self.end(str(failure))
                except Exception as failure:  # noqa: BLE001  # a failed instance must not affect others
                    logger.exception("{}", self._describe())
                    self.end(f"the emulator failed: {failure!r}")
                finally:
                    await self._close(stack)
        finally:
            self.end("the emulator stopped")  # ignored when it has a reason already
            self._executor.shutdown(wait=False)
            self.log.close()
            self.closed.set()

    async def _run_until_exit(self, stack: contextlib.ExitStack) -> None:
        if self._ending.is_set():
            return
        logger.info("{}: starting", self._describe())
        launched = await self._run_blocking(stack.enter_context, self._launcher.launch(self.chute))
        self._launched, self._client = launched, launched.client
        self._start_reading_output(launched)
        async with _background_tasks() as start_in_background:
            start_in_background(self._end_after(watch_disk(launched, self._clock, self._disk_limit_bytes)))
            if not await self._wait_until_active(launched):
                return
            start_in_background(self._end_when_idle())
            start_in_background(self._end_after(watch_readiness(launched, self._clock, self._warn)))
            exit_code = await self._wait_until_exit(launched)
        if exit_code is not None:
            await self._wait_for_output_end()
            raise ServiceFailed(
                f"it ended by itself with exit code {exit_code}",
                evidence=self.log.tail(_MAX_EVIDENCE_LINES),
                next_step="fix the error in its last lines",
            )

    async def _close(self, stack: contextlib.ExitStack) -> None:
        if self._client is not None:
            await self._client.close()
        await self._run_blocking(stack.close)
        if self._client is not None:
            await self._wait_for_output_end()

    async def _wait_for_output_end(self) -> None:
        # A short wait: a detached child process may keep the output open.
        await _is_set_within(self._output_ended, _OUTPUT_DRAIN_S)

    async def _wait_until_active(self, launched: LaunchedInstance) -> bool:
        """Wait until it serves, and lock its network as the platform does. Return False when it was ended meanwhile."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not await launched.client.is_serving():
            if (exit_code := await self._run_blocking(launched.poll_exit_code)) is not None:
                await self._wait_for_output_end()
                raise self._make_start_failure(f"exit code {exit_code}")
            if time.monotonic() > deadline:
                raise self._make_start_failure(f"not ready after {_START_TIMEOUT_S:g} s")
            if await _is_set_within(self._ending, _POLL_INTERVAL_S):
                return False
        if not self.chute.allow_external_egress:
            await self._run_blocking(launched.lock_network)
        if self._ending.is_set():
            return False
        self._last_used = self._clock.now()
        self._update_record(state=InstanceState.ACTIVE, active_since=time.time())
        logger.info("{}: active", self._describe())
        self.settled.set()
        return True

    def _make_start_failure(self, reason: str) -> ServiceFailed:
        return ServiceFailed(
            f"it did not start: {reason}",
            evidence=self.log.tail(_MAX_EVIDENCE_LINES),
            next_step="fix the error in its last lines, and deploy again",
        )

    async def _wait_until_exit(self, launched: LaunchedInstance) -> int | None:
        """Return its exit code, or None when it was ended."""
        while not self._ending.is_set():
            if (exit_code := await self._run_blocking(launched.poll_exit_code)) is not None:
                return exit_code
            if self._output_ended.is_set():
                await asyncio.sleep(_REAP_DELAY_S)
            await _wait_for_first(self._ending, self._output_ended, timeout_s=_RECHECK_INTERVAL_S)
        return None

    async def _end_when_idle(self) -> None:
        """End it when it had no call for the chute's ``shutdown_after_s``."""
        while True:
            idle_s = 0.0 if self.record.running_calls else self._clock.now() - self._last_used
            if idle_s >= self.chute.shutdown_after_s:
                self.end(f"it had no call for {self.chute.shutdown_after_s:g} s")
                return
            await self._clock.sleep(self.chute.shutdown_after_s - idle_s)

    async def _end_after(self, watch: Coroutine[Any, Any, ServiceFailed]) -> None:
        self.end(str(await watch))

    def _warn(self, problem: str) -> None:
        logger.warning("{}: {}", self._describe(), problem)

    def _start_reading_output(self, launched: LaunchedInstance) -> None:
        loop = asyncio.get_running_loop()
        lines: deque[str] = deque()
        is_scheduled = threading.Event()

        def append_lines() -> None:
            is_scheduled.clear()
            while lines:
                self._append_line(lines.popleft())

        def read() -> None:
            # The loop may be closed before the last line is read.
            with contextlib.suppress(RuntimeError):
                with contextlib.suppress(WrapperError, OSError, ValueError):
                    for line in launched.read_lines():
                        lines.append(line)
                        # A busy loop takes many lines at once: waking it for each line would cost more than the line.
                        if not is_scheduled.is_set():
                            is_scheduled.set()
                            loop.call_soon_threadsafe(append_lines)
                loop.call_soon_threadsafe(self._output_ended.set)

        threading.Thread(target=read, daemon=True, name="emulator-log").start()

    def _append_line(self, line: str) -> None:
        self.log.append(line)
        self._on_line(line)

    async def _run_blocking(self, call: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call, *arguments)

    def _update_record(self, **values: Any) -> None:
        self.record = replace(self.record, **values)

    def _describe(self) -> str:
        return f"instance {self.record.instance_id[:8]} of {self.chute.name}"


@contextlib.asynccontextmanager
async def _background_tasks() -> AsyncIterator[Callable[[Coroutine[Any, Any, None]], None]]:
    """Yield a function that starts a task. All tasks are cancelled when the context ends."""
    tasks: list[asyncio.Task[None]] = []
    try:
        yield lambda work: tasks.append(asyncio.create_task(work))
    finally:
        for task in tasks:
            task.cancel()


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


async def _wait_for_first(*events: asyncio.Event, timeout_s: float) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
