"""Third-party services in images made from their published packages, and the sample."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image, ImageDraw, ImageFont

from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.container_engine.engine import ContainerSpec
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


def names(response: requests.Response) -> list[str]:
    return [collection["name"] for collection in response.json()]


@pytest.mark.exhaustive
def test_rapidocr_reads_an_uploaded_image_through_its_cord_as_it_does_itself(
    engine: DockerEngine, tmp_path: Path
) -> None:
    image = bases.image("rapidocr")
    scenario = Scenario(tmp_path, "rapidocr", image, [9003])
    scenario.discover()
    route = next(route for route in load_manifest(scenario.manifest).routes if route.path == "/ocr")
    assert route.request is not None
    assert (route.request.encoding, route.request.files) == ("multipart", ("image_file",))
    scenario.build()
    picture = text_picture("CHUTES 42")
    with directly(engine, image, 9003, "/") as direct, scenario.running() as chute:
        theirs = requests.post(
            f"{direct}/ocr", files={"image_file": ("a.png", picture, "image/png")}, timeout=60
        ).json()
        assert "CHUTES" in json.dumps(theirs)
        encoded = base64.b64encode(picture).decode()
        for file in (
            {"image_file": {"filename": "a.png", "content_type": "image/png", "data": encoded}},
            {"image_file": f"data:image/png;base64,{encoded}"},
            {"image_file_base64": encoded},
        ):
            ours = chute.post("/ocr", file).json()
            assert [line["rec_txt"] for line in ours.values()] == [line["rec_txt"] for line in theirs.values()]
        assert chute.post("/ocr", {}).status_code == 400
        assert chute.post("/ocr", {"image_file": "no file"}).json()["detail"]["field"] == "image_file"


def text_picture(text: str) -> bytes:
    """A PNG with black letters on white."""
    picture = Image.new("RGB", (60 * len(text), 120), "white")
    ImageDraw.Draw(picture).text((40, 30), text, fill="black", font=ImageFont.load_default(60))
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def test_the_template_wraps_the_sample_unchanged(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "morse", bases.example("morse"), [8020, 8080])
    scenario.module.write_text((ROOT / "deploy_example.py").read_text())
    scenario.discover()
    scenario.build()
    with scenario.running() as chute:
        assert chute.post("/encode", {"text": "SOS"}).json() == {"morse": "... --- ..."}
        assert chute.get("/alphabet", letters="E").json() == {"E": "."}
        assert chute.get("/load").json()["status"] == "loaded"
        assert chute.get("/health").json() == {"status": "healthy"}
        sound = chute.post("/speak", {"text": "hello world"})
        assert (sound.headers["Content-Type"], sound.content[:4]) == ("audio/wav", b"RIFF")
        file = {"filename": "hello.wav", "content_type": "audio/wav", "data": base64.b64encode(sound.content).decode()}
        for path in ("/inference", "/v1/audio/transcriptions"):
            assert chute.post(path, {"file": file}).json() == {"text": "HELLO WORLD"}
        words = chute.post("/inference", {"file": file, "response_format": "text"})
        assert (words.text, words.headers["Content-Type"]) == ("HELLO WORLD\n", "text/plain; charset=utf-8")
        with scenario.forwarded(chute) as (speaker, listener):
            spoken = requests.post(f"{speaker}/speak", json={"text": "hello world"}, timeout=30)
            assert (spoken.headers["Content-Type"], spoken.content) == ("audio/wav", sound.content)
            upload = {"file": ("hello.wav", spoken.content, "audio/wav")}
            assert requests.post(f"{listener}/inference", files=upload, timeout=30).json() == {"text": "HELLO WORLD"}
        refused = chute.post("/speak", {"text": "~"})
        assert (refused.status_code, refused.json()["detail"]["status"]) == (400, 400)
