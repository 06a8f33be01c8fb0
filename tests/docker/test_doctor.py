"""What ``--doctor`` says of modules whose images an engine has."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.scenario import Scenario, run_command

from . import bases

pytestmark = pytest.mark.docker
BASE = "doctor-base:1"


def tag(name: str) -> None:
    subprocess.run(["docker", "tag", bases.image(name), BASE], check=True)


@pytest.fixture
def scenario(engine: DockerEngine, tmp_path: Path) -> Iterator[Scenario]:
    """A module that is discovered and built."""
    tag("python3-no-pip")
    made = Scenario(tmp_path, "doctor", BASE, [9090])
    made.discover()
    made.build()
    yield made
    subprocess.run(["docker", "rmi", BASE], check=True, capture_output=True)


def finding(scenario: Scenario) -> dict[str, str]:
    done = run_command(
        "--doctor", scenario.module.stem, "--json", cwd=scenario.folder, variables={"HOME": str(scenario.folder)}
    )
    found = [one for one in json.loads(done.stdout)["findings"] if one["group"] == "modules"]
    assert len(found) == 1, found
    return dict(found[0])


def test_images_that_have_changed_since_are_found(scenario: Scenario) -> None:
    assert finding(scenario)["severity"] == "ok"

    source = scenario.module.read_text()
    scenario.module.write_text(source + "# edited\n")
    edited = finding(scenario)
    assert (edited["severity"], "another version of" in edited["found"]) == ("warning", True)
    assert "--build deploy_doctor --local" in edited["fix"]

    scenario.module.write_text(source)
    tag("root-workdir")
    changed = finding(scenario)
    assert (changed["severity"], "not the image that discovery inspected" in changed["found"]) == ("warning", True)
    assert "--discover deploy_doctor --check" in changed["fix"]


def test_an_image_that_is_not_here_is_not_pulled_to_be_looked_at(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "absent", "127.0.0.1:9/vendor/absent:1", [9090])
    scenario.manifest.write_text('{"version": 1, "routes": [{"path": "/a", "method": "GET", "port": 9090}]}')
    assert finding(scenario)["severity"] == "ok"
