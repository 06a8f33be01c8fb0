"""The requests that a client of the service makes, sent to a service that tells what it got."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity.direct_request import direct_request
from tests.upstreams.httpbin_service import serving_httpbin

FILE = {"filename": "a.wav", "content_type": "audio/wav", "data": base64.b64encode(b"RIFF").decode()}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving_httpbin() as listening:
        yield listening


def echoed(port: int, example: dict[str, Any], **route: Any) -> Any:
    made = direct_request(Route.model_validate({"path": "/anything", **route}), port, example)
    url = f"http://127.0.0.1:{made.port}{made.target}"
    return requests.request(made.method, url, data=made.body, headers=dict(made.headers), timeout=60).json()


def test_json_goes_as_it_is(port: int) -> None:
    assert echoed(port, {"a": [1, "ü"]})["json"] == {"a": [1, "ü"]}
    assert echoed(port, {"body": [1]}, request={"encoding": "json", "wrapped": True})["json"] == [1]


def test_a_multipart_body_has_its_fields_and_its_files(port: int) -> None:
    got = echoed(port, {"file": FILE, "n": 3, "tag": ["a", "b"]}, request={"encoding": "multipart", "files": ["file"]})
    assert got["files"] == {"file": "RIFF"}
    assert got["form"] == {"n": "3", "tag": ["a", "b"]}
    assert got["headers"]["Content-Type"].startswith("multipart/form-data; boundary=")


def test_forms_texts_and_bytes(port: int) -> None:
    assert echoed(port, {"a": "ü"}, request={"encoding": "form"})["form"] == {"a": "ü"}
    assert echoed(port, {"text": "ü"}, request={"encoding": "text", "content_type": "text/plain"})["data"] == "ü"
    got = echoed(port, {"data": "YWI="}, request={"encoding": "binary", "content_type": "audio/wav"})
    assert (got["data"], got["headers"]["Content-Type"]) == ("ab", "audio/wav")


def test_parameters_leave_the_body(port: int) -> None:
    parameters = [{"name": "id", "in": "path"}, {"name": "q", "in": "query"}]
    got = echoed(
        port, {"id": "x y", "q": "1", "rest": True}, path="/a", target_path="/anything/{id}", parameters=parameters
    )
    assert got["url"].endswith("/anything/x%20y?q=1")
    assert got["json"] == {"rest": True}


def test_a_get_without_anything_has_no_body(port: int) -> None:
    made = direct_request(Route(path="/get", method="GET"), port, {})
    assert (made.body, "Content-Type" in made.headers) == (b"", False)
