"""A module with our own cords behind the emulated platform: the gateway supports what the platform cannot transport."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chutes_wrappers.core.manifest import Manifest, parse_routes
from chutes_wrappers.emulator.host_launcher import HostImage
from tests.emulator.platforms import HEAD, Platform, is_active, make_chute, run_invocation_platform
from tests.upstreams.http_fixture import EVERY_BYTE, HttpFixture, serve_http_fixture

ROUTES: list[dict[str, Any]] = [
    {"path": "/echo", "method": "GET"},
    {"path": "/echo", "method": "POST"},
    {"path": "/put", "target_path": "/echo", "method": "PUT"},
    {"path": "/form", "request": {"encoding": "multipart", "files": ["file"]}},
    {"path": "/bytes", "method": "GET"},
    {"path": "/missing", "target_path": "/no/such/page"},
    {"path": "/nothing", "target_path": "/status/204", "method": "GET"},
    {"path": "/chat", "stream": "switch"},
    {"path": "/events", "stream": True},
]
MODULE = """
from tools.chute_wrappers import load_route_manifest, register_passthrough_routes

register_passthrough_routes(chute, load_route_manifest(), {port})
"""


@pytest.fixture(scope="module")
def service() -> Iterator[HttpFixture]:
    with serve_http_fixture() as running:
        yield running


@pytest.fixture(scope="module")
def chute(service: HttpFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    manifest = Manifest(routes=parse_routes(ROUTES, where="test"))
    code = HEAD.format(concurrency=8) + MODULE.format(port=service.port)
    with run_invocation_platform(image=HostImage(manifest=manifest)) as running:
        record = running.deploy(make_chute(tmp_path_factory.mktemp("module"), code, manifest=manifest))
        assert is_active(record), record
        yield running


def test_json_reaches_the_service_with_its_query(chute: Platform) -> None:
    echo = chute.post("/echo", {"a": [1]}, params={"q": "x y"}).json()
    assert (echo["method"], echo["body"]) == ("POST", '{"a":[1]}')
    assert echo["target"] in ("/echo?q=x+y", "/echo?q=x%20y")
    assert chute.get("/echo", params={"q": "1"}).json()["target"] == "/echo?q=1"


def test_an_upload_reaches_the_service_as_multipart(chute: Platform) -> None:
    sent = {"file_base64": base64.b64encode(b"RIFF").decode(), "filename": "a.wav", "name": "x"}
    response = chute.post("/form", sent)
    assert response.status_code == 200, response.text
    assert "file" in {field[0] for field in response.json()}


def test_every_byte_is_returned_with_its_media_type(chute: Platform) -> None:
    response = chute.get("/bytes")
    assert (response.content, response.headers["content-type"]) == (EVERY_BYTE, "audio/wav")


def test_an_empty_response_and_another_method_are_supported(chute: Platform) -> None:
    assert chute.get("/nothing").json() == {"status": 204}
    assert chute.post("/put").json()["method"] == "PUT"


def test_the_services_404_is_the_clients_400_and_never_deletes_the_instance(chute: Platform) -> None:
    for _ in range(10):
        response = chute.post("/missing")
        assert response.status_code == 400
        assert '"status":404' in response.json()["detail"]
    assert chute.get_newest().failures == 0
    assert chute.post("/echo").status_code == 200


def test_a_stream_arrives_as_the_service_sends_it(chute: Platform) -> None:
    response = chute.post("/events")
    assert response.headers["content-type"] == "text/event-stream"
    assert response.content == b"".join(f"data: {n} é\n\n".encode() for n in range(3))


def test_a_cord_that_streams_by_the_switch_streams(chute: Platform) -> None:
    assert chute.post("/chat", {"text": "a b", "stream": True}).text == "data: a\n\ndata: b\n\ndata: [DONE]\n\n"


def test_many_calls_at_once_come_back_right_and_leave_nothing_behind(chute: Platform) -> None:
    count = 1000 if os.environ.get("HYPOTHESIS_PROFILE") == "all" else 250

    def call(number: int) -> bool:
        return bool(chute.post("/echo", {"n": number}).json()["body"] == f'{{"n":{number}}}')

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(call, range(count)))
    assert chute.get_newest().running_calls == 0
