"""The same calls to a service itself, through forwarder and tunnel, through the forwarder alone, and to the public API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.scenario import Scenario

from . import bases
from .test_real_services import directly, text_picture

pytestmark = pytest.mark.docker

DATABASE = "/api/v2/tenants/default_tenant/databases/default_database"
COLLECTIONS = f"{DATABASE}/collections"
# Random names, times, and where in the JSON a mistake stands: the platform writes it without spaces.
UNLIKE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{13,}|column \d+")
Exchange = tuple[int, str, Any]


def run_calls(root: str) -> Iterator[Exchange]:
    """Create, fill, query and delete a collection, with errors; yields status, media type and body of each response."""
    with requests.Session() as session:
        last: dict[str, Any] = {}

        def call(method: str, path: str, body: Any = None, **query: Any) -> Exchange:
            response = session.request(method, root + path, json=body, params=query, timeout=30)
            kind, text = response.headers.get("Content-Type", ""), UNLIKE.sub("*", response.text)
            # Chroma writes the keys of an object in a different order each time.
            last.update(json.loads(response.text) if response.text.startswith('{"id"') else {})
            return response.status_code, kind, json.loads(text) if "json" in kind else text

        yield call("POST", COLLECTIONS, {"name": "parrots", "metadata": {"ä": "é"}})
        collection = f"{COLLECTIONS}/{last['id']}"
        yield call("GET", f"{COLLECTIONS}/parrots")
        records = {"ids": ["1", "2"], "embeddings": [[1, 0], [0, 1]], "documents": ["grün", "blau"]}
        yield call("POST", f"{collection}/add", records)
        yield call("GET", f"{collection}/count")
        yield call("POST", f"{collection}/query", {"query_embeddings": [[1, 0.1]], "n_results": 1})
        yield call("PUT", collection, {"new_name": "cockatoos"})
        yield call("GET", COLLECTIONS, limit=1, offset=0)
        yield call("GET", f"{COLLECTIONS}/nobody")
        yield call("POST", COLLECTIONS, {"name": 5})
        yield call("POST", COLLECTIONS, {"name": "cockatoos"})
        yield call("DELETE", f"{COLLECTIONS}/cockatoos")
        yield call("GET", f"{DATABASE}/collections_count")


@pytest.mark.parametrize("tunnel", [True, pytest.param(False, marks=pytest.mark.exhaustive)], ids=["tunnel", "typed"])
def test_chromadb_responds_equally_through_the_forwarder(engine: DockerEngine, tmp_path: Path, tunnel: bool) -> None:
    image = bases.image("chromadb")
    scenario = Scenario(tmp_path, f"chroma-{tunnel}".lower(), image, [8010], expose="all", tunnel=tunnel)
    scenario.discover()
    scenario.build()
    with (
        directly(engine, image, 8010, "/api/v2/heartbeat") as direct,
        scenario.running() as chute,
        scenario.forwarded(chute) as (here,),
    ):
        expected, forwarded = list(run_calls(direct)), list(run_calls(here))
        assert [each[0] for each in expected] == [200, 200, 201, 200, 200, 200, 200, 404, 422, 409, 200, 200]
        assert forwarded == (
            expected if tunnel else [(200 if each[0] == 201 else each[0], *each[1:]) for each in expected]
        )


@pytest.mark.exhaustive
def test_rapidocr_and_the_public_description_of_it(engine: DockerEngine, tmp_path: Path) -> None:
    image = bases.image("rapidocr")
    scenario = Scenario(tmp_path, "ocr-fidelity", image, [9003], expose="all", tunnel=True)
    scenario.discover()
    scenario.build()
    picture = text_picture("PARROT 7")
    with (
        directly(engine, image, 9003, "/") as direct,
        scenario.running() as chute,
        scenario.forwarded(chute) as (here,),
    ):
        answers: list[list[Any]] = []
        for root in (direct, here):
            upload = requests.post(f"{root}/ocr", files={"image_file": ("ä.png", picture, "image/png")}, timeout=60)
            form = requests.post(f"{root}/ocr", data={"use_det": "false"}, timeout=60)
            page = requests.get(f"{root}/docs", timeout=30)
            answers.append([(a.status_code, a.headers["Content-Type"]) for a in (upload, form, page)])
            answers[-1].append(page.text)
            answers[-1].append([line["rec_txt"] for line in upload.json().values()])
        assert answers[0] == answers[1]
        assert "PARROT" in json.dumps(answers[0][-1])
