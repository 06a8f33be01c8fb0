"""The instances of all chutes: their number, the instance for a call, and their replacement."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from types import TracebackType

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.clock import Clock, SystemClock
from chutes_wrappers.emulator.instance import Instance
from chutes_wrappers.emulator.launcher import Launcher
from chutes_wrappers.emulator.records import ChuteRecord, InstanceRecord, InstanceState

_MAX_ENDED_RECORDS = 20


class NoInstance(Exception):
    """The chute has no active instance. The message is the reason, for the log."""


class AtCapacity(Exception):
    """Every instance is disabled, or runs as many calls as its chute's ``concurrency``. The message says which."""


class Instances:
    """Starts, scales and ends instances. A context manager: its end ends all of them. Used on one event loop.

    A first deployment starts none: a warm-up does, or a call, which does not wait for it. A new version replaces the instances
    of older ones by one. A call starts one more, up to ``max_instances``, when the share of used call slots reaches
    ``scaling_threshold``. ``on_line`` gets every line that an instance prints.
    """

    def __init__(
        self,
        launcher: Launcher,
        *,
        clock: Clock | None = None,
        on_line: Callable[[str], None] = lambda line: None,
        disk_limit_bytes: int = platform_rules.INSTANCE_DISK_BYTES,
    ) -> None:
        self._launcher = launcher
        self._on_line = on_line
        self._disk_limit_bytes = disk_limit_bytes
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
        """Register a chute, or its changed record, without an instance: the first call or ``warm_up`` starts one."""
        self._chutes[chute.chute_id] = chute

    async def update(self, chute: ChuteRecord) -> None:
        """Register a version that was deployed now, and replace the instances of the one before. A cold chute stays cold."""
        if self._list_live(chute.chute_id):
            await self.replace_instances(chute)
        else:
            self.register(chute)

    async def replace_instances(self, chute: ChuteRecord, reason: str = "a newer version was deployed") -> None:
        """Replace a chute's instances by one of this record. Returns when the old ones are gone and it is launching."""
        self._chutes[chute.chute_id] = chute
        await self._end_all(self._list_live(chute.chute_id), reason)
        self._start(chute)

    async def end_instances(self, chute_id: str, reason: str) -> None:
        """End all instances of a chute, for ``reason``. Returns when they are gone."""
        await self._end_all(self._list_live(chute_id), reason)

    async def remove(self, chute_id: str) -> None:
        """End all instances of a deleted chute, and remove its /cache. Returns when they are gone."""
        self._chutes.pop(chute_id, None)
        await self.end_instances(chute_id, "the chute was deleted")
        await asyncio.to_thread(self._launcher.remove_cache, chute_id)

    async def warm_up(self, chute_id: str) -> None:
        """Start an instance when the chute has none. Does nothing for an unknown chute. Does not wait for the instance."""
        chute = self._chutes.get(chute_id)
        if chute is not None and not self._list_live(chute_id):
            self._start(chute)

    def list_records(self, chute_id: str) -> list[InstanceRecord]:
        """Return the instances of a chute, the oldest first, with the last twenty that are gone."""
        return [instance.record for instance in self._instances.values() if instance.chute.chute_id == chute_id]

    def find_record(self, instance_id: str) -> InstanceRecord | None:
        """Return one instance; None when it is unknown or was dropped."""
        instance = self._instances.get(instance_id)
        return instance.record if instance is not None else None

    async def wait_until_active(self, chute: ChuteRecord, *, wait_s: float) -> None:
        """Start an instance when no instance is active, and wait up to ``wait_s`` seconds. Raises NoInstance if none becomes active."""
        self._chutes[chute.chute_id] = chute
        if not self._list_active(chute):
            await self._start_and_wait(chute, wait_s)

    def enable(self, chute: ChuteRecord) -> list[InstanceRecord]:
        """Enable the instances that failed calls disabled, for a check. Return their records."""
        disabled = [instance for instance in self._list_active(chute) if instance.disabled_s]
        records = [instance.record for instance in disabled]
        for instance in disabled:
            instance.enable()
        return records

    def has_free_slot(self, chute: ChuteRecord) -> bool:
        """Return whether an active instance can accept one more call, also a disabled one."""
        return any(instance.has_free_slot for instance in self._list_active(chute))

    async def list_listening_ports(self, chute_id: str) -> Collection[int]:
        """Return the ports that the newest instance of a chute listens on now."""
        live = self._list_live(chute_id)
        return await live[-1].list_listening_ports() if live else ()

    def follow_log(self, instance_id: str, backfill: int) -> AsyncIterator[str]:
        """Yield its last ``backfill`` lines and new ones until it is gone; nothing for an unknown instance."""
        instance = self._instances.get(instance_id)
        return instance.log.follow(backfill) if instance is not None else _empty_log()

    @contextlib.asynccontextmanager
    async def lease(
        self, chute: ChuteRecord, *, excluded: Collection[Instance] = (), is_check: bool = False
    ) -> AsyncIterator[Instance]:
        """Yield an active instance that is not ``excluded`` for one call, which counts as running until the context ends.

        A check may use a disabled instance, too. Raises NoInstance when none is active, which starts one. Raises AtCapacity
        when no other one can accept the call.
        """
        self._chutes[chute.chute_id] = chute
        active = self._list_active(chute)
        if not active:
            raise NoInstance(self._request_instance(chute))
        usable = [
            instance
            for instance in active
            if instance not in excluded and (instance.has_free_slot if is_check else instance.has_capacity)
        ]
        if not usable:
            self._scale(chute)
            raise AtCapacity(_describe_capacity(active))
        instance = min(usable, key=lambda each: each.record.running_calls)
        with instance.track_call():
            self._scale(chute)
            yield instance

    def close_logs(self) -> None:
        """End the reading of all logs: it would keep the server from stopping."""
        for instance in self._instances.values():
            instance.log.close()

    async def close(self) -> None:
        """End all instances. Returns when they are gone."""
        await self._end_all(list(self._instances.values()), "the emulator stopped")
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._launcher.close)

    def _list_live(self, chute_id: str | None = None) -> list[Instance]:
        return [
            instance
            for instance in self._instances.values()
            if instance.state is not InstanceState.GONE and chute_id in (None, instance.chute.chute_id)
        ]

    def _list_active(self, chute: ChuteRecord) -> list[Instance]:
        return [instance for instance in self._list_live(chute.chute_id) if instance.state is InstanceState.ACTIVE]

    def _request_instance(self, chute: ChuteRecord) -> str:
        """Start an instance unless one is starting. Return why there was none."""
        if self._list_live(chute.chute_id):
            return "its instance is still starting"
        ended = self.list_records(chute.chute_id)
        self._start(chute)
        return ended[-1].ended_because if ended else "it was cold"

    async def _start_and_wait(self, chute: ChuteRecord, wait_s: float) -> None:
        """Start the first instance of a chute, or use the one that is starting. Return once it is active."""
        instance = next(iter(self._list_live(chute.chute_id)), None) or self._start(chute)
        try:
            await asyncio.wait_for(instance.settled.wait(), wait_s)
        except asyncio.TimeoutError:
            raise NoInstance(f"no instance became active within {wait_s:g} s") from None
        if instance.state is InstanceState.GONE:
            raise NoInstance(instance.record.ended_because)

    def _scale(self, chute: ChuteRecord) -> None:
        """Start one more instance when too many call slots are used, and no other is starting."""
        live = self._list_live(chute.chute_id)
        slots = len(live) * max(1, chute.concurrency)
        used_slots = sum(instance.record.running_calls for instance in live)
        is_starting = any(instance.state is InstanceState.STARTING for instance in live)
        limit = self._launcher.max_running
        has_free_slot = len(live) < chute.max_instances and (limit is None or len(self._list_live()) < limit)
        if has_free_slot and not is_starting and used_slots >= chute.scaling_threshold * slots:
            self._start(chute)

    def _start(self, chute: ChuteRecord) -> Instance:
        instance = Instance(chute, self._launcher, self._clock, self._on_line, disk_limit_bytes=self._disk_limit_bytes)
        refusal = self._free_slot(chute)
        predecessors = [other for other in self._instances.values() if not other.closed.is_set()]
        self._instances[instance.record.instance_id] = instance
        self._drop_old_records()
        if refusal:
            instance.end(refusal)
        # Two services cannot use one port, not even while one of them ends.
        has_limit = self._launcher.max_running is not None
        task = asyncio.create_task(instance.run(predecessors if has_limit else ()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return instance

    def _free_slot(self, chute: ChuteRecord) -> str:
        """End an idle instance when the launcher's limit is reached. Return a reason when none is idle, else an empty text."""
        limit = self._launcher.max_running
        live = self._list_live()
        if limit is None or len(live) < limit:
            return ""
        idle = next((instance for instance in live if instance.record.running_calls == 0), None)
        if idle is None:
            return f"not started: only {limit} instance can run at a time, and {live[0].chute.name} has a running call"
        idle.end(f"ended for {chute.name}: only {limit} instance can run at a time")
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


def _describe_capacity(active: Collection[Instance]) -> str:
    disabled = [instance for instance in active if instance.disabled_s]
    if not disabled:
        return "every instance runs as many calls as its concurrency allows"
    first = min(disabled, key=lambda instance: instance.disabled_s)
    return (
        f"{len(disabled)} of {len(active)} instances are disabled, for {first.disabled_s:.0f} s more, after "
        f"{first.record.failures} failures in a row: {first.record.last_failure}"
    )


async def _empty_log() -> AsyncIterator[str]:
    return
    yield
