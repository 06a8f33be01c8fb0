"""The platform builds with buildah in chroot isolation, from the uploaded files alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.modules.module_facts import read_module
from chutes_wrappers.host.staging import create_stage
from tests.scenario import Scenario

from . import bases

pytestmark = pytest.mark.docker

# What `chutes build` uploads: the Dockerfile, and the files behind the directives (SDK entrypoint/build.py).
UPLOAD = """
import json, os, sys
from chutes.entrypoint._shared import load_chute
from chutes.entrypoint.build import expand_context_files
_, chute = load_chute(sys.argv[1], None, False)
paths = [path for directive in chute.image._directives for path in directive._build_context]
print(json.dumps([str(chute.image), [os.path.relpath(f) for f in expand_context_files(paths, os.getcwd())]]))
"""
# PLATFORM.md, section 1: what the platform appends, and what a later update of the SDK runs.
PLATFORM_LINES = "RUN pip install chutes=={sdk}\nUSER root\nUSER chutes\nRUN pip install --upgrade chutes=={sdk}\n"


class Buildah:
    """buildah with a storage of its own."""

    def __init__(self, storage: Path) -> None:
        self._options = ["--root", str(storage / "root"), "--runroot", str(storage / "run")]

    def __call__(self, *arguments: str) -> str:
        """Run a command; its standard output."""
        done = subprocess.run(
            ["buildah", *self._options, *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, f"{arguments[0]}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture
def buildah(tmp_path: Path) -> Iterator[Buildah]:
    """buildah, emptied afterwards."""
    if shutil.which("buildah") is None:
        pytest.skip("buildah is not installed")
    tool = Buildah(tmp_path)
    yield tool
    tool("rm", "--all")
    tool("rmi", "--all", "--force")


def test_the_uploaded_files_alone_build_as_the_platform_builds(
    engine: DockerEngine, tmp_path: Path, buildah: Buildah
) -> None:
    from importlib.metadata import version

    scenario = Scenario(tmp_path, "remote", bases.image("vendor-venv-path"), [9090], image_arguments="slim=True")
    scenario.discover()
    upload = tmp_path / "upload"
    facts = read_module(scenario.module)
    with create_stage(facts, load_manifest(scenario.manifest), username="tester") as stage:
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", UPLOAD, stage.reference],
            cwd=stage.folder,
            env=dict(stage.environment),
            capture_output=True,
            text=True,
            check=True,
        )
        dockerfile, files = json.loads(result.stdout.splitlines()[-1])
        for name in files:
            (upload / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(stage.folder / name, upload / name)
    assert "deploy_remote.py" not in files
    (upload / "Dockerfile").write_text(dockerfile + "\n" + PLATFORM_LINES.format(sdk=version("chutes")))

    archive = tmp_path / "base.tar"
    subprocess.run(["docker", "save", "-o", str(archive), facts.base_image], check=True)
    buildah("pull", f"docker-archive:{archive}")
    archive.unlink()
    buildah("bud", "--isolation", "chroot", "--layers=false", "-t", "wrapped:v1", str(upload))
    container = buildah("from", "wrapped:v1").strip()
    check = (
        "id -u; pwd; command -v python pip chutes curl; test -w /app; chutes run no_such:chute --generate-inspecto-hash"
    )
    lines = buildah("run", "--isolation", "chroot", container, "--", "sh", "-ec", check).splitlines()
    assert lines[:2] == ["1000", "/app"]
    assert lines[2].startswith("/opt/chutes-wrappers/venv/bin/")
