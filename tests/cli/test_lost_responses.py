"""Changes whose response is lost: the platform made them, or did not, and the command asks which."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.context import NewAccounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import Settings, run_platform
from tests.commands import CommandResult, Commands
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.upstreams.platform_faults import (
    FAULTS,
    FaultyPlatform,
    ReceivedRequest,
    lose_response,
    serve_faulty_platform,
)

VALUE = "first line of a secret\nand a second line"
BY_NAME = {fault.name: fault for fault in FAULTS}
LOSSES = ("500-page", "502", "200-page", "reset", "truncated")
LINES = {
    "--delete": ("--delete", "case", "--yes"),
    "--delete-image": ("--delete-image", "spare:v1", "--yes"),
    "--secret": ("--secret", "case", "TOKEN"),
    "--share": ("--share", "case", "second"),
}
# Every command meets a loss, and every loss a command; all pairs run under ./test.sh --all.
IN_CI = {("--delete", "502"), ("--delete-image", "reset"), ("--secret", "truncated"), ("--share", "200-page")}
PAIRS = [
    pytest.param(flag, loss, marks=() if (flag, loss) in IN_CI else pytest.mark.exhaustive)
    for flag in LINES
    for loss in LOSSES
]


@dataclass(frozen=True)
class World:
    user: Client
    commands: Commands
    platform: FaultyPlatform

    def run(self, *arguments: str) -> CommandResult:
        ran = self.commands.run(*arguments, stdin_text=VALUE if arguments[0] == "--secret" else "")
        for line in VALUE.splitlines():
            assert line not in ran.stdout + ran.stderr
        return ran

    def restore(self) -> None:
        """Have the chute and the image, and no secret."""
        for secret in self.user.get("/secrets/").json()["items"]:
            assert self.user.delete(f"/secrets/{secret['secret_id']}").ok
        for name in ("case", "spare"):
            if not self.user.get(f"/images/{name}:v1").ok:
                assert self.user.build_and_wait(name)
        if not self.user.get("/chutes/case").ok:
            assert self.user.deploy().ok


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    settings = Settings(
        registration_token=TOKEN, folder=folder / "state", docker=False, new_accounts=NewAccounts(balance=10_000.0)
    )
    with (
        pytest.MonkeyPatch.context() as patched,
        run_platform(settings, HostLauncher()) as emulator,
        serve_faulty_platform(emulator.url) as platform,
    ):
        patched.setattr(platform_rules, "MAX_VERSIONS_PER_DAY", 10_000)
        user = Client.register(emulator.url, "tester")
        Client.register(emulator.url, "second")
        accounts.write_config(user.account, platform.url, folder / "config.ini")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_"))}
        variables = {**environment, "HOME": str(folder), "CHUTES_CONFIG_PATH": str(folder / "config.ini")}
        yield World(user, Commands(folder, variables), platform)


def is_change(request: ReceivedRequest) -> bool:
    return request.changes


class FirstChange:
    """Applies to the first request that changes something."""

    def __init__(self) -> None:
        self.has_applied = False

    def __call__(self, request: ReceivedRequest) -> bool:
        applies = request.changes and not self.has_applied
        self.has_applied = self.has_applied or applies
        return applies


@pytest.mark.parametrize(("flag", "loss"), PAIRS)
def test_a_change_that_the_platform_made_is_a_success(world: World, flag: str, loss: str) -> None:
    world.restore()
    with world.platform.failing(lose_response(BY_NAME[loss]), FirstChange()):
        ran = world.run(*LINES[flag], "--json")
    assert ran.code == 0, ran.stderr
    assert json.loads(ran.stdout)
    assert world.user.get("/chutes/case").ok is (flag != "--delete")
    assert world.user.get("/images/spare:v1").ok is (flag != "--delete-image")
    assert [one["key"] for one in world.user.get("/secrets/").json()["items"]] == ["TOKEN"] * (flag == "--secret")


@pytest.mark.parametrize(
    ("flag", "loss", "expected"),
    [
        ("--delete", "404", "the chute case still exists"),
        pytest.param("--delete", "502", "the chute case still exists", marks=pytest.mark.exhaustive),
        pytest.param("--delete-image", "truncated", "the image spare:v1 still exists", marks=pytest.mark.exhaustive),
        ("--secret", "reset", "the secret TOKEN of case was not stored"),
        pytest.param("--share", "502", "Whether that happened is unknown", marks=pytest.mark.exhaustive),
    ],
)
def test_a_change_that_was_not_made_is_a_failure(world: World, flag: str, loss: str, expected: str) -> None:
    world.restore()
    with world.platform.failing(BY_NAME[loss], is_change):
        ran = world.run(*LINES[flag])
    assert (ran.code, expected in ran.stderr, "Next:" in ran.stderr) == (1, True, True), ran.stderr


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        pytest.param("--delete", "Whether the chute case was deleted is unknown", marks=pytest.mark.exhaustive),
        ("--secret", "Whether the secret TOKEN of case was stored is unknown"),
    ],
)
def test_a_change_of_unknown_outcome_names_the_check(world: World, flag: str, expected: str) -> None:
    world.restore()
    change = FirstChange()

    def act(request: ReceivedRequest) -> bool:
        return change(request) or change.has_applied

    with world.platform.failing(BY_NAME["502"], act):
        ran = world.run(*LINES[flag])
    assert (ran.code, expected in ran.stderr, "Next:" in ran.stderr) == (1, True, True), ran.stderr


def test_a_repeated_deletion_of_the_ingress_is_a_success(world: World) -> None:
    """The platform's ingress sends a DELETE again after a 5xx: the second one finds nothing."""
    world.restore()
    with world.platform.failing(lose_response(BY_NAME["404"]), is_change):
        ran = world.run(*LINES["--delete"])
    assert ran.code == 0, ran.stderr


def test_a_secret_is_replaced_with_yes_and_a_lost_old_value_is_reported(world: World) -> None:
    world.restore()
    line = LINES["--secret"]
    assert world.run(*line).code == 0
    again = world.run(*line)
    assert (again.code, "--yes" in again.stderr, ".venv/bin/chutes secrets delete" in again.stderr) == (1, True, True)
    replaced = world.run(*line, "--yes", "--json")
    assert (replaced.code, json.loads(replaced.stdout)["replaced"]) == (0, True), replaced.stderr
    with world.platform.failing(lose_response(BY_NAME["502"]), is_change):
        assert world.run(*line, "--yes").code == 0
    with world.platform.failing(BY_NAME["502"], lambda request: request.method == "DELETE"):
        kept = world.run(*line, "--yes")
    assert (kept.code, "still has its old value" in kept.stderr) == (1, True), kept.stderr
    with world.platform.failing(BY_NAME["422"], lambda request: request.method == "POST"):
        lost = world.run(*line, "--yes")
    assert (lost.code, "The old value" in lost.stderr) == (1, True), lost.stderr
    assert world.user.get("/secrets/").json()["items"] == []


def test_running_instances_do_not_get_a_new_secret_and_the_command_says_so(world: World) -> None:
    world.restore()
    cold = world.run(*LINES["--secret"])
    assert (cold.code, "run already" in cold.stderr) == (0, False), cold.stderr
    assert world.user.get("/chutes/warmup/case").ok
    hot = world.run(*LINES["--secret"], "--yes")
    assert (hot.code, "run already have the old value of TOKEN" in hot.stderr) == (0, True), hot.stderr
