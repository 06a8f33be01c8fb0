"""What ends a running pod on the platform: a readiness probe without success, and too much on its disk (PLATFORM.md, section 1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.core.sizes import format_gib
from chutes_wrappers.emulator.clock import Clock

DISK_INTERVAL_S = 5.0
# What the log line of a failed probe contains.
PROBE_FAILURE = "the readiness probe failed"


class _Pod(Protocol):
    def find_probe_problem(self) -> str: ...

    def measure_written_bytes(self) -> int: ...


async def watch_readiness(pod: _Pod, clock: Clock, warn: Callable[[str], None]) -> ServiceFailed:
    """Probe ``pod`` as the platform does, and return the reason to end it. ``warn`` gets each failure."""
    failures = 0
    while True:
        await clock.sleep(platform_rules.PROBE_INTERVAL_S)
        problem = await asyncio.to_thread(pod.find_probe_problem)
        failures = failures + 1 if problem else 0
        if problem:
            warn(f"{PROBE_FAILURE} ({failures} in a row): {problem}")
        if failures >= platform_rules.PROBE_FAILURES_TO_UNREADY:
            return ServiceFailed(
                f"not ready: {PROBE_FAILURE} {failures} times in a row, the last time: {problem}",
                next_step="move work that holds the interpreter to another process",
            )


async def watch_disk(pod: _Pod, clock: Clock, limit_bytes: int) -> ServiceFailed:
    """Measure what ``pod`` writes outside of /cache every few seconds, and return the reason to evict it."""
    while (written := await asyncio.to_thread(pod.measure_written_bytes)) <= limit_bytes:
        await clock.sleep(DISK_INTERVAL_S)
    return ServiceFailed(
        f"evicted: it wrote {format_gib(written)} to /tmp and its other folders, more than the {format_gib(limit_bytes)} of an instance",
        next_step=f"write to {platform_rules.CACHE_FOLDER}, delete temporary files, or add large files to the image",
    )


def describe_probe_timeout() -> str:
    """Return the problem of a probe without a response in time."""
    return f"no response within {platform_rules.PROBE_TIMEOUT_S:g} s: code that holds the interpreter for so long starves it"
