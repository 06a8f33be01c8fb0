"""What the platform delivers → the request to the service."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import MultipartWriter

from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.call_request import build_request
from chutes_wrappers.runtime.upstream import UpstreamRequest


def build(body: Any = None, query: dict[str, str] | None = None, **route: Any) -> UpstreamRequest:
    described = Route.model_validate({"path": "/a", **route})
    return build_request(described, 8020, {"json": {} if body is None else body, "params": query or {}})


def test_a_call_goes_to_the_routes_port_method_and_path_with_query_and_body() -> None:
    request = build({"a": 1}, {"q": "x y"}, method="PUT", target_path="/b")
    assert (request.port, request.method, request.target) == (8020, "PUT", "/b?q=x%20y")
    assert (request.headers, request.make_data()) == ({"Content-Type": "application/json"}, b'{"a":1}')


def test_fields_that_are_parameters_are_not_sent_in_the_body() -> None:
    parameters = [{"name": "id", "in": "path"}, {"name": "X-Key", "in": "header"}]
    request = build({"id": "7", "X-Key": "k", "a": 1}, target_path="/b/{id}", parameters=parameters)
    assert (request.target, request.headers["X-Key"], request.make_data()) == ("/b/7", "k", b'{"a":1}')


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_empty_body_is_not_sent_with_a_method_that_has_none(method: str) -> None:
    request = build(method=method)
    assert (request.headers, request.make_data()) == ({}, None)


def test_an_empty_body_is_sent_otherwise() -> None:
    assert build(method="POST").make_data() == b"{}"
    for method in ({"request": {"encoding": "none"}}, {"target_method": "COPY"}, {"target_method": "OPTIONS"}):
        request = build(method="POST", **method)
        assert (request.headers, request.make_data()) == ({}, None)


def test_a_body_that_is_not_an_object_is_sent_as_it_is() -> None:
    assert build([1, 2]).make_data() == b"[1,2]"


def test_a_file_in_a_call_to_an_undeclared_body_makes_a_form_of_it() -> None:
    request = build({"f": {"filename": "a.txt", "data": "YQ=="}})
    assert request.headers == {}  # aiohttp names the boundary
    assert isinstance(request.make_data(), MultipartWriter)


@pytest.mark.parametrize(
    ("body", "query", "field"),
    [({"a": "\ud800"}, {}, "a"), ({}, {"q": "\ud800"}, "q"), (["\ud800"], {}, "body")],
)
def test_an_unpaired_surrogate_is_named_by_its_field(body: Any, query: dict[str, str], field: str) -> None:
    with pytest.raises(CallFailed) as caught:
        build(body, query)
    assert caught.value.detail["field"] == field


def test_endless_nesting_is_refused() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CallFailed, match="nested too deeply"):
        build({"a": deep})
