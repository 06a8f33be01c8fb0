from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.emulator.instance import Instance
from chutes_wrappers.emulator.instances import AtCapacity, Instances, NoInstance
from chutes_wrappers.emulator.pod_limits import DISK_INTERVAL_S
from chutes_wrappers.emulator.records import ChuteRecord, InstanceRecord, InstanceState
from tests.emulator.platforms import make_chute_record
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
    assert launcher.is_closed


def make_chute(**values: Any) -> ChuteRecord:
    return make_chute_record(cords=CORDS, **{"concurrency": 2, **values})


async def wait_until(condition: Callable[[], bool]) -> None:
    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(poll(), 60)


async def wait_until_active(instances: Instances, chute_id: str = "chute-1", count: int = 1) -> list[InstanceRecord]:
    await wait_until(lambda: list_states(instances, chute_id).count(InstanceState.ACTIVE) == count)
    return [one for one in instances.list_records(chute_id) if one.state is InstanceState.ACTIVE]


def list_states(instances: Instances, chute_id: str = "chute-1") -> list[InstanceState]:
    return [one.state for one in instances.list_records(chute_id)]


@asynccontextmanager
async def lease(instances: Instances, of: ChuteRecord) -> AsyncIterator[Instance]:
    """Lease an instance, once there is one."""
    await instances.wait_until_active(of, wait_s=60)
    instances.enable(of)
    async with instances.lease(of) as instance:
        yield instance


async def send_call(instances: Instances, of: ChuteRecord, code: int | None = None) -> None:
    async with lease(instances, of) as instance:
        if code is None:
            instance.record_success()
        else:
            instance.record_failure(f"answered {code}")


async def test_a_deployment_starts_one_instance_which_is_locked_before_it_is_active(
    instances: Instances, launcher: TinyLauncher
) -> None:
    await instances.replace_instances(make_chute(max_instances=5))
    assert list_states(instances) == [InstanceState.STARTING]
    (record,) = await wait_until_active(instances)
    assert record.active_since is not None
    assert launcher.launched[0].is_locked
    assert instances.find_record(record.instance_id) == record
    assert instances.find_record("nobody") is None


async def test_an_instance_that_writes_more_than_the_limit_is_evicted_with_the_reason(launcher: TinyLauncher) -> None:
    clock = ManualClock()
    async with Instances(launcher, clock=clock, disk_limit_bytes=1024) as instances:
        await instances.replace_instances(make_chute())
        (record,) = await wait_until_active(instances)
        launcher.launched[0].written_bytes = 2048
        await wait_until(lambda: clock.is_awaited(DISK_INTERVAL_S))
        await clock.pass_time(DISK_INTERVAL_S)
        await wait_until(lambda: list_states(instances) == [InstanceState.GONE])
        ended = instances.find_record(record.instance_id)
        assert ended is not None
        assert ended.ended_because.startswith("evicted: it wrote")


async def test_an_active_instance_is_probed_every_15_s(
    instances: Instances, launcher: TinyLauncher, clock: ManualClock
) -> None:
    await instances.replace_instances(make_chute())
    await wait_until_active(instances)
    for count in (1, 2):
        await wait_until(lambda: clock.is_awaited(platform_rules.PROBE_INTERVAL_S))
        await clock.pass_time(platform_rules.PROBE_INTERVAL_S)
        await wait_until(lambda expected=count: launcher.launched[0].probe_count == expected)  # type: ignore[misc]  # a bound value
    assert list_states(instances) == [InstanceState.ACTIVE]


async def test_the_cache_of_a_deleted_chute_is_removed_after_its_instances(
    instances: Instances, launcher: TinyLauncher
) -> None:
    await instances.replace_instances(make_chute())
    await wait_until_active(instances)
    await instances.replace_instances(make_chute(version="v2"))
    assert launcher.removed_caches == []
    await instances.remove("chute-1")
    assert launcher.removed_caches == ["chute-1"]


async def test_with_external_egress_it_is_not_locked(instances: Instances, launcher: TinyLauncher) -> None:
    await instances.replace_instances(make_chute(allow_external_egress=True))
    await wait_until_active(instances)
    assert not launcher.launched[0].is_locked


async def test_it_is_active_only_when_it_serves(instances: Instances, launcher: TinyLauncher) -> None:
    launcher.prepare = lambda instance: instance.serves.clear()
    await instances.replace_instances(make_chute())
    await wait_until(lambda: len(launcher.launched) == 1)
    assert list_states(instances) == [InstanceState.STARTING]
    launcher.launched[0].serves.set()
    await wait_until_active(instances)


async def test_a_new_deployment_replaces_the_instances_of_the_old_version(
    instances: Instances, launcher: TinyLauncher
) -> None:
    await instances.replace_instances(make_chute())
    (old,) = await wait_until_active(instances)
    await instances.replace_instances(make_chute(version="v2"))
    assert launcher.launched[0].stopped
    (new,) = await wait_until_active(instances)
    assert (old.version, new.version) == ("v1", "v2")
    ended = instances.find_record(old.instance_id)
    assert ended is not None
    assert ended.ended_because == "a newer version was deployed"


async def test_a_deleted_chute_has_no_instances_left(instances: Instances, launcher: TinyLauncher) -> None:
    await instances.replace_instances(make_chute())
    await instances.remove("chute-1")
    assert list_states(instances) == [InstanceState.GONE]
    assert all(one.stopped for one in launcher.launched)
    await instances.warm_up("chute-1")
    assert list_states(instances) == [InstanceState.GONE]


async def test_a_first_deployment_is_cold_and_a_new_version_replaces_what_runs(instances: Instances) -> None:
    await instances.update(make_chute())
    await instances.update(make_chute(version="v2"))
    assert instances.list_records("chute-1") == []
    await instances.warm_up("chute-1")
    await wait_until_active(instances)
    await instances.update(make_chute(version="v3"))
    assert [record.version for record in instances.list_records("chute-1")] == ["v2", "v3"]


async def test_a_disabled_chute_keeps_its_cache(instances: Instances, launcher: TinyLauncher) -> None:
    await instances.replace_instances(make_chute())
    await instances.end_instances("chute-1", "the chute was disabled")
    (ended,) = instances.list_records("chute-1")
    assert (ended.state, ended.ended_because) == (InstanceState.GONE, "the chute was disabled")
    assert launcher.removed_caches == []


async def test_warm_starts_one_unless_there_is_one(instances: Instances) -> None:
    instances.register(make_chute())
    assert instances.list_records("chute-1") == []
    await instances.warm_up("chute-1")
    await instances.warm_up("chute-1")
    await wait_until_active(instances)
    await instances.warm_up("chute-1")
    assert len(instances.list_records("chute-1")) == 1


async def test_a_call_to_a_cold_chute_starts_an_instance_and_does_not_wait_for_it(
    instances: Instances, launcher: TinyLauncher
) -> None:
    for reason in ("it was cold", "its instance is still starting"):
        with pytest.raises(NoInstance, match=reason):
            async with instances.lease(make_chute()):
                pass
    await wait_until_active(instances)
    async with instances.lease(make_chute()) as instance:
        assert instance.state is InstanceState.ACTIVE
        assert instances.list_records("chute-1")[0].running_calls == 1
    assert instances.list_records("chute-1")[0].running_calls == 0
    assert len(launcher.launched) == 1


async def test_a_check_waits_for_an_instance_up_to_its_limit(instances: Instances, launcher: TinyLauncher) -> None:
    launcher.prepare = lambda instance: instance.serves.clear()
    with pytest.raises(NoInstance, match=r"within 0\.2 s"):
        await instances.wait_until_active(make_chute(), wait_s=0.2)


async def test_more_calls_than_the_concurrency_are_at_capacity(instances: Instances) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(lease(instances, make_chute()))
        with pytest.raises(AtCapacity):
            async with lease(instances, make_chute()):
                pass
    async with lease(instances, make_chute()):
        pass


async def test_more_instances_are_started_under_load_up_to_max_instances(instances: Instances) -> None:
    of = make_chute(max_instances=2, scaling_threshold=0.75)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(lease(instances, of))
        assert len(instances.list_records("chute-1")) == 1  # one of two places
        await stack.enter_async_context(lease(instances, of))
        await wait_until_active(instances, count=2)
        for _ in range(2):
            await stack.enter_async_context(lease(instances, of))
        assert [one.running_calls for one in instances.list_records("chute-1")] == [2, 2]
        with pytest.raises(AtCapacity):
            async with lease(instances, of):
                pass
        assert len(instances.list_records("chute-1")) == 2


async def test_while_one_instance_is_starting_no_other_is_started(instances: Instances, launcher: TinyLauncher) -> None:
    of = make_chute(max_instances=3, scaling_threshold=0.1)
    async with AsyncExitStack() as stack:
        await instances.replace_instances(of)
        await wait_until_active(instances)
        launcher.prepare = lambda instance: instance.serves.clear()
        for _ in range(2):
            await stack.enter_async_context(lease(instances, of))
        assert list_states(instances) == [InstanceState.ACTIVE, InstanceState.STARTING]
        with pytest.raises(AtCapacity):
            async with lease(instances, of):
                pass
        assert list_states(instances) == [InstanceState.ACTIVE, InstanceState.STARTING]


async def test_calls_to_a_cold_chute_wait_for_the_same_instance(instances: Instances, launcher: TinyLauncher) -> None:
    of = make_chute(max_instances=3, scaling_threshold=1.0)
    await asyncio.gather(*(send_call(instances, of) for _ in range(2)))
    assert len(launcher.launched) == 1


async def test_an_instance_without_calls_ends_after_shutdown_after(instances: Instances, clock: ManualClock) -> None:
    await instances.replace_instances(make_chute(shutdown_after_s=300.0))
    await wait_until_active(instances)
    await clock.pass_time(299)
    await send_call(instances, make_chute())
    await clock.pass_time(299)
    assert list_states(instances) == [InstanceState.ACTIVE]
    await clock.pass_time(1)
    await wait_until(lambda: list_states(instances) == [InstanceState.GONE])
    assert instances.list_records("chute-1")[0].ended_because == "it had no call for 300 s"


async def test_an_instance_with_a_long_call_does_not_end(instances: Instances, clock: ManualClock) -> None:
    of = make_chute(shutdown_after_s=10.0)
    async with lease(instances, of):
        for _ in range(5):
            await clock.pass_time(10)
            await asyncio.sleep(0.01)
        assert list_states(instances) == [InstanceState.ACTIVE]


async def test_seven_failures_in_a_row_disable_it_for_90_s_and_a_success_resets_them(
    instances: Instances, clock: ManualClock
) -> None:
    of = make_chute()
    for _ in range(6):
        await send_call(instances, of, 500)
    await send_call(instances, of)
    assert instances.list_records("chute-1")[0].failures == 0
    for count in range(1, 8):
        await send_call(instances, of, 500)
        assert instances.list_records("chute-1")[0].failures == count
    await clock.pass_time(89)
    with pytest.raises(AtCapacity, match="1 of 1 instances are disabled, for 1 s more, after 7 failures in a row"):
        async with instances.lease(of):
            pass
    assert instances.list_records("chute-1")[0].disabled_until is not None
    await clock.pass_time(1)
    async with instances.lease(of) as instance:
        instance.record_success()
    assert instances.list_records("chute-1")[0].disabled_until is None


async def test_twelve_failures_in_a_row_delete_it(instances: Instances) -> None:
    async with lease(instances, make_chute()) as instance:
        for _ in range(12):
            instance.record_failure("answered 500")
    (record,) = instances.list_records("chute-1")
    assert record.state is InstanceState.GONE
    assert record.ended_because == (
        "deleted: 12 calls in a row failed, which disabled it 6 times within an hour. The last one: answered 500"
    )


async def test_a_check_enables_a_disabled_instance(instances: Instances) -> None:
    of = make_chute()
    for _ in range(7):
        await send_call(instances, of, 500)
    async with instances.lease(of, is_check=True) as instance:
        assert instance.disabled_s
    (record,) = instances.enable(of)
    assert record.last_failure == "answered 500"
    assert instances.enable(of) == []
    async with instances.lease(of) as instance:
        assert not instance.disabled_s


async def test_only_completed_calls_keep_it_running(instances: Instances, clock: ManualClock) -> None:
    of = make_chute(shutdown_after_s=300.0)
    await send_call(instances, of)
    await clock.pass_time(299)
    await send_call(instances, of, 500)
    await clock.pass_time(1)
    await wait_until(lambda: list_states(instances) == [InstanceState.GONE])


async def test_a_failed_start_is_recorded_with_the_last_lines(instances: Instances, launcher: TinyLauncher) -> None:
    def fail(instance: TinyInstance) -> None:
        instance.serves.clear()
        instance.exit(3, "the model is missing")

    launcher.prepare = fail
    await instances.replace_instances(make_chute())
    await wait_until(lambda: list_states(instances) == [InstanceState.GONE])
    reason = instances.list_records("chute-1")[0].ended_because
    assert "it did not start: exit code 3" in reason
    assert "the model is missing" in reason


async def test_a_launcher_error_is_recorded(instances: Instances, launcher: TinyLauncher) -> None:
    launcher.refusal = ConfigurationError("port 8020 is in use by nginx (pid 7)")
    with pytest.raises(NoInstance, match="port 8020 is in use by nginx"):
        await instances.wait_until_active(make_chute(), wait_s=20)


async def test_an_instance_that_ends_by_itself_is_replaced_by_the_next_call(
    instances: Instances, launcher: TinyLauncher
) -> None:
    await send_call(instances, make_chute())
    launcher.launched[0].exit(-9, "out of memory")
    await wait_until(lambda: list_states(instances) == [InstanceState.GONE])
    assert "exit code -9" in instances.list_records("chute-1")[0].ended_because
    assert "out of memory" in instances.list_records("chute-1")[0].ended_because
    await send_call(instances, make_chute())
    assert list_states(instances) == [InstanceState.GONE, InstanceState.ACTIVE]


async def test_its_log_is_followed_until_it_is_gone(instances: Instances, launcher: TinyLauncher) -> None:
    await instances.replace_instances(make_chute())
    (record,) = await wait_until_active(instances)
    lines: list[str] = []

    async def follow() -> None:
        async for line in instances.follow_log(record.instance_id, 100):
            lines.append(line)

    following = asyncio.create_task(follow())
    launcher.launched[0].print_line("a line of its own")
    await wait_until(lambda: "a line of its own" in lines)
    await instances.remove("chute-1")
    await asyncio.wait_for(following, 60)
    assert lines[0] == "started"
    assert [line async for line in instances.follow_log("nobody", 100)] == []


async def test_with_a_limit_of_one_an_idle_instance_is_replaced_without_overlap() -> None:
    launcher = TinyLauncher(max_running=1)
    other = make_chute(chute_id="chute-2", name="other")
    async with Instances(launcher) as instances:
        await send_call(instances, make_chute())
        await send_call(instances, other)
        assert "ended for other" in instances.list_records("chute-1")[0].ended_because
        async with lease(instances, other):
            with pytest.raises(NoInstance, match="other has a running call"):
                await instances.wait_until_active(make_chute(), wait_s=20)
        for version in ("v2", "v3"):
            await instances.replace_instances(make_chute(version=version))
        await wait_until_active(instances)
    assert launcher.max_running_count == 1


async def test_close_ends_an_instance_that_is_still_starting(launcher: TinyLauncher) -> None:
    launcher.prepare = lambda instance: instance.serves.clear()
    async with Instances(launcher) as instances:
        await instances.replace_instances(make_chute())
        await wait_until(lambda: len(launcher.launched) == 1)
    assert launcher.launched[0].stopped
    assert instances.list_records("chute-1")[0].ended_because == "the emulator stopped"
