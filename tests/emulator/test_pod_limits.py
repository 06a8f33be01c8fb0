from __future__ import annotations

import asyncio

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.emulator.pod_limits import DISK_INTERVAL_S, watch_disk, watch_readiness

GIB = 1024**3


class FakePod:
    """Returns the values one after the other; the last one again and again."""

    def __init__(self, problems: list[str] | None = None, sizes: list[int] | None = None) -> None:
        self._problems = problems or [""]
        self._sizes = sizes or [0]
        self.calls = 0

    def find_probe_problem(self) -> str:
        self.calls += 1
        return self._problems[min(self.calls, len(self._problems)) - 1]

    def measure_written_bytes(self) -> int:
        self.calls += 1
        return self._sizes[min(self.calls, len(self._sizes)) - 1]


class RecordingClock:
    """A clock whose sleeps end at once."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []

    def now(self) -> float:
        return sum(self.sleeps)

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)


async def watch(pod: FakePod, clock: RecordingClock, warnings: list[str]) -> ServiceFailed:
    return await asyncio.wait_for(watch_readiness(pod, clock, warnings.append), 60)


async def test_the_first_probe_comes_after_15_s_and_the_60th_failure_in_a_row_ends_the_instance() -> None:
    clock, warnings = RecordingClock(), list[str]()
    reason = await watch(FakePod(["no response within 1 s"]), clock, warnings)
    assert clock.sleeps == [15.0] * 60
    assert len(warnings) == 60
    assert warnings[1] == "the readiness probe failed (2 in a row): no response within 1 s"
    assert "not ready: the readiness probe failed 60 times in a row, the last time: no response" in reason.what


async def test_a_success_resets_the_count_of_failed_probes() -> None:
    warnings = list[str]()
    pod = FakePod([*["held"] * 59, "", "held"])
    await watch(pod, RecordingClock(), warnings)
    assert pod.calls == 59 + 1 + 60
    assert "(1 in a row)" in warnings[59]


async def test_more_than_the_limit_evicts_with_both_sizes_and_the_next_step() -> None:
    clock = RecordingClock()
    pod = FakePod(sizes=[GIB, platform_rules.INSTANCE_DISK_BYTES, int(10.3 * GIB)])
    reason = await asyncio.wait_for(watch_disk(pod, clock, platform_rules.INSTANCE_DISK_BYTES), 60)
    assert clock.sleeps == [DISK_INTERVAL_S] * 2
    assert (
        reason.what == "evicted: it wrote 10.3 GiB to /tmp and its other folders, more than the 10 GiB of an instance"
    )
    assert "write to /cache" in str(reason.next_step)
