"""One instance, from its launch to its end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from loguru import logger

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ServiceFailed, WrapperError
from chutes_wrappers.emulator.instance_log import InstanceLog
from chutes_wrappers.emulator.launcher import LaunchedInstance, Launcher
from chutes_wrappers.emulator.records import ChuteRecord, InstanceRecord, InstanceState
from chutes_wrappers.emulator.transport import InstanceClient

_T = TypeVar("_T")

_POLL_INTERVAL_S = 0.2
_MAX_EVIDENCE_LINES = 30
_START_TIMEOUT_S = 3600.0
_REAP_DELAY_S = 0.05
_OUTPUT_DRAIN_S = 1.0
# The end of its output tells at once that it ended; a child that got away may hold that open.
_RECHECK_INTERVAL_S = 2.0


class Clock(Protocol):
    """Seconds that only go forward."""

    def now(self) -> float:
        """Now."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when so much time has passed."""
        ...


class SystemClock:
    """This machine's."""

    def now(self) -> float:
        """Now."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return when so much time has passed."""
        await asyncio.sleep(seconds)


class Instance:
    """Launches on ``live``, which returns when all of it is gone; ``end`` ends it. Used on one event loop."""

    def __init__(
        self,
        chute: ChuteRecord,
        launcher: Launcher,
        clock: Clock,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.chute = chute
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
        # Its calls block; another instance's must not have to wait for them.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="emulator-instance")

    @property
    def state(self) -> InstanceState:
        """Where it is in its life."""
        return self.record.state

    @property
    def client(self) -> InstanceClient:
        """How to call it, once it is active."""
        assert self._client is not None
        return self._client

    @property
    def has_capacity(self) -> bool:
        """Whether it takes one more call."""
        return self.state is InstanceState.ACTIVE and self.record.running_calls < self.chute.concurrency

    @contextlib.contextmanager
    def track_call(self) -> Any:
        """A call that runs there, for as long as the context lasts."""
        self._update_record(running_calls=self.record.running_calls + 1)
        try:
            yield
        finally:
            self._last_used = self._clock.now()
            self._update_record(running_calls=self.record.running_calls - 1)

    def record_success(self) -> None:
        """A call succeeded: failures are counted in a row."""
        self._update_record(failures=0)

    def record_failure(self, reason: str) -> None:
        """A call failed; the seventh in a row ends the instance (PLATFORM.md, section 3)."""
        self._update_record(failures=self.record.failures + 1, last_failure=reason)
        logger.warning("{}: a call failed ({} in a row): {}", self._describe(), self.record.failures, reason)
        if self.record.failures >= platform_rules.FAILURES_TO_DELETION:
            self.end(f"deleted: {self.record.failures} calls in a row failed, the last one: {reason}")

    def end(self, reason: str) -> None:
        """Take no more calls, and go away; ``because`` is a sentence for the owner. The first reason stays."""
        if self.state is InstanceState.GONE:
            return
        self._update_record(state=InstanceState.GONE, ended_because=reason)
        logger.info("{}: gone: {}", self._describe(), reason)
        self._ending.set()
        self.settled.set()

    async def list_listening_ports(self) -> Collection[int]:
        """The ports that it listens on now; none before its launch."""
        launched = self._launched
        return () if launched is None else await asyncio.to_thread(launched.list_listening_ports)

    async def is_gone_within(self, seconds: float) -> bool:
        """Whether it ends within ``seconds``, or has ended."""
        return await _is_set_within(self._ending, seconds)

    async def run(self, predecessors: Iterable[Instance] = ()) -> None:
        """Be launched, once those in ``after`` are gone, become active, and last until something ends it."""
        try:
            for predecessor in predecessors:
                await predecessor.closed.wait()
            with contextlib.ExitStack() as stack:
                try:
                    await self._run_until_exit(stack)
                except WrapperError as failure:
                    self.end(str(failure))
                except Exception as failure:  # noqa: BLE001  # one instance's trouble must not be another's
                    logger.exception("{}", self._describe())
                    self.end(f"the emulator could not go on with it: {failure!r}")
                finally:
                    await self._close(stack)
        finally:
            self.end("the emulator stopped")  # unless there is a reason already
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
        if not await self._wait_until_active(launched):
            return
        idle = asyncio.create_task(self._end_when_idle())
        try:
            exit_code = await self._wait_until_exit(launched)
        finally:
            idle.cancel()
        if exit_code is not None:
            await self._wait_for_output_end()
            raise ServiceFailed(
                f"it ended by itself with exit code {exit_code}",
                evidence=self.log.tail(_MAX_EVIDENCE_LINES),
                next_step="correct what its last lines name",
            )

    async def _close(self, stack: contextlib.ExitStack) -> None:
        if self._client is not None:
            await self._client.close()
        await self._run_blocking(stack.close)
        if self._client is not None:
            await self._wait_for_output_end()

    async def _wait_for_output_end(self) -> None:
        # Not waited for long: a process that got away may hold its output open.
        await _is_set_within(self._output_ended, _OUTPUT_DRAIN_S)

    async def _wait_until_active(self, launched: LaunchedInstance) -> bool:
        """Whether it serves, and is locked as the platform would; False when it was ended meanwhile."""
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
            next_step="correct what its last lines name, and deploy again",
        )

    async def _wait_until_exit(self, launched: LaunchedInstance) -> int | None:
        """Its exit code; None when it was ended."""
        while not self._ending.is_set():
            if (exit_code := await self._run_blocking(launched.poll_exit_code)) is not None:
                return exit_code
            if self._output_ended.is_set():
                await asyncio.sleep(_REAP_DELAY_S)
            await _wait_for_first(self._ending, self._output_ended, timeout_s=_RECHECK_INTERVAL_S)
        return None

    async def _end_when_idle(self) -> None:
        """End it when it had nothing to do for as long as its chute says."""
        while True:
            idle_s = 0.0 if self.record.running_calls else self._clock.now() - self._last_used
            if idle_s >= self.chute.shutdown_after_s:
                self.end(f"it had no call for {self.chute.shutdown_after_s:g} s")
                return
            await self._clock.sleep(self.chute.shutdown_after_s - idle_s)

    def _start_reading_output(self, launched: LaunchedInstance) -> None:
        loop = asyncio.get_running_loop()

        def read() -> None:
            # The loop may be gone before the last line, and what was launched before it is read to its end.
            with contextlib.suppress(RuntimeError):
                with contextlib.suppress(WrapperError, OSError, ValueError):
                    for line in launched.read_lines():
                        loop.call_soon_threadsafe(self._append_line, line)
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
