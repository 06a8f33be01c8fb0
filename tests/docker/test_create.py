"""From an image reference to a chute, without a hand on the code, from a registry and from the engine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.scenario import ROOT, find_free_port, make_environment

from . import bases

pytestmark = pytest.mark.docker


def run(folder: Path, *arguments: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "chutes_wrappers.cli.main", *arguments],
        cwd=folder,
        env={
            **make_environment(),
            "PYTHONPATH": str(ROOT),
            "CHUTES_CONFIG_PATH": str(folder / "none.ini"),
            "CHUTES_API_URL": "http://127.0.0.1:9",
            **variables,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's docker-registry, on a free port of 127.0.0.1; its host:port."""
    if shutil.which("docker-registry") is None and not os.environ.get("CI"):
        pytest.skip("docker-registry is not installed (Debian: apt-get install docker-registry)")
    folder, port = tmp_path_factory.mktemp("registry"), find_free_port()
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "config.yml").write_text(json.dumps(settings))
    process = subprocess.Popen(
        ["docker-registry", "serve", str(folder / "config.yml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with requests.Session() as session:
            retries = requests.adapters.Retry(total=12, connect=12, backoff_factor=0.1, backoff_max=1)
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
            assert session.get(f"http://127.0.0.1:{port}/v2/", timeout=10).ok
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def published(image: str, reference: str) -> Iterator[None]:
    subprocess.run(["docker", "tag", image, reference], check=True)
    try:
        subprocess.run(["docker", "push", "--quiet", reference], check=True, stdout=subprocess.DEVNULL)
        yield
    finally:
        subprocess.run(["docker", "rmi", reference], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def pushed(registry: str) -> Iterator[str]:
    """An image, known to the registry by this reference."""
    reference = f"{registry}/vendor/echo:1.0"
    with published(bases.image("python3-no-pip"), reference):
        pass
    yield reference
    subprocess.run(["docker", "rmi", reference], check=False, capture_output=True)


@pytest.fixture
def image(request: pytest.FixtureRequest) -> str:
    """The reference that a test's parameter stands for."""
    if request.param == "pushed":
        return str(request.getfixturevalue("pushed"))
    return bases.example("gradio") if request.param == "gradio" else bases.image(request.param)


def test_a_registry_tells_all_that_a_module_needs_without_a_pull(pushed: str, tmp_path: Path) -> None:
    done = run(tmp_path, "--create", pushed, DOCKER_HOST="unix:///nowhere.sock")
    assert "no Docker engine is reachable" in done.stderr
    assert "SERVICE_PORTS = [9090]" in (tmp_path / "deploy_echo.py").read_text()
    again = run(tmp_path, "--create", pushed, code=2, DOCKER_HOST="unix:///nowhere.sock")
    assert "--force" in again.stderr


def test_an_image_that_no_registry_and_no_engine_has_is_said(registry: str, tmp_path: Path) -> None:
    done = run(tmp_path, "--create", f"{registry}/vendor/none:1", code=1)
    assert "Next:" in done.stderr
    assert not list(tmp_path.glob("deploy_*"))


@pytest.mark.parametrize(
    "image",
    [
        "pushed",
        "gradio",
        pytest.param("chromadb", marks=pytest.mark.exhaustive),
        pytest.param("rapidocr", marks=pytest.mark.exhaustive),
    ],
    indirect=True,
)
def test_a_created_module_works_with_no_hand_edit(image: str, tmp_path: Path) -> None:
    run(tmp_path, "--create", image, "--name", "created")
    result = json.loads(
        run(
            tmp_path, "--emulate", "deploy_created", "--check", "--lenient", "--watch", "0", "--no-guard", "--json"
        ).stdout
    )
    # Gradio publishes an icon that this app does not have: its 404 proves nothing.
    refused = [route["route"] for route in result["routes"] if route["kind"] != "proven"]
    assert refused in ([], ["GET /pwa_icon"])
    assert result["counts"]["proven"]
    assert "matches the service" in run(tmp_path, "--discover", "deploy_created", "--check", "--yes").stderr


def test_an_image_that_is_pushed_later_is_the_same_image(registry: str, tmp_path: Path) -> None:
    image = bases.built_from_scratch(
        "unpublished", f"FROM {bases.image('python3-no-pip')}\nLABEL published=later\n", {}
    )
    run(tmp_path, "--create", image, "--name", "published")
    run(tmp_path, "--discover", "deploy_published", "--yes")
    with published(image, f"{registry}/vendor/published:1"):  # which gives it a digest, and changes nothing
        unchanged = run(tmp_path, "--discover", "deploy_published", "--check", "--yes")
        assert "matches the service" in unchanged.stderr
