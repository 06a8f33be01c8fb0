"""Images and settings that can never work are refused before anything is built, by name and with the reason."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import UnsupportedImage
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.inspection import inspect_image
from tests.scenario import Scenario, run_command

from . import bases

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def no_shell(engine: DockerEngine) -> str:
    return bases.built_from_scratch("no-shell", 'FROM scratch\nCOPY hello /hello\nCMD ["/hello"]\n', {"hello": "x"})


@pytest.fixture(scope="module")
def old_debian(engine: DockerEngine) -> str:
    """Debian 11's C library and names; its archive may be gone from mirrors, so only what inspection reads is made."""
    return bases.built_from_scratch(
        "debian-11",
        f"FROM {bases.image('bookworm')}\n"
        "RUN rm /lib/x86_64-linux-gnu/libc.so.6 || true\nCOPY libc.so.6 /usr/lib/x86_64-linux-gnu/libc.so.6\n",
        {"libc.so.6": "GNU C Library (Debian GLIBC 2.31-13+deb11u11) stable release version 2.31.\n"},
    )


def test_an_image_without_a_shell_is_refused(engine: DockerEngine, no_shell: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage, match="no shell") as caught:
        inspect_image(engine, no_shell)
    assert no_shell in str(caught.value)
    for verb in (["--discover"], ["--build", "--local"]):
        done = run_command(verb[0], str(Scenario(tmp_path, "no-shell", no_shell, [9090]).module), *verb[1:], "--yes")
        assert done.returncode == 1
        assert no_shell in done.stderr
        assert "no shell" in done.stderr
        assert "Next:" in done.stderr
    assert not (tmp_path / "deploy_no_shell.routes.json").exists()


def test_an_old_debian_is_refused_for_its_c_library(engine: DockerEngine, old_debian: str) -> None:
    with pytest.raises(UnsupportedImage, match=r"glibc is 2\.31.*2\.34") as caught:
        inspect_image(engine, old_debian)
    assert old_debian in str(caught.value)


def test_a_port_that_an_instance_cannot_have_is_refused_with_the_variable_that_moves_it(
    engine: DockerEngine, tmp_path: Path
) -> None:
    scenario = Scenario(tmp_path, "port80", bases.image("privileged-port"), [80])
    done = run_command("--discover", str(scenario.module), "--yes")
    assert done.returncode == 2
    assert "1024" in done.stderr
    assert '"PORT"' in done.stderr
    assert not scenario.manifest.exists()


@pytest.mark.parametrize("port", [8000, 8001, 8002])
def test_the_chutes_own_ports_are_refused(engine: DockerEngine, tmp_path: Path, port: int) -> None:
    scenario = Scenario(tmp_path, f"port{port}", bases.image("python3-no-pip"), [port])
    done = run_command("--discover", str(scenario.module), "--yes")
    assert done.returncode == 2
    assert str(port) in done.stderr


def test_a_wrong_service_port_is_named_with_the_right_one(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "wrong", bases.image("python3-no-pip"), [9191])
    scenario.manifest.write_text("[]")
    done = run_command(
        "--discover", str(scenario.module), "--startup-delay", "1", "--probe-timeout", "3", "--docker-gpus", "none"
    )
    assert done.returncode == 1
    assert "9191" in done.stderr
    assert "9090" in done.stderr
    assert scenario.manifest.read_text() == "[]"


def test_a_container_that_exits_for_want_of_a_variable_names_it_at_once(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "exits", bases.image("python3-no-pip"), [9090], env={"REQUIRE": "MODEL_NAME"})
    done = run_command("--discover", str(scenario.module), "--yes")
    assert done.returncode == 1
    assert "MODEL_NAME, which is not set: the image is not broken" in " ".join(done.stderr.split())
    assert "the variable MODEL_NAME is not set" in done.stderr
    assert "CHUTE_ENV" in done.stderr


def test_without_an_engine_every_command_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    module = Scenario(tmp_path, "engine", "x", [9090]).module
    for verb in (["--discover"], ["--build", "--local"], ["--run-docker"]):
        done = run_command(verb[0], str(module), *verb[1:], "--yes")
        assert done.returncode == 1, done.stderr
        assert "no Docker engine is reachable" in done.stderr
        assert "DOCKER_HOST" in done.stderr


def test_values_of_the_environment_are_in_no_output_and_no_process_list(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "canary", bases.image("python3-no-pip"), [9090], env={"TOKEN": "canary-4711"})
    output_text = scenario.discover()
    assert "canary-4711" not in output_text
    assert "canary-4711" not in scenario.manifest.read_text()
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "canary-4711" not in listing.stdout


def test_build_names_all_that_the_platform_would_refuse_before_it_builds(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "refused", bases.image("python3-no-pip"), [9090], env={"HF_TOKEN": "canary-4711"})
    scenario.manifest.write_text("[]")
    with scenario.module.open("a") as module:
        module.write('chute.concurrency = 257\n\n\n@chute.cord(public_api_path="/item", public_api_method="delete")\n')
        module.write("async def forget(self) -> dict:\n    return {}\n")
    done = run_command("--build", str(scenario.module), "--local", "--yes")
    assert done.returncode == 2, done.stderr
    for part in (
        "Chutes would reject this module",
        "concurrency is 257",
        "'delete' is not a valid public method",
        "--secret case-refused HF_TOKEN",
    ):
        assert part in done.stderr
    assert "Building" not in done.stderr
    assert "canary-4711" not in done.stderr
