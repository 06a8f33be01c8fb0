"""Real services, and odd images, as the platform would build and run them: its stages, an instance, one call of each route."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.forge_stages import STAGES, describe_unknown_steps
from tests.scenario import ROOT, Scenario

from . import bases

# Each takes about a minute, and its parts are in the other files.
pytestmark = [pytest.mark.docker, pytest.mark.exhaustive]
SUITES = {"bookworm": "python-venv", "trixie": "trixie-venv"}
SERVICES = {"chromadb": [8010], "rapidocr": [9003]}
EXAMPLES = {"gradio": "examples/deploy_gradio_app.py", "morse": "deploy_example.py"}
ODD = (
    *("uid-1000-taken", "other-user", "root-workdir", "writes-root-home", "entrypoint-script", "vendor-venv-path"),
    *("vendor-app-tools", "left-alone", "no-python", "trixie"),
)


def emulate(scenario: Scenario) -> None:
    """Check the module in an emulated instance; each stage of the forge must have run."""
    output_text = scenario.run("--emulate", "--check")
    for stage in STAGES:
        assert f"chutes-wrappers: forge: {stage.name}" in output_text
    assert describe_unknown_steps() in output_text
    assert "0 not proven · 0 failing" in output_text


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_passes_the_stages_and_serves_its_routes(
    name: str, suite: str, engine: DockerEngine, tmp_path: Path
) -> None:
    image = bases.image(name if suite == "bookworm" else f"{name}-{suite}")
    emulate(Scenario(tmp_path, f"{name}-{suite}", image, SERVICES[name]))


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_passes_the_stages_and_serves_its_routes(
    name: str, suite: str, engine: DockerEngine, tmp_path: Path
) -> None:
    image = bases.example(name, SUITES[suite])
    scenario = Scenario(tmp_path, f"{name}-{suite}", image, [0])
    text = (ROOT / EXAMPLES[name]).read_text()
    assert bases.EXAMPLES[name] in text
    scenario.module.write_text(text.replace(bases.EXAMPLES[name], image))
    emulate(scenario)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_image_passes_the_stages_and_serves_its_routes(name: str, engine: DockerEngine, tmp_path: Path) -> None:
    emulate(Scenario(tmp_path, f"{name}-forged", bases.image(name), [9090]))
