"""The requests of routes without a document, sent to a service that echoes them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.document_client.direct_client import DirectClient
from tests.upstreams.httpbin_service import serve_httpbin

FILE = {"filename": "a.wav", "content_type": "audio/wav", "data": base64.b64encode(b"RIFF").decode()}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serve_httpbin() as listening:
        yield listening


def send_and_echo(port: int, example: dict[str, Any], **route: Any) -> Any:
    request = DirectClient().build_request(Route.model_validate({"path": "/anything", **route}), port, example)
    url = f"http://127.0.0.1:{request.port}{request.target}"
    return requests.request(request.method, url, data=request.body, headers=dict(request.headers), timeout=60).json()


def test_json_is_sent_unchanged(port: int) -> None:
    assert send_and_echo(port, {"a": [1, "ü"]})["json"] == {"a": [1, "ü"]}
    assert send_and_echo(port, {"body": [1]}, request={"encoding": "json", "wrapped": True})["json"] == [1]


def test_a_multipart_body_has_its_fields_and_its_files(port: int) -> None:
    echo = send_and_echo(
        port, {"file": FILE, "n": 3, "tag": ["a", "b"]}, request={"encoding": "multipart", "files": ["file"]}
    )
    assert echo["files"] == {"file": "RIFF"}
    assert echo["form"] == {"n": "3", "tag": ["a", "b"]}
    assert echo["headers"]["Content-Type"].startswith("multipart/form-data; boundary=")


def test_form_text_and_binary_bodies(port: int) -> None:
    assert send_and_echo(port, {"a": "ü"}, request={"encoding": "form"})["form"] == {"a": "ü"}
    assert send_and_echo(port, {"text": "ü"}, request={"encoding": "text", "content_type": "text/plain"})["data"] == "ü"
    echo = send_and_echo(port, {"data": "YWI="}, request={"encoding": "binary", "content_type": "audio/wav"})
    assert (echo["data"], echo["headers"]["Content-Type"]) == ("ab", "audio/wav")


def test_parameters_are_removed_from_the_body(port: int) -> None:
    parameters = [{"name": "id", "in": "path"}, {"name": "q", "in": "query"}]
    echo = send_and_echo(
        port, {"id": "x y", "q": "1", "rest": True}, path="/a", target_path="/anything/{id}", parameters=parameters
    )
    assert echo["url"].endswith("/anything/x%20y?q=1")
    assert echo["json"] == {"rest": True}


def test_a_get_without_fields_has_no_body(port: int) -> None:
    request = DirectClient().build_request(Route(path="/get", method="GET"), port, {})
    assert (request.body, "Content-Type" in request.headers) == (b"", False)
