"""What is remembered, and for how long."""

from __future__ import annotations

from pathlib import Path

from chutes_wrappers.emulator.server import Settings, run_platform
from chutes_wrappers.emulator.staleness import StaleMemory, Staleness
from tests.emulator.api.client import Client
from tests.emulator.tiny import ManualClock
from tests.emulator.tokens import TOKEN


def test_a_value_is_remembered_until_its_time_is_over() -> None:
    clock = ManualClock()
    memory = StaleMemory(clock=clock)
    memory.remember("a", 1, 30)
    clock.advance(29)
    memory.remember("a", 2, 30)  # does not extend it
    assert (memory.recall("a"), memory.recall("b")) == (1, None)
    clock.advance(1)
    assert memory.recall("a") is None


def test_nothing_is_remembered_for_no_time() -> None:
    memory = StaleMemory(clock=ManualClock())
    memory.remember("a", 1, Staleness().missing_chute_s)
    assert memory.recall("a") is None


def test_a_list_of_chutes_may_be_old_as_in_2025(tmp_path: Path) -> None:
    clock = ManualClock()
    settings = Settings(
        folder=tmp_path, docker=False, registration_token=TOKEN, staleness=Staleness(chute_list_s=60), clock=clock
    )
    with run_platform(settings) as platform:
        user = Client.register(platform.url, "tester")
        user.build_and_wait()
        assert user.get("/chutes/").json()["total"] == 0
        user.deploy()
        assert user.get("/chutes/").json()["total"] == 0
        clock.advance(60)
        assert user.get("/chutes/").json()["total"] == 1
