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

_LOOK_EVERY_S = 0.2
_LAST_LINES = 30
_LONGEST_START_S = 3600.0
_REAP_S = 0.05
_LAST_OUTPUT_S = 1.0
# The end of its output tells at once that it ended; a child that got away may hold that open.
_LOOK_AGAIN_S = 2.0


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
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="emulator-instance")

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
    def has_room(self) -> bool:
        """Whether it takes one more call."""
        return self.state is InstanceState.ACTIVE and self.record.running_calls < self.chute.concurrency

    @contextlib.contextmanager
    def running_call(self) -> Any:
        """A call that runs there, for as long as the context lasts."""
        self._change(running_calls=self.record.running_calls + 1)
        try:
            yield
        finally:
            self._last_used = self._clock.now()
            self._change(running_calls=self.record.running_calls - 1)

    def succeeded(self) -> None:
        """A call succeeded: failures are counted in a row."""
        self._change(failures=0)

    def failed(self, why: str) -> None:
        """A call failed; the seventh in a row ends the instance (PLATFORM.md, section 3)."""
        self._change(failures=self.record.failures + 1, last_failure=why)
        logger.warning("{}: a call failed ({} in a row): {}", self._name(), self.record.failures, why)
        if self.record.failures >= platform_rules.FAILURES_TO_DELETION:
            self.end(f"deleted: {self.record.failures} calls in a row failed, the last one: {why}")

    def end(self, because: str) -> None:
        """Take no more calls, and go away; ``because`` is a sentence for the owner. The first reason stays."""
        if self.state is InstanceState.GONE:
            return
        self._change(state=InstanceState.GONE, ended_because=because)
        logger.info("{}: gone: {}", self._name(), because)
        self._ending.set()
        self.settled.set()

    async def listening(self) -> Collection[int]:
        """The ports that it listens on now; none before its launch."""
        launched = self._launched
        return () if launched is None else await asyncio.to_thread(launched.listening)

    async def is_gone_within(self, seconds: float) -> bool:
        """Whether it ends within ``seconds``, or has ended."""
        return await _is_set_within(self._ending, seconds)

    async def live(self, after: Iterable[Instance] = ()) -> None:
        """Be launched, once those in ``after`` are gone, become active, and last until something ends it."""
        try:
            for other in after:
                await other.closed.wait()
            with contextlib.ExitStack() as stack:
                try:
                    await self._last(stack)
                except WrapperError as failure:
                    self.end(str(failure))
                except Exception as failure:  # noqa: BLE001  # one instance's trouble must not be another's
                    logger.exception("{}", self._name())
                    self.end(f"the emulator could not go on with it: {failure!r}")
                finally:
                    await self._close(stack)
        finally:
            self.end("the emulator stopped")  # unless there is a reason already
            self._thread.shutdown(wait=False)
            self.log.close()
            self.closed.set()

    async def _last(self, stack: contextlib.ExitStack) -> None:
        if self._ending.is_set():
            return
        logger.info("{}: starting", self._name())
        launched = await self._blocking(stack.enter_context, self._launcher.launch(self.chute))
        self._launched, self._client = launched, launched.client
        self._read_output(launched)
        if not await self._becomes_active(launched):
            return
        idle = asyncio.create_task(self._until_idle())
        try:
            code = await self._until_exit(launched)
        finally:
            idle.cancel()
        if code is not None:
            await self._read_to_the_end()
            raise ServiceFailed(
                f"it ended by itself with exit code {code}",
                evidence=self.log.tail(_LAST_LINES),
                next_step="correct what its last lines name",
            )

    async def _close(self, stack: contextlib.ExitStack) -> None:
        if self._client is not None:
            await self._client.close()
        await self._blocking(stack.close)
        if self._client is not None:
            await self._read_to_the_end()

    async def _read_to_the_end(self) -> None:
        # Not waited for long: a process that got away may hold its output open.
        await _is_set_within(self._output_ended, _LAST_OUTPUT_S)

    async def _becomes_active(self, launched: LaunchedInstance) -> bool:
        """Whether it serves, and is locked as the platform would; False when it was ended meanwhile."""
        deadline = time.monotonic() + _LONGEST_START_S
        while not await launched.client.is_serving():
            if (code := await self._blocking(launched.exit_code)) is not None:
                await self._read_to_the_end()
                raise self._not_started(f"exit code {code}")
            if time.monotonic() > deadline:
                raise self._not_started(f"not ready after {_LONGEST_START_S:g} s")
            if await _is_set_within(self._ending, _LOOK_EVERY_S):
                return False
        if not self.chute.allow_external_egress:
            await self._blocking(launched.lock_network)
        if self._ending.is_set():
            return False
        self._last_used = self._clock.now()
        self._change(state=InstanceState.ACTIVE, active_since=time.time())
        logger.info("{}: active", self._name())
        self.settled.set()
        return True

    def _not_started(self, how: str) -> ServiceFailed:
        return ServiceFailed(
            f"it did not start: {how}",
            evidence=self.log.tail(_LAST_LINES),
            next_step="correct what its last lines name, and deploy again",
        )

    async def _until_exit(self, launched: LaunchedInstance) -> int | None:
        """Its exit code; None when it was ended."""
        while not self._ending.is_set():
            if (code := await self._blocking(launched.exit_code)) is not None:
                return code
            if self._output_ended.is_set():
                await asyncio.sleep(_REAP_S)
            await _first_of(self._ending, self._output_ended, within_s=_LOOK_AGAIN_S)
        return None

    async def _until_idle(self) -> None:
        """End it when it had nothing to do for as long as its chute says."""
        while True:
            idle_s = 0.0 if self.record.running_calls else self._clock.now() - self._last_used
            if idle_s >= self.chute.shutdown_after_s:
                self.end(f"it had no call for {self.chute.shutdown_after_s:g} s")
                return
            await self._clock.sleep(self.chute.shutdown_after_s - idle_s)

    def _read_output(self, launched: LaunchedInstance) -> None:
        loop = asyncio.get_running_loop()

        def read() -> None:
            # The loop may be gone before the last line, and what was launched before it is read to its end.
            with contextlib.suppress(RuntimeError):
                with contextlib.suppress(WrapperError, OSError, ValueError):
                    for line in launched.lines():
                        loop.call_soon_threadsafe(self._take, line)
                loop.call_soon_threadsafe(self._output_ended.set)

        threading.Thread(target=read, daemon=True, name="emulator-log").start()

    def _take(self, line: str) -> None:
        self.log.append(line)
        self._on_line(line)

    async def _blocking(self, call: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def _change(self, **values: Any) -> None:
        self.record = replace(self.record, **values)

    def _name(self) -> str:
        return f"instance {self.record.instance_id[:8]} of {self.chute.name}"


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


async def _first_of(*events: asyncio.Event, within_s: float) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
