"""The headers of a module and its chute on an instance."""

from __future__ import annotations

import pytest
from chutes.chute import Chute, NodeSelector
from chutes.chute.base import ChutePack

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.runtime.module_headers import add_headers, read_service_headers
from chutes_wrappers.runtime.upstream import UpstreamRequest


@pytest.fixture
def chute() -> Chute:
    selector = NodeSelector(gpu_count=1, include=["pro_6000"])
    return Chute(username="tester", name="case", image="tester/case:v1", tee=True, node_selector=selector)


def test_variables_are_read_when_they_are_needed_and_missing_ones_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = {"CHUTE_HEADERS": {"X-A": "${KEY_A} ${KEY_B}"}, "CHUTE_NAME": "ocr"}
    monkeypatch.setenv("KEY_A", "a")
    monkeypatch.delenv("KEY_B", raising=False)
    headers = read_service_headers(module)
    with pytest.raises(ConfigurationError, match=r"KEY_B is not set(.|\n)*--secret ocr KEY_B"):
        headers.select(8020)
    monkeypatch.setenv("KEY_B", "b")
    assert headers.select(8020) == {"X-A": "a b"}


@pytest.mark.parametrize("is_packed", [False, True])
def test_the_chutes_headers_are_those_of_the_present_and_come_last(chute: Chute, is_packed: bool) -> None:
    value = chute
    if is_packed:
        value = ChutePack.model_construct(chute=chute)
    module = {"other": object(), "chute": value, "CHUTE_HEADERS": {"X-A": "module"}}
    headers = read_service_headers(module)
    assert headers.select(8020) == {"X-A": "module"}
    chute.passthrough_headers = {
        "x-a": "chute",
        "X-B": 5,
        "X-None": None,
        "Content-Type": "text/x",
        "Connection": "close",
    }
    assert headers.select(8020) == {"X-A": "module", "X-B": "5"}


def test_a_request_without_a_route_has_the_headers_of_the_routes_that_would_send_it() -> None:
    headers = read_service_headers({"CHUTE_HEADERS": {"POST /items/put": {"X-A": "public"}, "GET /b": {"X-A": "b"}}})
    headers.add_names(("PUT", "/items/{id}"), [("POST", "/items/put")])
    assert headers.select_for_request(8020, "PUT", "/items/7") == {"X-A": "public"}
    assert headers.select_for_request(8020, "GET", "/b") == {"X-A": "b"}
    assert headers.select_for_request(8020, "PUT", "/items/7", route="POST /other") == {}
    assert headers.complete({"x-a": "own"}, 8020, "GET", "/b") == {"x-a": "own"}


def test_a_request_keeps_the_headers_of_its_call() -> None:
    request = UpstreamRequest(port=1, method="GET", target="/", headers={"x-a": "call"})
    assert add_headers(request, {}) is request
    assert add_headers(request, {"X-A": "module", "X-B": "b"}).headers == {"x-a": "call", "X-B": "b"}
