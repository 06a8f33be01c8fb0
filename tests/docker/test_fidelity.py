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
Told = tuple[int, str, Any]


def story(root: str) -> Iterator[Told]:
    """A life of a collection: created, filled, asked, missed, misused, deleted. Status, media type and body of each answer."""
    with requests.Session() as session:
        last: dict[str, Any] = {}

        def told(method: str, path: str, body: Any = None, **query: Any) -> Told:
            answer = session.request(method, root + path, json=body, params=query, timeout=30)
            kind, text = answer.headers.get("Content-Type", ""), UNLIKE.sub("*", answer.text)
            # Chroma itself writes the keys of an object in an order of its own each time.
            last.update(json.loads(answer.text) if answer.text.startswith('{"id"') else {})
            return answer.status_code, kind, json.loads(text) if "json" in kind else text

        yield told("POST", COLLECTIONS, {"name": "parrots", "metadata": {"ä": "é"}})
        own = f"{COLLECTIONS}/{last['id']}"
        yield told("GET", f"{COLLECTIONS}/parrots")
        records = {"ids": ["1", "2"], "embeddings": [[1, 0], [0, 1]], "documents": ["grün", "blau"]}
        yield told("POST", f"{own}/add", records)
        yield told("GET", f"{own}/count")
        yield told("POST", f"{own}/query", {"query_embeddings": [[1, 0.1]], "n_results": 1})
        yield told("PUT", own, {"new_name": "cockatoos"})
        yield told("GET", COLLECTIONS, limit=1, offset=0)
        yield told("GET", f"{COLLECTIONS}/nobody")
        yield told("POST", COLLECTIONS, {"name": 5})
        yield told("POST", COLLECTIONS, {"name": "cockatoos"})
        yield told("DELETE", f"{COLLECTIONS}/cockatoos")
        yield told("GET", f"{DATABASE}/collections_count")


@pytest.mark.parametrize("tunnel", [True, pytest.param(False, marks=pytest.mark.exhaustive)], ids=["tunnel", "typed"])
def test_chromadb_lives_the_same_life_through_the_forwarder(engine: DockerEngine, tmp_path: Path, tunnel: bool) -> None:
    image = bases.image("chromadb")
    scenario = Scenario(tmp_path, f"chroma-{tunnel}".lower(), image, [8010], expose="all", tunnel=tunnel)
    scenario.discover()
    scenario.build()
    with (
        directly(engine, image, 8010, "/api/v2/heartbeat") as direct,
        scenario.running() as chute,
        scenario.forwarded(chute) as (here,),
    ):
        expected, found = list(story(direct)), list(story(here))
        assert [told[0] for told in expected] == [200, 200, 201, 200, 200, 200, 200, 404, 422, 409, 200, 200]
        assert found == (expected if tunnel else [(200 if told[0] == 201 else told[0], *told[1:]) for told in expected])


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
