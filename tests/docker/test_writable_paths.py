"""Paths of a wrapped image that its service may write to, in built images."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.container_engine.engine import ContainerSpec
from tests.scenario import Scenario, run_command

from . import bases

pytestmark = pytest.mark.docker
STAT = "stat -c '%u %n' / /root /etc /root/.cache /root/.config /data; touch /root/.cache/x /root/.config/x /data/x"


def test_a_service_writes_to_its_folders_and_the_system_stays_roots(engine: DockerEngine, tmp_path: Path) -> None:
    base = bases.built_from_scratch("data", f"FROM {bases.image('echo')}\nENV WRITE_TO=/data/state/log.txt\n", {})
    arguments = "writable_paths=('/root/.cache',)"
    scenario = Scenario(tmp_path, "data", base, [9090], image_arguments=arguments)
    scenario.discover()
    launch = load_manifest(scenario.manifest).image
    assert launch is not None
    assert launch.writes == ("/data",)
    scenario.build()
    spec = ContainerSpec(image=scenario.image, entrypoint=["sh", "-euc"], command=[STAT], user="1000:1000")
    with engine.run(spec) as container:
        assert container.wait(60) == 0, container.read_tail()
        owners = [line.partition(" ")[::2] for line in container.read_tail().splitlines()]
    assert {path: owner for owner, path in owners} == {
        **dict.fromkeys(("/", "/root", "/etc"), "0"),
        **dict.fromkeys(("/root/.cache", "/root/.config", "/data"), "1000"),
    }
    with scenario.running() as chute:
        assert chute.get("/health").json() == {"status": "ok"}


def test_a_build_fails_for_a_link_that_leads_to_the_system(engine: DockerEngine, tmp_path: Path) -> None:
    base = bases.built_from_scratch("linked", f"FROM {bases.image('echo')}\nRUN ln -s / /models\n", {})
    arguments = "writable_paths=('/models/etc',), slim=True"
    scenario = Scenario(tmp_path, "linked", base, [9090], image_arguments=arguments)
    scenario.discover()
    done = run_command("--build", str(scenario.module), "--local", "--yes")
    assert done.returncode == 1
    printed = done.stdout + done.stderr
    assert "/models/etc cannot be made writable: it leads to /etc, which belongs to the system" in printed
    assert "name the folder that the service writes to in writable_paths=" in printed
