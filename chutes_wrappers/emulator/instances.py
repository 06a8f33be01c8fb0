"""All instances of all chutes: how many run, which one takes a call, and when one is replaced."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from types import TracebackType

from chutes_wrappers.emulator.instance import Clock, Instance, SystemClock
from chutes_wrappers.emulator.launcher import Launcher
from chutes_wrappers.emulator.records import ChuteRecord, InstanceRecord, InstanceState

_KEPT_GONE = 20


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
        self._lives: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Instances:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def know(self, chute: ChuteRecord) -> None:
        """Remember a chute that was deployed before, without starting anything: its first call does, or ``warm``."""
        self._chutes[chute.chute_id] = chute

    async def deployed(self, chute: ChuteRecord) -> None:
        """Replace the chute's instances by one of this version; returns when the old ones are gone and it is launching."""
        self._chutes[chute.chute_id] = chute
        await self._end_all(self._living(chute.chute_id), "a newer version was deployed")
        self._start(chute)

    async def removed(self, chute_id: str) -> None:
        """End all instances of a chute that was deleted; returns when they are gone."""
        self._chutes.pop(chute_id, None)
        await self._end_all(self._living(chute_id), "the chute was deleted")

    async def warm(self, chute_id: str) -> None:
        """Start an instance unless there is one; nothing for a chute that is not known."""
        chute = self._chutes.get(chute_id)
        if chute is not None and not self._living(chute_id):
            self._start(chute)

    def of(self, chute_id: str) -> list[InstanceRecord]:
        """The instances of a chute, the oldest first; of those that are gone the last twenty."""
        return [one.record for one in self._instances.values() if one.chute.chute_id == chute_id]

    def get(self, instance_id: str) -> InstanceRecord | None:
        """One instance; None for one that never was, or went long ago."""
        instance = self._instances.get(instance_id)
        return instance.record if instance is not None else None

    async def listening(self, chute_id: str) -> Collection[int]:
        """The ports that the newest instance of a chute listens on now."""
        living = self._living(chute_id)
        return await living[-1].listening() if living else ()

    def logs(self, instance_id: str, backfill: int) -> AsyncIterator[str]:
        """Its last ``backfill`` lines, and those to come; ends when it is gone, at once when it is not known."""
        instance = self._instances.get(instance_id)
        return instance.log.follow(backfill) if instance is not None else _nothing()

    @contextlib.asynccontextmanager
    async def lease(self, chute: ChuteRecord, *, wait_s: float) -> AsyncIterator[Instance]:
        """An active instance for one call, which counts as running there until the context ends.

        Without one, starts one and waits ``wait_s`` for it. Raises AtCapacity, or NoInstance when it does not come.
        """
        self._chutes[chute.chute_id] = chute
        instance = self._least_busy(chute) or await self._started(chute, wait_s)
        if not instance.has_room:
            self._scale(chute)
            raise AtCapacity
        with instance.running_call():
            self._scale(chute)
            yield instance

    async def close(self) -> None:
        """End everything; returns when it is gone."""
        await self._end_all(list(self._instances.values()), "the emulator stopped")
        await asyncio.gather(*self._lives, return_exceptions=True)

    def _living(self, chute_id: str | None = None) -> list[Instance]:
        return [
            instance
            for instance in self._instances.values()
            if instance.state is not InstanceState.GONE and chute_id in (None, instance.chute.chute_id)
        ]

    def _least_busy(self, chute: ChuteRecord) -> Instance | None:
        active = [one for one in self._living(chute.chute_id) if one.state is InstanceState.ACTIVE]
        return min(active, key=lambda one: one.record.running_calls, default=None)

    async def _started(self, chute: ChuteRecord, wait_s: float) -> Instance:
        """The first instance of a chute without one, once it is active."""
        starting = next(iter(self._living(chute.chute_id)), None) or self._start(chute)
        try:
            await asyncio.wait_for(starting.settled.wait(), wait_s)
        except asyncio.TimeoutError:
            raise NoInstance(f"no instance became active within {wait_s:g} s") from None
        if starting.state is InstanceState.GONE:
            raise NoInstance(starting.record.ended_because)
        return self._least_busy(chute) or starting

    def _scale(self, chute: ChuteRecord) -> None:
        """Start one more instance when too many places are taken, and none is on its way."""
        living = self._living(chute.chute_id)
        places = len(living) * max(1, chute.concurrency)
        taken = sum(one.record.running_calls for one in living)
        is_coming = any(one.state is InstanceState.STARTING for one in living)
        most = self._launcher.most_at_once
        has_place = len(living) < chute.max_instances and (most is None or len(self._living()) < most)
        if has_place and not is_coming and taken >= chute.scaling_threshold * places:
            self._start(chute)

    def _start(self, chute: ChuteRecord) -> Instance:
        instance = Instance(chute, self._launcher, self._clock, self._on_line)
        refusal = self._make_room(chute)
        after = [one for one in self._instances.values() if not one.closed.is_set()]
        self._instances[instance.record.instance_id] = instance
        self._forget()
        if refusal:
            instance.end(refusal)
        # Two services on one port do not fit, not even for the moment in which one ends.
        is_limited = self._launcher.most_at_once is not None
        life = asyncio.create_task(instance.live(after if is_limited else ()))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)
        return instance

    def _make_room(self, chute: ChuteRecord) -> str:
        """End an idle instance of another chute where only so many may run; a sentence when none is idle, else empty."""
        most = self._launcher.most_at_once
        living = self._living()
        if most is None or len(living) < most:
            return ""
        idle = next((one for one in living if one.record.running_calls == 0), None)
        if idle is None:
            return f"not started: {most} instance at a time can run here, and {living[0].chute.name} is being called"
        idle.end(f"made room for {chute.name}: {most} instance at a time can run here")
        return ""

    async def _end_all(self, instances: list[Instance], because: str) -> None:
        for instance in instances:
            instance.end(because)
        for instance in instances:
            await instance.closed.wait()

    def _forget(self) -> None:
        gone = [one for one in self._instances.values() if one.state is InstanceState.GONE and one.closed.is_set()]
        for instance in gone[: max(0, len(gone) - _KEPT_GONE)]:
            del self._instances[instance.record.instance_id]


async def _nothing() -> AsyncIterator[str]:
    return
    yield
