from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.emulator.instances import AtCapacity, Instances, NoInstance
from chutes_wrappers.emulator.records import ChuteRecord, InstanceRecord, InstanceState
from tests.emulator.platforms import record
from tests.emulator.tiny import CORDS, ManualClock, TinyInstance, TinyLauncher


@pytest.fixture
def launcher() -> TinyLauncher:
    return TinyLauncher()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def instances(launcher: TinyLauncher, clock: ManualClock) -> AsyncIterator[Instances]:
    async with Instances(launcher, clock=clock) as running:
        yield running
    assert all(one.stopped for one in launcher.launched)


def chute(**values: Any) -> ChuteRecord:
    return record(cords=CORDS, **{"concurrency": 2, **values})


async def until(condition: Callable[[], bool]) -> None:
    async def look() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(look(), 60)


async def active(instances: Instances, chute_id: str = "chute-1", count: int = 1) -> list[InstanceRecord]:
    await until(lambda: states(instances, chute_id).count(InstanceState.ACTIVE) == count)
    return [one for one in instances.of(chute_id) if one.state is InstanceState.ACTIVE]


def states(instances: Instances, chute_id: str = "chute-1") -> list[InstanceState]:
    return [one.state for one in instances.of(chute_id)]


async def call(instances: Instances, of: ChuteRecord, code: int | None = None) -> None:
    async with instances.lease(of, wait_s=20) as instance:
        if code is None:
            instance.succeeded()
        else:
            instance.failed(f"answered {code}")


async def test_a_deployment_starts_one_instance_which_is_locked_before_it_is_active(
    instances: Instances, launcher: TinyLauncher
) -> None:
    await instances.deployed(chute(max_instances=5))
    assert states(instances) == [InstanceState.STARTING]
    (found,) = await active(instances)
    assert found.active_since is not None
    assert launcher.launched[0].is_locked
    assert instances.get(found.instance_id) == found
    assert instances.get("nobody") is None


async def test_with_external_egress_it_is_not_locked(instances: Instances, launcher: TinyLauncher) -> None:
    await instances.deployed(chute(allow_external_egress=True))
    await active(instances)
    assert not launcher.launched[0].is_locked


async def test_it_is_active_only_when_it_serves(instances: Instances, launcher: TinyLauncher) -> None:
    launcher.prepare = lambda instance: instance.serves.clear()
    await instances.deployed(chute())
    await until(lambda: len(launcher.launched) == 1)
    assert states(instances) == [InstanceState.STARTING]
    launcher.launched[0].serves.set()
    await active(instances)


async def test_a_new_deployment_replaces_the_instances_of_the_old_version(
    instances: Instances, launcher: TinyLauncher
) -> None:
    await instances.deployed(chute())
    (old,) = await active(instances)
    await instances.deployed(chute(version="v2"))
    assert launcher.launched[0].stopped
    (new,) = await active(instances)
    assert (old.version, new.version) == ("v1", "v2")
    ended = instances.get(old.instance_id)
    assert ended is not None
    assert ended.ended_because == "a newer version was deployed"


async def test_a_deleted_chute_has_no_instances_when_removed_returns(
    instances: Instances, launcher: TinyLauncher
) -> None:
    await instances.deployed(chute())
    await instances.removed("chute-1")
    assert states(instances) == [InstanceState.GONE]
    assert all(one.stopped for one in launcher.launched)
    await instances.warm("chute-1")
    assert states(instances) == [InstanceState.GONE]


async def test_warm_starts_one_unless_there_is_one(instances: Instances) -> None:
    instances.know(chute())
    assert instances.of("chute-1") == []
    await instances.warm("chute-1")
    await instances.warm("chute-1")
    await active(instances)
    await instances.warm("chute-1")
    assert len(instances.of("chute-1")) == 1


async def test_a_call_to_a_cold_chute_starts_an_instance_and_waits_for_it(instances: Instances) -> None:
    async with instances.lease(chute(), wait_s=20) as instance:
        assert instance.state is InstanceState.ACTIVE
        assert instances.of("chute-1")[0].running_calls == 1
    assert instances.of("chute-1")[0].running_calls == 0


async def test_a_call_waits_only_so_long(instances: Instances, launcher: TinyLauncher) -> None:
    launcher.prepare = lambda instance: instance.serves.clear()
    with pytest.raises(NoInstance, match=r"within 0\.2 s"):
        async with instances.lease(chute(), wait_s=0.2):
            pass


async def test_more_calls_than_the_concurrency_are_at_capacity(instances: Instances) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(instances.lease(chute(), wait_s=20))
        with pytest.raises(AtCapacity):
            async with instances.lease(chute(), wait_s=20):
                pass
    async with instances.lease(chute(), wait_s=20):
        pass


async def test_more_instances_are_started_when_places_are_taken_up_to_max_instances(instances: Instances) -> None:
    of = chute(max_instances=2, scaling_threshold=0.75)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(instances.lease(of, wait_s=20))
        assert len(instances.of("chute-1")) == 1  # one of two places
        await stack.enter_async_context(instances.lease(of, wait_s=20))
        await active(instances, count=2)
        for _ in range(2):
            await stack.enter_async_context(instances.lease(of, wait_s=20))
        assert [one.running_calls for one in instances.of("chute-1")] == [2, 2]
        with pytest.raises(AtCapacity):
            async with instances.lease(of, wait_s=20):
                pass
        assert len(instances.of("chute-1")) == 2


async def test_while_one_instance_is_coming_no_other_is_started(instances: Instances, launcher: TinyLauncher) -> None:
    of = chute(max_instances=3, scaling_threshold=0.1)
    async with AsyncExitStack() as stack:
        await instances.deployed(of)
        await active(instances)
        launcher.prepare = lambda instance: instance.serves.clear()
        for _ in range(2):
            await stack.enter_async_context(instances.lease(of, wait_s=20))
        assert states(instances) == [InstanceState.ACTIVE, InstanceState.STARTING]
        with pytest.raises(AtCapacity):
            async with instances.lease(of, wait_s=20):
                pass
        assert states(instances) == [InstanceState.ACTIVE, InstanceState.STARTING]


async def test_calls_to_a_cold_chute_wait_for_the_same_instance(instances: Instances, launcher: TinyLauncher) -> None:
    of = chute(max_instances=3, scaling_threshold=1.0)
    await asyncio.gather(*(call(instances, of) for _ in range(2)))
    assert len(launcher.launched) == 1


async def test_an_instance_without_calls_ends_after_shutdown_after(instances: Instances, clock: ManualClock) -> None:
    await instances.deployed(chute(shutdown_after_s=300.0))
    await active(instances)
    await clock.pass_time(299)
    await call(instances, chute())
    await clock.pass_time(299)
    assert states(instances) == [InstanceState.ACTIVE]
    await clock.pass_time(1)
    await until(lambda: states(instances) == [InstanceState.GONE])
    assert instances.of("chute-1")[0].ended_because == "it had no call for 300 s"


async def test_an_instance_with_a_long_call_does_not_end(instances: Instances, clock: ManualClock) -> None:
    of = chute(shutdown_after_s=10.0)
    async with instances.lease(of, wait_s=20):
        for _ in range(5):
            await clock.pass_time(10)
            await asyncio.sleep(0.01)
        assert states(instances) == [InstanceState.ACTIVE]


async def test_seven_failures_in_a_row_delete_the_instance_and_a_success_resets_them(instances: Instances) -> None:
    of = chute()
    for _ in range(6):
        await call(instances, of, 500)
    await call(instances, of)
    assert instances.of("chute-1")[0].failures == 0
    for count in range(1, 7):
        await call(instances, of, 500)
        assert instances.of("chute-1")[0].failures == count
    await call(instances, of, 500)
    (found,) = instances.of("chute-1")
    assert found.state is InstanceState.GONE
    assert found.ended_because == "deleted: 7 calls in a row failed, the last one: answered 500"


async def test_a_failed_start_is_recorded_with_the_last_lines(instances: Instances, launcher: TinyLauncher) -> None:
    def fail(instance: TinyInstance) -> None:
        instance.serves.clear()
        instance.die(3, "the model is missing")

    launcher.prepare = fail
    await instances.deployed(chute())
    await until(lambda: states(instances) == [InstanceState.GONE])
    said = instances.of("chute-1")[0].ended_because
    assert "it did not start: exit code 3" in said
    assert "the model is missing" in said


async def test_what_the_launcher_refuses_is_recorded(instances: Instances, launcher: TinyLauncher) -> None:
    launcher.refusal = ConfigurationError("port 8020 is held by nginx (pid 7)")
    with pytest.raises(NoInstance, match="port 8020 is held by nginx"):
        async with instances.lease(chute(), wait_s=20):
            pass


async def test_an_instance_that_ends_by_itself_is_replaced_by_the_next_call(
    instances: Instances, launcher: TinyLauncher
) -> None:
    await call(instances, chute())
    launcher.launched[0].die(-9, "out of memory")
    await until(lambda: states(instances) == [InstanceState.GONE])
    assert "exit code -9" in instances.of("chute-1")[0].ended_because
    assert "out of memory" in instances.of("chute-1")[0].ended_because
    await call(instances, chute())
    assert states(instances) == [InstanceState.GONE, InstanceState.ACTIVE]


async def test_its_log_is_followed_until_it_is_gone(instances: Instances, launcher: TinyLauncher) -> None:
    await instances.deployed(chute())
    (found,) = await active(instances)
    seen: list[str] = []

    async def follow() -> None:
        async for line in instances.logs(found.instance_id, 100):
            seen.append(line)

    following = asyncio.create_task(follow())
    launcher.launched[0].say("a line of its own")
    await until(lambda: "a line of its own" in seen)
    await instances.removed("chute-1")
    await asyncio.wait_for(following, 60)
    assert seen[0] == "started"
    assert [line async for line in instances.logs("nobody", 100)] == []


async def test_where_one_runs_at_a_time_an_idle_one_makes_room_and_two_never_overlap() -> None:
    launcher = TinyLauncher(most_at_once=1)
    other = chute(chute_id="chute-2", name="other")
    async with Instances(launcher) as instances:
        await call(instances, chute())
        await call(instances, other)
        assert "made room for other" in instances.of("chute-1")[0].ended_because
        async with instances.lease(other, wait_s=20):
            with pytest.raises(NoInstance, match="other is being called"):
                async with instances.lease(chute(), wait_s=20):
                    pass
        for version in ("v2", "v3"):
            await instances.deployed(chute(version=version))
        await active(instances)
    assert launcher.most_seen == 1


async def test_close_ends_an_instance_that_is_still_starting(launcher: TinyLauncher) -> None:
    launcher.prepare = lambda instance: instance.serves.clear()
    async with Instances(launcher) as instances:
        await instances.deployed(chute())
        await until(lambda: len(launcher.launched) == 1)
    assert launcher.launched[0].stopped
    assert instances.of("chute-1")[0].ended_because == "the emulator stopped"
