"""Cords under the SDK's own ``chutes run --dev``, in front of a service with one of everything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.dev_chute import DevChute, dev_chute
from tests.upstreams.http_fixture import EVERY_BYTE, HttpFixture

ROUTES: list[dict[str, Any]] = [
    *({"path": "/echo", "method": method} for method in ("GET", "POST", "PUT", "DELETE")),
    {"path": "/echo/", "method": "POST"},
    {"path": "/Echo/{id}/X.y", "method": "POST"},
    {"path": "/form", "request": {"encoding": "multipart", "files": ["file"]}},
    {"path": "/guessed", "target_path": "/form"},
    {"path": "/upload", "target_path": "/echo", "request": {"encoding": "binary"}},
    {"path": "/bytes", "method": "GET"},
    {"path": "/large", "method": "GET"},
    {"path": "/status/{code}", "method": "GET"},
    {"path": "/slow", "method": "GET"},
    {"path": "/events", "method": "GET", "stream": True},
    {"path": "/failing-stream", "target_path": "/status/{code}", "method": "GET", "stream": True},
    {"path": "/chat", "stream": "switch"},
    {"path": "/drip", "method": "GET", "stream": True},
    {"path": "/own", "target_path": "/echo"},
]
OWN_CORD = """
@chute.cord(public_api_path="/own")
async def own(self, body: dict) -> dict:
    return {"own": body}
"""


@pytest.fixture(scope="module")
def chute(service: HttpFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevChute]:
    with dev_chute(tmp_path_factory.mktemp("chute"), ROUTES, service.port, more=OWN_CORD) as running:
        yield running


def test_query_and_body_reach_the_service_under_every_public_name(chute: DevChute) -> None:
    for path, method, target in [
        ("/echo", "POST", "/echo?q=%C3%A9"),
        ("/echo/put", "PUT", "/echo?q=%C3%A9"),
        ("/echo/slash", "POST", "/echo/?q=%C3%A9"),
    ]:
        echoed = chute.post(path, {"a": [1]}, q="é").json()
        assert (echoed["method"], echoed["target"], echoed["body"]) == (method, target, '{"a":[1]}')
    assert chute.get("/echo", x="1").json()["target"] == "/echo?x=1"


def test_a_cord_that_the_module_defines_after_the_routes_is_called_as_the_sdk_calls_it(chute: DevChute) -> None:
    assert chute.post("/own", {"a": 1}).json() == {"own": {"a": 1}}


@pytest.mark.parametrize("body", ["", "no json", "a=1"])
def test_an_invalid_json_body_is_rejected_as_in_production(chute: DevChute, body: str) -> None:
    response = requests.post(f"{chute.base_url}/echo", data=body, timeout=60)
    assert response.status_code == 400
    assert "must be JSON" in response.json()["detail"]


def test_path_parameters_and_odd_paths_reach_the_service(chute: DevChute) -> None:
    assert chute.post("/echo/id/x_y", {"id": "a b/c"}).json()["target"] == "/Echo/a%20b%2Fc/X.y"


def test_files_are_uploaded_as_multipart_declared_or_not(chute: DevChute) -> None:
    file = {"filename": "ä.bin", "content_type": "x/y", "data": base64.b64encode(EVERY_BYTE).decode()}
    digest = hashlib.sha256(EVERY_BYTE).hexdigest()
    for path in ("/form", "/guessed"):
        assert chute.post(path, {"body": "1", "file": file, "data": "2"}).json() == [
            ["body", "1"],
            ["file", {"filename": "ä.bin", "type": "x/y", "sha256": digest}],
            ["data", "2"],
        ]


def test_fifty_megabytes_are_uploaded_and_downloaded(chute: DevChute) -> None:
    data = EVERY_BYTE * 4096 * 50
    response = chute.post("/upload", {"data": base64.b64encode(data).decode()}).json()
    assert response["sha256"] == hashlib.sha256(data).hexdigest()
    assert chute.get("/large", megabytes=50).content == data


def test_bytes_are_returned_with_their_media_type(chute: DevChute) -> None:
    response = chute.get("/bytes")
    assert (response.content, response.headers["Content-Type"]) == (EVERY_BYTE, "audio/wav")


def test_a_response_without_a_body_contains_its_status(chute: DevChute) -> None:
    assert chute.get("/status/code", code=204).json() == {"status": 204}


@pytest.mark.parametrize("path", ["/status/code", "/failing-stream"])
@pytest.mark.parametrize("status", [401, 404, 422, 426, 429, 503])
def test_errors_of_the_service_cost_the_instance_nothing(chute: DevChute, path: str, status: int) -> None:
    response = chute.get(path, code=status)
    assert response.status_code == 400
    assert (response.json()["detail"]["status"], response.json()["detail"]["body"]) == (status, f"this is {status}")


def test_the_first_event_arrives_before_the_service_has_finished(chute: DevChute, service: HttpFixture) -> None:
    service.assert_streams_incrementally(f"{chute.base_url}/events")


def test_the_instance_survives_more_abandoned_streams_than_the_sdk_has_threads(
    chute: DevChute, service: HttpFixture
) -> None:
    for _ in range(20):  # each leaves at once, which the SDK alone misses now and then
        service.release.clear()
        service.aborted.clear()
        response = requests.get(f"{chute.base_url}/events", params={"hold": "1"}, stream=True, timeout=60)
        next(response.iter_lines(chunk_size=1))
        response.close()
        assert service.aborted.wait(60)
    assert chute.get("/echo").status_code == 200


def test_a_disconnect_aborts_a_plain_call(chute: DevChute, service: HttpFixture) -> None:
    service.assert_detects_disconnect(f"{chute.base_url}/slow")


def test_an_empty_stream_is_not_a_failure(chute: DevChute) -> None:
    response = chute.get("/events", count=0)
    assert (response.status_code, response.text) == (200, 'data: {"status":200}\n\n')


def test_pieces_of_text_and_bytes_stream_as_events(chute: DevChute) -> None:
    texts = [json.loads(line[6:])["text"] for line in chute.get("/drip").text.split("\n\n") if line]
    assert "".join(texts) == "é!"
    pieces = [json.loads(line[6:]) for line in chute.get("/drip", type="image/png").text.split("\n\n") if line]
    assert b"".join(base64.b64decode(piece["data"]) for piece in pieces) == "é!".encode()


def test_the_stream_switch_decides_on_one_public_path(chute: DevChute) -> None:
    assert chute.post("/chat", {"text": "a b", "stream": True}).text == "data: a\n\ndata: b\n\ndata: [DONE]\n\n"
    assert chute.post("/chat", {"text": "a b", "stream": False}).json() == {"answer": "a b"}
