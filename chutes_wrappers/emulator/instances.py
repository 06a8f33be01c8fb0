"""All instances of all chutes: how many run, which one takes a call, and when one is replaced."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from types import TracebackType

from chutes_wrappers.emulator.instance import Clock, Instance, SystemClock
from chutes_wrappers.emulator.launcher import Launcher
from chutes_wrappers.emulator.records import ChuteRecord, InstanceRecord, InstanceState

_MAX_ENDED_RECORDS = 20


class NoInstance(Exception):
    """No instance can take the call; the text says why, for the log."""


class AtCapacity(Exception):
    """Every instance has as many calls as its chute's ``concurrency``."""


class Instances:
    """Keeps instances as their chutes want them. A context manager; leaving it ends all of them. On one event loop.

    A new deployment starts one instance and ends those of older versions. Calls start the first one when there is none, and
    one more, up to ``max_instances``, when ``scaling_threshold`` of all places is taken. ``on_line`` gets every line that an
    instance prints.
    """

    def __init__(
        self, launcher: Launcher, *, clock: Clock | None = None, on_line: Callable[[str], None] = lambda line: None
    ) -> None:
        self._launcher = launcher
        self._on_line = on_line
        self._clock = clock or SystemClock()
        self._chutes: dict[str, ChuteRecord] = {}
        self._instances: dict[str, Instance] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Instances:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def register(self, chute: ChuteRecord) -> None:
        """Remember a chute that was deployed before, without starting anything: its first call does, or ``warm``."""
        self._chutes[chute.chute_id] = chute

    async def replace_instances(self, chute: ChuteRecord) -> None:
        """Replace the chute's instances by one of this version; returns when the old ones are gone and it is launching."""
        self._chutes[chute.chute_id] = chute
        await self._end_all(self._list_live(chute.chute_id), "a newer version was deployed")
        self._start(chute)

    async def end_instances(self, chute_id: str) -> None:
        """End all instances of a chute that was deleted; returns when they are gone."""
        self._chutes.pop(chute_id, None)
        await self._end_all(self._list_live(chute_id), "the chute was deleted")

    async def warm_up(self, chute_id: str) -> None:
        """Start an instance unless there is one; nothing for a chute that is not known."""
        chute = self._chutes.get(chute_id)
        if chute is not None and not self._list_live(chute_id):
            self._start(chute)

    def list_records(self, chute_id: str) -> list[InstanceRecord]:
        """The instances of a chute, the oldest first; of those that are gone the last twenty."""
        return [instance.record for instance in self._instances.values() if instance.chute.chute_id == chute_id]

    def find_record(self, instance_id: str) -> InstanceRecord | None:
        """One instance; None for one that never was, or went long ago."""
        instance = self._instances.get(instance_id)
        return instance.record if instance is not None else None

    async def list_listening_ports(self, chute_id: str) -> Collection[int]:
        """The ports that the newest instance of a chute listens on now."""
        live = self._list_live(chute_id)
        return await live[-1].list_listening_ports() if live else ()

    def follow_log(self, instance_id: str, backfill: int) -> AsyncIterator[str]:
        """Its last ``backfill`` lines, and those to come; ends when it is gone, at once when it is not known."""
        instance = self._instances.get(instance_id)
        return instance.log.follow(backfill) if instance is not None else _empty_log()

    @contextlib.asynccontextmanager
    async def lease(self, chute: ChuteRecord, *, wait_s: float) -> AsyncIterator[Instance]:
        """An active instance for one call, which counts as running there until the context ends.

        Without one, starts one and waits ``wait_s`` for it. Raises AtCapacity, or NoInstance when it does not come.
        """
        self._chutes[chute.chute_id] = chute
        instance = self._find_least_busy(chute) or await self._start_and_wait(chute, wait_s)
        if not instance.has_capacity:
            self._scale(chute)
            raise AtCapacity
        with instance.track_call():
            self._scale(chute)
            yield instance

    async def close(self) -> None:
        """End everything; returns when it is gone."""
        await self._end_all(list(self._instances.values()), "the emulator stopped")
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _list_live(self, chute_id: str | None = None) -> list[Instance]:
        return [
            instance
            for instance in self._instances.values()
            if instance.state is not InstanceState.GONE and chute_id in (None, instance.chute.chute_id)
        ]

    def _find_least_busy(self, chute: ChuteRecord) -> Instance | None:
        active = [instance for instance in self._list_live(chute.chute_id) if instance.state is InstanceState.ACTIVE]
        return min(active, key=lambda instance: instance.record.running_calls, default=None)

    async def _start_and_wait(self, chute: ChuteRecord, wait_s: float) -> Instance:
        """The first instance of a chute without one, once it is active."""
        instance = next(iter(self._list_live(chute.chute_id)), None) or self._start(chute)
        try:
            await asyncio.wait_for(instance.settled.wait(), wait_s)
        except asyncio.TimeoutError:
            raise NoInstance(f"no instance became active within {wait_s:g} s") from None
        if instance.state is InstanceState.GONE:
            raise NoInstance(instance.record.ended_because)
        return self._find_least_busy(chute) or instance

    def _scale(self, chute: ChuteRecord) -> None:
        """Start one more instance when too many places are taken, and none is on its way."""
        live = self._list_live(chute.chute_id)
        slots = len(live) * max(1, chute.concurrency)
        used_slots = sum(instance.record.running_calls for instance in live)
        is_starting = any(instance.state is InstanceState.STARTING for instance in live)
        limit = self._launcher.max_running
        has_free_slot = len(live) < chute.max_instances and (limit is None or len(self._list_live()) < limit)
        if has_free_slot and not is_starting and used_slots >= chute.scaling_threshold * slots:
            self._start(chute)

    def _start(self, chute: ChuteRecord) -> Instance:
        instance = Instance(chute, self._launcher, self._clock, self._on_line)
        refusal = self._free_slot(chute)
        predecessors = [other for other in self._instances.values() if not other.closed.is_set()]
        self._instances[instance.record.instance_id] = instance
        self._drop_old_records()
        if refusal:
            instance.end(refusal)
        # Two services on one port do not fit, not even for the moment in which one ends.
        has_limit = self._launcher.max_running is not None
        task = asyncio.create_task(instance.run(predecessors if has_limit else ()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return instance

    def _free_slot(self, chute: ChuteRecord) -> str:
        """End an idle instance of another chute where only so many may run; a sentence when none is idle, else empty."""
        limit = self._launcher.max_running
        live = self._list_live()
        if limit is None or len(live) < limit:
            return ""
        idle = next((instance for instance in live if instance.record.running_calls == 0), None)
        if idle is None:
            return f"not started: {limit} instance at a time can run here, and {live[0].chute.name} is being called"
        idle.end(f"made room for {chute.name}: {limit} instance at a time can run here")
        return ""

    async def _end_all(self, instances: list[Instance], reason: str) -> None:
        for instance in instances:
            instance.end(reason)
        for instance in instances:
            await instance.closed.wait()

    def _drop_old_records(self) -> None:
        ended = [
            instance
            for instance in self._instances.values()
            if instance.state is InstanceState.GONE and instance.closed.is_set()
        ]
        for instance in ended[: max(0, len(ended) - _MAX_ENDED_RECORDS)]:
            del self._instances[instance.record.instance_id]


async def _empty_log() -> AsyncIterator[str]:
    return
    yield
