"""``--rollback``: which version it deploys again, and what it refuses before anything is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chutes_wrappers.cli.commands.rollback import roll_back
from chutes_wrappers.cli.sdk_upload import UploadOptions
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.context import NewAccounts
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.host.deployment_records import list_deployments
from tests.commands import CommandResult, Commands
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.kept_versions import IMAGE, NAME, KeptVersions
from tests.scenario import Scenario

YES = UploadOptions(yes=True)


@dataclass(frozen=True)
class World:
    """A user with a module whose image is built, and without a chute."""

    user: Client
    platform: RunningPlatform
    commands: Commands
    versions: KeptVersions

    def run(self, *arguments: str) -> CommandResult:
        return self.commands.run("--rollback", NAME, *arguments)

    def read_version(self) -> str:
        return str(self.user.get(f"/chutes/{NAME}").json()["version"])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    scenario = Scenario(folder, "wrapped", "vendor/unused:1", [9000])
    write_manifest(Manifest(routes=(Route(path="/encode", port=9000),)), scenario.manifest)
    settings = Settings(
        registration_token=TOKEN, folder=folder / "state", docker=False, new_accounts=NewAccounts(balance=1000.0)
    )
    with run_platform(settings) as platform:
        user = Client.register(platform.url, "tester")
        user.build_and_wait(NAME)
        accounts.write_config(user.account, platform.url, folder / "config.ini")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_"))}
        variables = {**environment, "HOME": str(folder), "CHUTES_CONFIG_PATH": str(folder / "config.ini")}
        yield World(user, platform, Commands(folder, variables), KeptVersions(user, folder, scenario))


@pytest.fixture
def world(built: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world with a home in which nothing is kept."""
    for name in ("CHUTES_API_URL", "CHUTES_USERNAME", "CHUTES_WRAPPERS_ALLOW"):
        monkeypatch.delenv(name, raising=False)
    config = built.commands.variables["CHUTES_CONFIG_PATH"]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CHUTES_CONFIG_PATH", config)
    # The SDK reads both once.
    monkeypatch.setattr("chutes.config.CONFIG_PATH", config)
    monkeypatch.setattr("chutes.config._config", None)
    built.user.delete_chute(NAME)
    commands = Commands(tmp_path, {**built.commands.variables, "HOME": str(tmp_path)})
    versions = KeptVersions(built.user, tmp_path, built.versions.scenario)
    return World(built.user, built.platform, commands, versions)


def test_the_version_before_is_deployed_again(world: World) -> None:
    first, second = world.versions.deploy(), world.versions.deploy("# two\n")
    asked = world.run()
    assert (asked.code, "--yes" in asked.stderr, world.read_version()) == (2, True, second), asked.stderr
    ran = world.run("--yes", "--json")
    assert ran.code == 0, ran.stderr
    payload = json.loads(ran.stdout)
    assert (payload["version"], payload["from"], payload["image"]) == (first, second, IMAGE)
    assert (payload["changed"], world.read_version()) == (True, first)
    assert "difference of the modules: lines added 0, removed 1" in ran.stderr
    assert world.user.get(f"/chutes/{NAME}").json()["cords"][0]["public_api_path"] == "/encode"
    records = list_deployments(payload["chute_id"], world.user.url)
    assert [record.version for record in records] == [first, second, first]
    assert records[-1].source == world.versions.scenario.module
    again = world.run("--yes")
    assert (again.code, "has no kept version before it" in again.stderr, second in again.stderr) == (2, True, True)


def test_a_version_of_another_machine_needs_a_choice(world: World) -> None:
    first, second = world.versions.deploy(), world.versions.deploy("# two\n")
    world.versions.deploy("# elsewhere\n", is_kept=False)
    with pytest.raises(ConfigurationError, match="was not deployed from this machine") as caught:
        roll_back(NAME, "", YES)
    assert [line[:36] for line in str(caught.value.evidence).splitlines()] == [second, first]
    assert "--to VERSION" in str(caught.value.next_step)
    with pytest.raises(ConfigurationError, match="no kept version of case-wrapped begins"):
        roll_back(NAME, "x", YES)


def test_without_a_kept_version_the_way_is_the_source(world: World) -> None:
    world.versions.deploy()
    for version in ("", "12345678"):
        with pytest.raises((WrapperError, ConfigurationError)) as caught:
            roll_back(NAME, version, YES)
        assert "git" in str(caught.value.next_step)
    world.versions.deploy("# elsewhere\n", is_kept=False)
    with pytest.raises(WrapperError, match="not found"):
        roll_back("unknown", "", YES)


def test_the_present_version_is_deployed_already(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    version = world.versions.deploy()
    assert roll_back(NAME, version[:8], UploadOptions(as_json=True)) == 0
    assert json.loads(capsys.readouterr().out)["changed"] is False


def test_an_image_that_was_built_again_is_a_warning(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    version = world.versions.deploy()
    world.versions.deploy("# two\n")
    chute_id = world.user.get(f"/chutes/{NAME}").json()["chute_id"]
    record = list_deployments(chute_id, world.user.url)[0].module.with_name("deployment.json")
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, "deployed_at": "2025-01-01T00:00:00+00:00"}))
    with pytest.raises(ConfigurationError, match="standard input is not a terminal"):
        roll_back(NAME, version, UploadOptions())
    assert f"{IMAGE} was built again after that deployment" in capsys.readouterr().err


def test_everything_that_the_platform_would_refuse_is_found_before(world: World) -> None:
    world.versions.deploy()
    second = world.versions.deploy("# two\n")
    chutes, images = world.platform.state.chutes, world.platform.state.images
    chute = chutes.find_by_id(world.user.get(f"/chutes/{NAME}").json()["chute_id"])
    assert chute is not None
    chutes.change(chute, {"immutable": True, "node_selector": {**chute.definition["node_selector"], "gpu_count": 2}})
    images.finish_build(chute.image_id, "error: lost", None)
    try:
        with pytest.raises(ConfigurationError, match="would reject this module") as caught:
            roll_back(NAME, "", YES)
    finally:
        images.finish_build(chute.image_id, "built and pushed", None)
    for reason in ("error: lost", "is immutable", "gpu_count 2"):
        assert reason in str(caught.value.evidence)
    assert world.read_version() == second


def test_a_module_that_computes_another_image_or_cords_is_refused(world: World) -> None:
    text = world.versions.scenario.module.read_text()
    world.versions.deploy()
    world.versions.keep(text.replace('CHUTE_TAG = "v1"', 'CHUTE_TAG = "v2"'))
    first = world.versions.deploy("# two\n")
    with pytest.raises(WrapperError, match="names the image case-wrapped:v2 now"):
        roll_back(NAME, "", YES)
    world.versions.keep(
        text + "# two\n@chute.cord(path='/more')\nasync def more(self, call: dict) -> dict:\n    return {}\n"
    )
    world.versions.deploy("# three\n")
    with pytest.raises(WrapperError, match="cords of the kept module differ from those") as caught:
        roll_back(NAME, first, YES)
    assert "increase CHUTE_TAG" in str(caught.value.next_step)
