"""Remote builds of the unmodified command line, in the emulator: what was uploaded, built by a real engine."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.core.platform_rules import BYTECODE_MANIFEST, GUARD_LIBRARY, PLATFORM_SDK_VERSION
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.builder import LABEL
from chutes_wrappers.emulator.docker_launcher import DockerLauncher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.modules.module_facts import read_module
from chutes_wrappers.host.staging import create_stage
from tests.emulator.api.client import Client, make_bearer_header
from tests.emulator.tokens import TOKEN
from tests.scenario import Scenario

from . import bases

pytestmark = pytest.mark.docker
# What the forge's stages need, without a wrapped image: its copy into buildah's storage takes long.
FAKE_SDK = r"""RUN useradd -u 1000 chutes && mkdir -p /sdk /app /usr/local/share/man && touch /sdk/chutes-aegis.so && \
    for name in pip uv chutes python; do \
        printf '#!/bin/sh\n[ "$1" = -IB ] && echo /sdk || echo "$0 $*"\n' >/usr/bin/$name && chmod 755 /usr/bin/$name; \
    done"""
CHUTES = Path(sys.executable).parent / "chutes"


@dataclass(frozen=True)
class Owner:
    """Somebody with an account at a platform that builds and runs in Docker."""

    platform: RunningPlatform
    client: Client
    config: Path

    def chutes(self, *arguments: str, folder: Path, environment: dict[str, str]) -> str:
        """Run the SDK's command line; what it printed."""
        done = subprocess.run(
            [str(CHUTES), *arguments],
            cwd=folder,
            env={**environment, "CHUTES_CONFIG_PATH": str(self.config)},
            # More than ten files: it asks whether to name them all, before it asks whether to upload them.
            input="n\ny\n" if arguments[0] == "build" else "y\n",
            capture_output=True,
            text=True,
            timeout=580,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def owner(engine: DockerEngine, tmp_path: Path) -> Iterator[Owner]:
    with run_platform(
        Settings(registration_token=TOKEN, folder=tmp_path / "state"), DockerLauncher(engine)
    ) as platform:
        account = accounts.register(platform.url, "tester", TOKEN)
        accounts.write_config(account, platform.url, tmp_path / "config.ini")
        yield Owner(platform, Client(platform.url, account), tmp_path / "config.ini")
        for image in images(platform.state.identity):
            docker_command("image", "rm", "--force", image)


def docker_command(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def images(identity: str) -> list[str]:
    """The references of what an emulator has built."""
    listed = docker_command(
        "image", "ls", "--filter", f"label={LABEL}={identity}", "--format", "{{.Repository}}:{{.Tag}}"
    )
    return [reference for reference in listed.split() if not reference.startswith("<none>")]


def test_a_wrapped_module_is_built_deployed_and_called(owner: Owner, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "emulated", bases.image("python3-no-pip"), [9090])
    scenario.discover()
    facts = read_module(scenario.module)
    with create_stage(facts, load_manifest(scenario.manifest), username="tester") as stage:
        environment = dict(stage.environment)
        printed = owner.chutes("build", stage.reference, "--wait", folder=stage.folder, environment=environment)
        assert "built and pushed" in printed, printed
        assert "chutes-wrappers: forge: bytecode manifest" in printed
        assert "3 of the forge's steps are not public and were not run" in printed
        printed = owner.chutes("deploy", stage.reference, "--accept-fee", folder=stage.folder, environment=environment)
        assert "Successfully deployed" in printed, printed

    (reference,) = images(owner.platform.state.identity)
    assert reference.endswith("-forge")
    script = (
        "find / -xdev -name '*.pyc' -o -xdev -name __pycache__ 2>/dev/null | wc -l; id -Gn; echo preload=$LD_PRELOAD; "
        f"ls {GUARD_LIBRARY} {BYTECODE_MANIFEST}; pip show chutes"
    )
    found = docker_command("run", "--rm", "--entrypoint", "sh", reference, "-c", script).splitlines()
    assert f"Version: {PLATFORM_SDK_VERSION}" in found
    assert found[:5] == ["0", "chutes root", "preload=", BYTECODE_MANIFEST, GUARD_LIBRARY]
    assert '"status": "hot"' in owner.client.get("/chutes/warmup/case-emulated").text
    host = f"tester-case-emulated.localhost:{owner.platform.port}"
    headers = {**make_bearer_header(owner.client.create_key(admin=True)["secret_key"]), "Host": host}
    response = requests.get(f"{owner.platform.url}/echo", headers=headers, params={"a": "1"}, timeout=60)
    assert response.status_code == 200, response.text

    owner.client.delete_chute("case-emulated")
    assert owner.client.delete("/images/case-emulated:v1").status_code == 200
    assert images(owner.platform.state.identity) == []


def test_a_build_that_fails_says_what_failed_and_leaves_nothing(owner: Owner) -> None:
    marker = secrets.token_hex(8)
    built = owner.client.build_and_wait(dockerfile=f"FROM {bases.image('bookworm')}\nRUN echo {marker} && exit 3")
    assert built["status"].startswith("error: the build failed with exit code")
    assert marker in owner.client.get(f"/images/{built['image_id']}/logs").text.splitlines()
    assert owner.client.deploy().status_code == 400
    assert containers(marker) == []


def test_what_was_uploaded_reaches_the_build(owner: Owner) -> None:
    dockerfile = f"FROM {bases.image('bookworm')}\nADD data.txt /data.txt\nRUN cat /data.txt && echo && exit 3"
    built = owner.client.build_and_wait(dockerfile=dockerfile)
    assert "data" in owner.client.get(f"/images/{built['image_id']}/logs").text.splitlines()


@pytest.mark.skipif(shutil.which("buildah") is None, reason="buildah is not installed")
def test_buildah_builds_as_the_platform_does_and_docker_has_the_image(engine: DockerEngine, tmp_path: Path) -> None:
    dockerfile = f"FROM {bases.image('bookworm')}\nADD data.txt /data.txt\n{FAKE_SDK}"
    with run_platform(Settings(registration_token=TOKEN, folder=tmp_path / "state", buildah=True)) as platform:
        user = Client.register(platform.url, "tester")
        built = user.build_and_wait(dockerfile=dockerfile)
        assert built["status"] == "built and pushed", user.get(f"/images/{built['image_id']}/logs").text
        log = user.get(f"/images/{built['image_id']}/logs").text.splitlines()
        assert f"/usr/bin/pip install chutes=={PLATFORM_SDK_VERSION}" in log
        assert (
            f"/usr/bin/python /sdk/generate_manifest_driver.py --lib /sdk/chutes-bcm.so --output {BYTECODE_MANIFEST}"
            in log
        )
        (reference,) = images(platform.state.identity)
        assert docker_command("run", "--rm", "--entrypoint", "cat", reference, "/data.txt") == "data"
        assert user.delete("/images/case:v1").status_code == 200
        assert images(platform.state.identity) == []


def test_a_build_in_flight_ends_with_the_emulator(engine: DockerEngine, tmp_path: Path) -> None:
    marker = secrets.token_hex(8)
    with run_platform(Settings(registration_token=TOKEN, folder=tmp_path)) as platform:
        user = Client.register(platform.url, "tester")
        image = user.build(dockerfile=f"FROM {bases.image('bookworm')}\nRUN echo {marker} && sleep 600").json()
        url, headers = f"{platform.url}/images/{image['image_id']}/logs", user.headers(purpose="images")
        with requests.get(url, headers=headers, stream=True, timeout=120) as logs:
            assert any(f'"{marker}"' in line for line in logs.iter_lines(decode_unicode=True))
        (step,) = containers(marker)
    subprocess.run(["docker", "wait", step], capture_output=True, timeout=60, check=False)
    with run_platform(Settings(registration_token=TOKEN, folder=tmp_path, docker=False)) as platform:
        left = Client(platform.url, user.account).get("/images/case:v1").json()
    assert left["status"] == "error: the emulator stopped while it was being built"


def containers(marker: str) -> list[str]:
    """Every container whose command holds ``marker``: another test run may have some of its own."""
    listed = docker_command("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Command}}")
    return [line.partition(" ")[0] for line in listed.splitlines() if marker in line]
