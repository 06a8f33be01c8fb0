"""The wrapped sample under the guard that the platform preloads (PLATFORM.md, section 1): that of the image's own SDK."""

from __future__ import annotations

import subprocess

import pytest

from chutes_wrappers.core import layout
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.scenario import Scenario, run_command

from . import bases

pytestmark = pytest.mark.docker

# Would end every Python below the chute, if it reached them.
SAMPLE = "FROM morse-sample:latest\nENV PYTHONFAULTHANDLER=1\n"
# As the forge does after the user's Dockerfile.
GUARDED = f"""
USER root
RUN cp {layout.BAKED_VENV}/lib/python3*/site-packages/chutes/chutes-aegis.so /usr/local/lib/
USER chutes
ENV LD_PRELOAD=/usr/local/lib/chutes-aegis.so
"""
WITH_VFORK = f"""
USER root
RUN sed -i 's/_USE_VFORK = False/_USE_VFORK = True/' {layout.BAKED_LIB}/chutes_wrappers/runtime/launcher.py
USER chutes
"""


@pytest.fixture(scope="module")
def guarded(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """The sample service, wrapped and under the guard."""
    bases.example("morse")
    image = bases.built_from_scratch("guarded", SAMPLE, {})
    scenario = Scenario(
        tmp_path_factory.mktemp("guard"), "guarded", image, [8020, 8080], image_arguments="python_version='3.11'"
    )
    scenario.discover()
    scenario.build()
    add(scenario, GUARDED)
    return scenario


def add(scenario: Scenario, lines: str) -> None:
    """Build a Dockerfile's ``lines`` on top of the wrapped image, under the same name."""
    dockerfile = f"FROM {scenario.image}\n{lines}"
    build = ["docker", "build", "-q", "-t", scenario.image, "-"]
    done = subprocess.run(build, input=dockerfile, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_starts_and_serves_calls(guarded: Scenario) -> None:
    with guarded.running() as instance:
        spoken = instance.post("/speak", {"text": "sos"})
        assert (spoken.status_code, spoken.content[:4]) == (200, b"RIFF"), spoken.text


def test_a_python_program_of_the_image_starts_children_as_the_instances_user(guarded: Scenario) -> None:
    program = (
        "import asyncio, subprocess\n"
        "async def code(): return await (await asyncio.create_subprocess_exec('/bin/true')).wait()\n"
        "print(subprocess.run(['/bin/true']).returncode, asyncio.run(code()))"
    )
    for folder, printed in (("", "-11 -11"), (f"{layout.BAKED_LIB}/chutes_wrappers/runtime/service_python", "0 0")):
        run = ["docker", "run", "--rm", "--network", "none", "-u", "1000:1000", "-e", f"PYTHONPATH={folder}"]
        done = subprocess.run(
            [*run, guarded.image, "/usr/bin/python3", "-c", program], capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() == printed, done.stderr


def test_with_vfork_its_service_does_not_live(guarded: Scenario) -> None:
    add(guarded, WITH_VFORK)
    done = run_command("--run-docker", str(guarded.module), "--yes")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the service ended with signal SIGSEGV" in done.stdout + done.stderr
