"""A module in the form of before May 2026: rejected where the platform is needed, otherwise a warning.

``--build --local`` and ``--run-docker`` of such a module are in tests/docker/test_old_modules.py.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chutes_wrappers.cli import module_preparation
from chutes_wrappers.cli.commands import discover, discover_module
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from tests.commands import CommandResult, Commands
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.host.discovery.engines import FakeContainer, FakeEngine
from tests.host.preflight.module_texts import CODE, FACTS, build_description
from tests.scenario import OLD_PLACEMENT, PLACEMENT, ROOT, Scenario, find_free_port

REFUSED = "Chutes would reject this module"
WARNED = "! Chutes would reject this: "
TWO_LINES = ("tee=True,", 'node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),')
FORMS = [
    OLD_PLACEMENT,
    PLACEMENT.replace("tee=True", "tee=False"),
    PLACEMENT.replace("pro_6000", "PRO_6000"),
]


def has_both_lines(said: str) -> bool:
    """Return whether both lines are in the text unchanged, one after the other."""
    lines = [line.removeprefix("  | ").strip() for line in said.splitlines()]
    return any(pair == TWO_LINES for pair in itertools.pairwise(lines))


@dataclass(frozen=True)
class World:
    """A user without objects on the platform."""

    user: Client
    platform: RunningPlatform
    commands: Commands
    folder: Path

    def module(self, placement: str) -> Scenario:
        """Write a module and its manifest."""
        scenario = Scenario(self.folder, "old", "vendor/unused:1", [9000], placement=placement)
        write_manifest(Manifest(routes=(Route(path="/encode", port=9000),)), scenario.manifest)
        return scenario

    def run(self, *arguments: str) -> CommandResult:
        """Run one command to its end."""
        return self.commands.run(*arguments, timeout_s=60)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    settings = Settings(registration_token=TOKEN, folder=tmp_path / "state", docker=False)
    with run_platform(settings) as platform:
        user = Client.register(platform.url, "tester")
        accounts.write_config(user.account, platform.url, tmp_path / "config.ini")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_"))}
        own = {"HOME": str(tmp_path), "CHUTES_CONFIG_PATH": str(tmp_path / "config.ini"), "PYTHONPATH": str(ROOT)}
        yield World(user, platform, Commands(tmp_path, {**environment, **own}), tmp_path)


@pytest.mark.parametrize("placement", FORMS)
def test_build_and_deploy_upload_nothing_of_it(world: World, placement: str) -> None:
    scenario = world.module(placement)
    built = world.run("--build", str(scenario.module))
    assert (built.code, REFUSED in built.stderr, has_both_lines(built.stderr)) == (2, True, True), built.stderr
    assert world.user.get("/images/").json()["total"] == 0
    world.user.build_and_wait("case-old")
    deployed = world.run("--deploy", str(scenario.module), "--accept-fee")
    assert (deployed.code, REFUSED in deployed.stderr, has_both_lines(deployed.stderr)) == (2, True, True)
    assert world.user.get("/chutes/").json()["total"] == 0


@pytest.mark.parametrize("has_manifest", [True, False])
def test_emulate_does_not_start_it(world: World, has_manifest: bool) -> None:
    scenario = world.module(OLD_PLACEMENT)
    if not has_manifest:
        scenario.manifest.unlink()
    scenario.module.write_text(scenario.module.read_text() + "HOST_ENTRYPOINT = 'exec sleep 600'\n")
    ran = world.run("--emulate", str(scenario.module), "--no-docker", "--check")
    assert (ran.code, REFUSED in ran.stderr, has_both_lines(ran.stderr)) == (2, True, True), ran.stderr
    assert "Uploading" not in ran.stderr
    assert "Discovering what" not in ran.stderr or has_manifest


@pytest.mark.parametrize("arguments", [("--build",), ("--deploy", "--accept-fee")])
def test_a_module_without_a_manifest_is_rejected_for_its_placement_first(
    world: World, arguments: tuple[str, ...]
) -> None:
    scenario = world.module(OLD_PLACEMENT)
    scenario.manifest.unlink()
    verb, *more = arguments
    ran = world.run(verb, str(scenario.module), *more)
    assert (ran.code, REFUSED in ran.stderr, has_both_lines(ran.stderr)) == (2, True, True), ran.stderr


def test_with_an_overruled_rule_the_platform_decides_and_its_own_words_are_shown(world: World) -> None:
    world.user.build_and_wait("case-old")
    module = str(world.module(FORMS[1]).module)
    ran = world.run("--deploy", module, "--accept-fee", "--yes", "--allow", "tee-required")
    assert (ran.code, REFUSED in ran.stderr) == (1, False), ran.stderr
    assert ": Only TEE chutes are supported as of 2026-05-12, please set tee=True" in ran.stderr
    assert "(rule tee-required is overruled: the platform decides)" in ran.stderr
    assert ran.stderr.splitlines()[-1] == "! rule tee-required was overruled: not proven"


@pytest.mark.parametrize("placement", FORMS)
def test_the_cost_is_shown_with_a_warning(world: World, placement: str) -> None:
    ran = world.run("--cost", str(world.module(placement).module))
    assert (ran.code, "1 x pro_6000" in ran.stdout, "$5.40" in ran.stderr) == (0, True, True), ran.stderr
    assert (WARNED in ran.stderr, has_both_lines(ran.stderr)) == (True, True)
    good = world.run("--cost", str(world.module(PLACEMENT).module))
    assert (good.code, WARNED in good.stderr) == (0, False)


def run_discovery(scenario: Scenario, monkeypatch: pytest.MonkeyPatch, *, by_file: bool) -> list[Path]:
    """Return the files that were discovered; the SDK loads the module itself."""
    engine, recorded = FakeEngine(FakeContainer({})), []
    monkeypatch.setattr("chutes_wrappers.host.container_engine.docker_engine.connect", lambda report: engine)
    monkeypatch.setattr(discover, "discover_and_write", lambda facts, *rest: recorded.append(facts.path))
    if by_file:
        discover.discover_file(str(scenario.module), discover.Settings(), None)
    else:
        options = discover_module.DiscoverOptions(startup_delay_s=1.0, probe_timeout_s=1.0, gpus="none")
        discover_module.discover_module(str(scenario.module), options)
    return recorded


@pytest.mark.parametrize("by_file", [False, True], ids=["deploy.sh", "tools/discover_routes.py"])
def test_its_routes_are_discovered_with_a_warning(
    by_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Scenario(tmp_path, "old", "vendor/unused:1", [find_free_port()], placement=OLD_PLACEMENT)
    assert run_discovery(old, monkeypatch, by_file=by_file) == [old.module]
    output_text = capsys.readouterr().err
    assert (WARNED in output_text, has_both_lines(output_text)) == (True, True)
    good = Scenario(tmp_path, "good", "vendor/unused:1", [find_free_port()])
    assert run_discovery(good, monkeypatch, by_file=by_file) == [good.module]
    assert WARNED not in capsys.readouterr().err


def test_a_local_build_continues_with_a_warning_and_rejects_what_breaks_it_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = replace(FACTS, path=tmp_path / "deploy_case.py")
    facts.path.write_text(CODE)
    module_preparation.check_for_local_use(facts, build_description(tee=False, name="my-glyph"), "tester")
    output_text = capsys.readouterr().err
    assert output_text.count(WARNED) == 2
    assert has_both_lines(output_text)
    with pytest.raises(ConfigurationError) as caught:
        module_preparation.check_for_local_use(facts, build_description(tee=False, concurrency=1000), "tester")
    assert "concurrency is 1000" in str(caught.value.evidence)
    assert "tee is False" not in str(caught.value.evidence)
