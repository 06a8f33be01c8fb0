"""An image that an installed package builds, in a folder with nothing of the checkout and with ``tools`` of the user's own."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest
import requests

from chutes_wrappers.core import layout
from chutes_wrappers.core.program import INSTALLED
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.installed import Installed, build_wheel, install
from tests.scenario import RunningCommand, Scenario

from . import bases

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def package(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(build_wheel(tmp_path_factory.mktemp("built")), tmp_path_factory.mktemp("environment"))


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    """A module with computed variables, beside a package ``tools``."""
    made = Scenario(tmp_path, "installed", bases.image("echo"), [9090], image_arguments="python_version='3.11'")
    made.module.write_text(made.module.read_text().replace('CHUTE_TAG = "v1"', 'CHUTE_TAG = "v" + str(1)'))
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("OWN = True\n")
    return made


def test_an_image_that_an_installed_package_builds_is_served(
    package: Installed, scenario: Scenario, engine: DockerEngine, tmp_path: Path
) -> None:
    module = scenario.module.name
    package.run(INSTALLED.deploy, "--discover", module, "--yes", folder=tmp_path)
    output_text = package.run(INSTALLED.deploy, "--build", module, "--local", "--yes", folder=tmp_path)
    assert f"Next: chutes-wrappers --run-docker {module}" in output_text
    with engine.open_files(scenario.image) as files:
        for source in ("chutes_wrappers/facade.py", "tools/chute_wrappers.py", "chutes_wrappers/sdk/recipe/sdk.sh"):
            assert files.read(f"{layout.BAKED_LIB}/{source}"), source
    with subprocess.Popen(
        [package.prefix / "bin" / INSTALLED.deploy, "--run-docker", module, "--yes"],
        cwd=tmp_path,
        env=package.environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        running = RunningCommand(process)
        try:
            running.wait_until_ready(180)
            found = re.search(r"ready after .* at (http://\S+)", running.output_text)
            assert found, running.output_text
            assert requests.get(f"{found[1]}/health", timeout=30).json() == {"status": "ok"}
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
            running.close()
    assert code == 0, running.output_text
