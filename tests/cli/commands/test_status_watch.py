"""Watching continues during short faults of the platform, and ends when nothing more can happen."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import Settings, run_platform
from tests.emulator.api.client import CODE, Client
from tests.emulator.tokens import TOKEN
from tests.scenario import ROOT
from tests.terminal import Terminal
from tests.upstreams.platform_faults import FAULTS, Fault, FaultyPlatform, ReceivedRequest, serve_faulty_platform

TICKING = (
    CODE
    + """

import itertools, threading, time


def tick():
    for number in itertools.count():
        print(f"tick {number}", flush=True)
        time.sleep(0.1)


threading.Thread(target=tick, daemon=True).start()
"""
)
BAD_GATEWAY = next(fault for fault in FAULTS if fault.name == "502")
CUT = Fault("cut", lambda handler: handler.forward(at_most=3))


@dataclass(frozen=True)
class World:
    """A user whose chute prints ten lines a second, behind a platform that can fail."""

    user: Client
    platform: FaultyPlatform
    variables: dict[str, str]

    def at_terminal(self, *arguments: str, columns: int = 100, term: str = "dumb", **more: str) -> Terminal:
        return Terminal(arguments, variables={**self.variables, "TERM": term, **more}, dimensions=(24, columns))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("world")
    settings = Settings(registration_token=TOKEN, folder=folder / "state", docker=False)
    with run_platform(settings, HostLauncher()) as platform, serve_faulty_platform(platform.url) as failing:
        user = Client.register(platform.url, "tester")
        user.build_and_wait()
        assert user.deploy(code=TICKING).ok
        accounts.write_config(user.account, failing.url, folder / "config.ini")
        (folder / ".chutes").mkdir()
        (folder / ".chutes" / "api_key").write_text(user.create_key(admin=True)["secret_key"])
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_"))}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        config = str(folder / "config.ini")
        yield World(
            user, failing, {**environment, "HOME": str(folder), "CHUTES_CONFIG_PATH": config, "PYTHONPATH": str(ROOT)}
        )


@pytest.fixture(autouse=True)
def warm_up_chute(world: World) -> None:
    """Start an instance, which prints."""
    warming = world.at_terminal("--warmup", "case")
    warming.expect("is hot")
    assert wait_for_exit(warming) == 0


def wait_for_exit(process: Terminal) -> int | None:
    process.expect(pexpect.EOF)
    process.close()
    return process.exitstatus


def test_the_log_of_a_chute_that_never_stops_printing_ends(world: World) -> None:
    process = world.at_terminal("--logs", "case")
    process.expect("tick")
    assert wait_for_exit(process) == 0


def test_a_log_that_breaks_off_is_followed_without_a_gap_and_without_a_repetition(world: World) -> None:
    cut: list[ReceivedRequest] = []

    def first_two_logs(asked: ReceivedRequest) -> bool:
        if not asked.path.partition("?")[0].endswith("/logs") or len(cut) == 2:
            return False
        cut.append(asked)
        return True

    with world.platform.failing(CUT, first_two_logs):
        process = world.at_terminal("--logs", "case", "--follow")
        output_text, recorded = "", 0
        while len(cut) < 2 or recorded < 30:
            process.expect(r"tick \d+\r\n")
            output_text += str(process.before) + str(process.after)
            recorded += len(cut) == 2
        process.sendintr()
        assert wait_for_exit(process) == 130
    numbers = [int(number) for number in re.findall(r"tick (\d+)\r\n", output_text)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_status_that_is_watched_as_json_is_lines_of_json_on_any_terminal(world: World) -> None:
    for variables in ({}, {"FORCE_COLOR": "1"}):
        process = world.at_terminal("--status", "case", "--watch", "--json", columns=1000, term="xterm", **variables)
        process.expect("\r\n")
        payload = json.loads(str(process.before))
        assert (payload["name"], payload["hot"]) == ("case", True)
        process.sendintr()
        assert wait_for_exit(process) == 0


def test_the_live_view_reports_an_outage_and_continues(world: World) -> None:
    process = world.at_terminal("--status", "case", "--watch", "0.3", columns=80, term="xterm")
    process.expect("active")
    with world.platform.failing(BAD_GATEWAY):
        process.expect("no response for")
        process.expect("no response for")
    process.expect("hot   [0-9:]+ *\r\n")
    process.sendintr()
    assert wait_for_exit(process) == 0


def test_a_watch_interval_of_zero_is_invalid(world: World) -> None:
    process = world.at_terminal("--status", "case", "--watch", "0")
    process.expect("give 0.2 or more")
    assert wait_for_exit(process) == 2


def test_keeping_a_chute_hot_survives_a_fault_and_requests_a_new_instance(world: World, tmp_path: Path) -> None:
    process = world.at_terminal("--warmup", "case", "--keep", "600")
    process.expect("Keeping case hot")
    with world.platform.failing(BAD_GATEWAY):
        while world.platform.injected < 3:
            time.sleep(0.1)
    gate = tmp_path / "may-start"
    waiting = f"while not __import__('os').path.exists({str(gate)!r}):\n    time.sleep(0.05)\n"
    assert world.user.deploy(code=TICKING + waiting).ok
    process.expect("no longer has an active instance")
    gate.touch()
    process.expect("Keeping case hot")
    process.sendintr()
    assert wait_for_exit(process) == 130
