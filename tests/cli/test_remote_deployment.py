"""``--build`` and ``--deploy`` against the emulator: the SDK uploads, and the API decides on success."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.context import NewAccounts
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from tests.commands import CommandResult, Commands
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.scenario import ROOT, Scenario
from tests.terminal import Terminal

IMAGE = "case-wrapped:v1"


@dataclass(frozen=True)
class World:
    """A user with a module, and a platform without its objects."""

    user: Client
    platform: RunningPlatform
    commands: Commands
    scenario: Scenario
    variables: dict[str, str]

    def run(self, *arguments: str) -> CommandResult:
        return self.commands.run(*arguments, timeout_s=60)

    def build(self, *arguments: str) -> CommandResult:
        return self.run("--build", str(self.scenario.module), *arguments)

    def deploy(self, *arguments: str) -> CommandResult:
        return self.run("--deploy", str(self.scenario.module), *arguments)


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    scenario = Scenario(tmp_path, "wrapped", "vendor/unused:1", [9000])
    launch = LaunchSpec(reference=scenario.base, cmd=("serve",), environment={"CUDA_VERSION": "12.4.1"})
    write_manifest(Manifest(image=launch, routes=(Route(path="/encode", port=9000),)), scenario.manifest)
    accounts_of = NewAccounts(**getattr(request, "param", {}))
    settings = Settings(registration_token=TOKEN, folder=tmp_path / "state", docker=False, new_accounts=accounts_of)
    with run_platform(settings) as platform:
        user = Client.register(platform.url, "tester")
        accounts.write_config(user.account, platform.url, tmp_path / "config.ini")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_"))}
        variables = {
            **environment,
            "HOME": str(tmp_path),
            "CHUTES_CONFIG_PATH": str(tmp_path / "config.ini"),
            "PYTHONPATH": str(ROOT),
        }
        yield World(user, platform, Commands(tmp_path, variables), scenario, variables)


def parse_json(ran: CommandResult) -> Any:
    assert ran.code == 0, ran.stderr
    return json.loads(ran.stdout)


def test_a_module_is_built_deployed_and_deployed_again(world: World) -> None:
    missing = world.deploy("--accept-fee")
    assert (missing.code, f"image {IMAGE} not found" in missing.stderr) == (2, True)

    built = world.build()
    assert built.code == 0, built.stderr
    printed = " ".join(built.stderr.split())
    assert "takes only parachutes/* as base, not vendor/unused:1" in printed
    assert "the image has CUDA 12.4 (CUDA_VERSION); the platform's GPU, pro_6000" in printed
    assert f"CHUTES_ROUTE_MANIFEST={world.scenario.manifest.name} chutes build deploy_wrapped:chute" in built.stderr
    assert world.user.get(f"/images/{IMAGE}").json()["status"] == platform_rules.IMAGE_BUILT
    again = world.build()
    assert (again.code, "is built already" in again.stderr, "--deploy" in again.stderr) == (2, True, True)

    refused = world.deploy()
    assert (refused.code, "$5.40" in refused.stderr, "--accept-fee" in refused.stderr) == (2, True, True)
    first = parse_json(world.deploy("--accept-fee", "--json"))
    chute = world.user.get("/chutes/case-wrapped").json()
    assert (first["version"], first["changed"]) == (chute["version"], True)
    assert first["url"] == f"http://tester-case-wrapped.localhost:{world.platform.port}"
    assert "/encode" in [cord["public_api_path"] for cord in chute["cords"]]

    same = world.deploy("--json")
    assert (parse_json(same)["changed"], "deployed already" in same.stderr) == (False, True)
    world.scenario.module.write_text(world.scenario.module.read_text() + "# another version\n")
    update = parse_json(world.deploy("--json"))
    assert (update["changed"], update["version"] != first["version"]) == (True, True)
    kept = (Path(world.variables["HOME"]) / ".chutes/deployments" / chute["chute_id"]).glob("*/deployment.json")
    versions = [json.loads(record.read_text())["version"] for record in sorted(kept)]
    assert versions == [first["version"], update["version"]]
    assert parse_json(world.run("--account", "--json"))["balance"] == pytest.approx(94.6)

    write_manifest(Manifest(routes=(Route(path="/other", port=9000),)), world.scenario.manifest)
    stale = world.deploy()
    assert (stale.code, "another manifest" in stale.stderr, "CHUTE_TAG" in stale.stderr) == (2, True, True)


def test_the_fee_is_shown_and_asked_for(world: World) -> None:
    world.user.build_and_wait("case-wrapped")
    for reply, code in (("n", 1), ("y", 0)):
        variables = {**world.variables, "TERM": "dumb"}
        asking = Terminal(("--deploy", str(world.scenario.module)), variables=variables)
        asking.expect(r"costs \$5\.40 once\. Deploy it\?")
        asking.sendline(reply)
        asking.expect(pexpect.EOF)
        asking.close()
        assert asking.exitstatus == code
    assert world.user.get("/chutes/case-wrapped").ok


@pytest.mark.parametrize("world", [{"balance": 0.1}], indirect=True)
def test_all_rejections_are_reported_together(world: World) -> None:
    poor = world.build("--logo", "none.png")
    assert poor.code == 2
    assert ("$50" in poor.stderr, "none.png" in poor.stderr) == (True, True)
    assert world.user.get(f"/images/{IMAGE}").status_code == 404
    refused = world.deploy("--public", "--accept-fee")
    for reason in ("not found", "permission", "costs $5.40"):
        assert reason in refused.stderr
    assert world.run("--deploy", str(world.scenario.module), "--local").code == 2


def test_a_private_image_needs_no_permission(world: World) -> None:
    world.user.build_and_wait("case-wrapped")
    refused = world.deploy("--public", "--accept-fee")
    assert f"the image {IMAGE} is private" in refused.stderr


def test_a_failed_build_is_reported_with_its_log_and_can_be_deleted(world: World, tmp_path: Path) -> None:
    world.user.build_and_wait("case-wrapped")
    image = world.platform.state.images.find_by_id(world.user.get(f"/images/{IMAGE}").json()["image_id"])
    assert image is not None
    world.platform.state.images.finish_build(image.image_id, "error: exit code 1", None)
    for ran in (world.build(), world.deploy("--accept-fee")):
        assert (ran.code, f"--delete-image {IMAGE}" in ran.stderr) == (2, True)
    assert world.run("--delete-image", IMAGE, "--yes").code == 0
    assert world.build().code == 0


def follow_until_interrupted(world: World, monkeypatch: pytest.MonkeyPatch, expected: str) -> None:
    """Run --build until it reads the log, then press Ctrl-C."""
    images = world.platform.state.images
    is_followed, read_log = threading.Event(), images.read_log

    def follow_log(*asked: Any, **how: Any) -> Any:
        is_followed.set()
        return read_log(*asked, **how)

    monkeypatch.setattr(images, "read_log", follow_log)
    command = ["--build", str(world.scenario.module), "--yes"]
    building = Terminal(command, variables={**world.variables, "TERM": "dumb"})
    building.expect(expected)
    assert is_followed.wait(60)
    building.sendintr()
    building.expect("the build continues on the platform")
    building.expect(pexpect.EOF)
    building.close()
    assert building.exitstatus == 130


def test_a_running_build_is_joined(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.user.build_and_wait("case-wrapped")
    images = world.platform.state.images
    image_id = world.user.get(f"/images/{IMAGE}").json()["image_id"]
    images.finish_build(image_id, platform_rules.IMAGE_BUILDING, None)
    follow_until_interrupted(world, monkeypatch, "being built already")
    images.finish_build(image_id, platform_rules.IMAGE_BUILT, None)
    assert "is built already" in world.build().stderr


def test_a_build_under_another_users_name_is_rejected(world: World) -> None:
    ran = world.commands.run("--build", str(world.scenario.module), variables={"CHUTES_USERNAME": "somebody"})
    assert (ran.code, "CHUTES_USERNAME is 'somebody'" in ran.stderr) == (2, True)


def test_a_build_that_finished_unwatched_is_a_success(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = world.platform.state.images.finish_build
    monkeypatch.setattr(world.platform.state.images, "finish_build", lambda *_: None)
    follow_until_interrupted(world, monkeypatch, "chutes build")
    finish(world.user.get(f"/images/{IMAGE}").json()["image_id"], platform_rules.IMAGE_BUILT, None)
    text = world.scenario.manifest.read_text()
    world.scenario.manifest.write_text(text.replace("/encode", "/encode2"))
    changed = world.build()
    assert (changed.code, "is built already" in changed.stderr, "increase CHUTE_TAG" in changed.stderr) == (
        2,
        True,
        True,
    )
    world.scenario.manifest.write_text(text)
    again = parse_json(world.build("--json"))
    assert (again["image"], again["status"]) == (IMAGE, platform_rules.IMAGE_BUILT)


def test_the_owner_in_the_module_is_compared_with_the_account(world: World) -> None:
    source = world.scenario.module.read_text()
    foreign = source.replace("chutes_username()", "'other-one'")
    assert foreign != source
    world.scenario.module.write_text(foreign)
    for ran in (world.build(), world.deploy("--accept-fee")):
        assert (ran.code, "'other-one', and the account is 'tester'" in ran.stderr) == (2, True), ran.stderr
        assert "USERNAME = chutes_username()" in ran.stderr
    assert world.user.get("/images/").json()["items"] == []


def test_without_a_manifest_discovery_comes_first(world: World) -> None:
    world.scenario.manifest.unlink()
    ran = world.build()
    assert (ran.code, "--discover" in ran.stderr) == (2, True)
