"""Third-party services in images made from their published packages, and the sample."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.host.docker_engine import DockerEngine
from chutes_wrappers.host.engine import ContainerSpec
from tests.scenario import ROOT, Scenario

from . import bases

pytestmark = pytest.mark.docker

COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"
CHROMA_ROUTES: list[dict[str, Any]] = [
    {"path": "/collections", "method": "GET", "port": 8010, "target_path": COLLECTIONS},
    {"path": "/collections", "method": "POST", "port": 8010, "target_path": COLLECTIONS},
]
VARYING = {"/api/v2/heartbeat"}


@contextmanager
def directly(engine: DockerEngine, image: str, port: int, ready: str) -> Iterator[str]:
    """The service itself, from its own image; yields its URL once ``ready`` answers."""
    with engine.run(ContainerSpec(image=image, ports=[port])) as container:
        url = f"http://127.0.0.1:{container.host_ports[port]}"
        session = requests.Session()
        retries = requests.adapters.Retry(total=12, connect=12, read=12, backoff_factor=0.2, backoff_max=2)
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
        with session:
            assert session.get(url + ready, timeout=30).ok
        yield url


def test_chromadb_answers_through_its_cords_like_itself(engine: DockerEngine, tmp_path: Path) -> None:
    image = bases.image("chromadb")
    scenario = Scenario(tmp_path, "chromadb", image, [8010], static_routes=CHROMA_ROUTES)
    scenario.discover()
    manifest = load_manifest(scenario.manifest)
    assert manifest.image is not None
    assert manifest.image.writes == ("/data",)
    assert len(manifest.skipped) >= 20
    assert all(skipped.reason for skipped in manifest.skipped)
    scenario.build()
    with directly(engine, image, 8010, "/api/v2/heartbeat") as direct, scenario.running() as chute:
        for route in manifest.routes:
            call = requests.get if route.method == "GET" else requests.post
            theirs = call(direct + route.target_path, json={}, timeout=30)
            ours = call(chute.base_url + route.path, json={}, timeout=30)
            if not theirs.ok:
                assert not ours.ok, route
            elif route.path in VARYING:
                assert ours.json().keys() == theirs.json().keys()
            else:
                assert ours.json() == theirs.json(), route
        for name in ("alpha", "beta", "gamma"):
            requests.post(direct + COLLECTIONS, json={"name": name}, timeout=30).raise_for_status()
            chute.post("/collections", {"name": name}).raise_for_status()
        # Chroma orders collections by their random ids, so pages are compared by what they hold together.
        for side in (direct + COLLECTIONS, f"{chute.base_url}/collections"):
            pages = [names(requests.get(side, params={"limit": 1, "offset": page}, timeout=30)) for page in range(4)]
            assert [len(page) for page in pages] == [1, 1, 1, 0]
            assert sorted(name for page in pages for name in page) == ["alpha", "beta", "gamma"]


def names(answer: requests.Response) -> list[str]:
    return [collection["name"] for collection in answer.json()]


def test_rapidocr_builds_becomes_ready_and_shows_its_routes(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "rapidocr", bases.image("rapidocr"), [9003])
    scenario.discover()
    assert "/ocr" in {route.path for route in load_manifest(scenario.manifest).routes}
    scenario.build()
    with scenario.running() as chute:
        assert "/ocr" in chute.said
        assert requests.get(f"{chute.base_url}/openapi.json", timeout=30).json()["paths"].keys() >= {"/ocr"}


def test_the_sample_is_wrapped_by_the_template_as_it_stands(engine: DockerEngine, tmp_path: Path) -> None:
    subprocess.run(
        [
            *("docker", "build", "-q", "--build-arg", f"BASE={bases.image('python')}"),
            *("-t", "morse-sample:latest", str(ROOT / "examples" / "morse")),
        ],
        check=True,
        capture_output=True,
    )
    scenario = Scenario(tmp_path, "morse", "morse-sample:latest", [8020, 8080])
    scenario.module.write_text((ROOT / "deploy_example.py").read_text())
    scenario.discover()
    scenario.build()
    with scenario.running() as chute:
        assert chute.post("/encode", {"text": "SOS"}).json() == {"morse": "... --- ..."}
        assert chute.get("/alphabet", letters="E").json() == {"E": "."}
        assert chute.get("/load").json()["status"] == "loaded"
        assert chute.get("/health").json() == {"status": "healthy"}
        for path in ("/speak", "/inference", "/v1/audio/transcriptions"):
            assert path in chute.said
