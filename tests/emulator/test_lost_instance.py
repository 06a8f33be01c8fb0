"""When an instance is killed under load, only its own calls fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import aiohttp
import psutil
import pytest

from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.records import InstanceState
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from tests.emulator.api.client import CODE, Client
from tests.emulator.tokens import TOKEN

CROWD = 16
CALLS = 400
# Slow enough that calls are in flight when the instance is killed.
SLOW = CODE.replace('print("greeting", flush=True)', "__import__('time').sleep(0.02)").replace(
    "concurrency=4", "concurrency=64"
)


async def load(platform: RunningPlatform, slug: str) -> Counter[int]:
    """Send all calls, kill the instance after a third of them, and return the count of each status."""
    headers = {"Host": f"{slug}.localhost", "Authorization": f"Bearer {platform.key}"}
    statuses: Counter[int] = Counter()
    left = iter(range(CALLS))
    instance = find_runner()  # before the calls: a search blocks the loop until none is in flight
    async with aiohttp.ClientSession(platform.url, headers=headers) as session:

        async def caller() -> None:
            for number in left:
                if number == CALLS // 3:
                    instance.kill()
                async with session.post("/greet", json={"name": str(number)}) as response:
                    statuses[response.status] += 1
                    if response.status == 200:
                        assert await response.json() == {"hello": str(number)}

        await asyncio.gather(*(caller() for _ in range(CROWD)))
    return statuses


def find_runner() -> psutil.Process:
    """Return the process of the one instance."""
    return next(child for child in psutil.Process().children() if "emulator.runner" in " ".join(child.cmdline()))


@pytest.mark.usefixtures("real_processes")  # one is killed
def test_only_calls_of_the_killed_instance_are_lost_and_each_is_reported(tmp_path: Path) -> None:
    with run_platform(Settings(registration_token=TOKEN, folder=tmp_path, docker=False), HostLauncher()) as platform:
        user = Client.register(platform.url, "tester")
        user.build_and_wait()
        slug = user.deploy(code=SLOW, concurrency=64).json()["slug"]
        assert user.get("/chutes/warmup/case").ok
        statuses = asyncio.run(load(platform, slug))
        failed = [call for call in platform.list_calls() if call.failure]
        instances = platform.list_instances(platform.get_deployed_chute(slug).record.chute_id)
    assert sum(statuses.values()) == CALLS
    assert set(statuses) <= {200, 429, 500, 503}
    assert statuses[500]
    # Its end is detected a moment later. How many calls it gets until then depends on the machine.
    assert {call.instance_id for call in failed if call.status == 500} == {instances[0].instance_id}
    assert [one.state for one in instances[:1]] == [InstanceState.GONE]
    assert instances[-1].instance_id != instances[0].instance_id
