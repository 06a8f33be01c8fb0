from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from chutes_wrappers.core.routes import (
    Parameter,
    Route,
    SkippedRoute,
    find_source_key,
    find_unknown_keys,
    normalise_entry,
)


def test_a_route_needs_a_path_only() -> None:
    route = Route(path="/Say/")
    assert (route.method, route.target_path, route.upstream_method, route.port) == ("POST", "/Say/", "POST", None)
    assert route.to_entry() == {"path": "/Say/", "target_path": "/Say/"}


def test_everything_that_a_call_needs_survives_the_manifest() -> None:
    entry = {
        "path": "/voices/voice_id",
        "method": "POST",
        "port": 8020,
        "target_path": "/voices/{voice_id}",
        "target_method": "PUT",
        "stream": "switch",
        "parameters": [
            {"name": "voice_id", "in": "path", "required": True},
            {"name": "tags", "in": "query", "style": "pipeDelimited", "explode": False, "shared": True},
        ],
        "request": {"encoding": "multipart", "files": ["sample"]},
        "response": {"content_type": "audio/wav"},
        "summary": "Change a voice.",
    }
    route = Route.model_validate(entry)
    assert {**route.to_entry(), "method": "POST"} == entry
    assert Route.model_validate(route.to_entry()) == route
    assert route.upstream_method == "PUT"


@pytest.mark.parametrize(
    ("method", "encoding"), [("GET", "none"), ("POST", "json"), ("PUT", "json"), ("PATCH", "json"), ("DELETE", "json")]
)
def test_an_undeclared_body_is_json(method: str, encoding: str) -> None:
    assert Route(path="/a", method=method).request_format.encoding == encoding


@pytest.mark.parametrize(
    ("request_", "files"), [({"encoding": "multipart"}, None), ({"encoding": "multipart", "files": []}, ())]
)
def test_a_manifest_distinguishes_unknown_files_from_no_files(request_: Any, files: Any) -> None:
    route = Route.model_validate({"path": "/a", "request": request_})
    assert route.request_format.files == files
    assert route.to_entry()["request"] == request_


def test_a_declared_json_body_is_written_out() -> None:
    route = Route.model_validate({"path": "/a", "request": {}})
    assert route.to_entry()["request"] == {"encoding": "json"}


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({}, "path"),
        ({"path": "a"}, "path"),
        ({"path": "/a", "target_path": "a"}, "target_path"),
        ({"path": "/a", "method": "FETCH"}, "method"),
        ({"path": "/a", "port": "8080"}, "port"),
        ({"path": "/a", "port": 70000}, "port"),
        ({"path": "/a", "stream": "yes"}, "stream"),
        ({"path": "/a", "stream": 1}, "stream"),
        ({"path": "/a", "parameters": [{"name": ""}]}, "parameters"),
        ({"path": "/a", "parameters": [{"name": "a", "in": "body"}]}, "parameters"),
        ({"path": "/a", "parameters": [{"name": "a", "style": "fancy"}]}, "parameters"),
        ({"path": "/a", "request": {"encoding": "xml"}}, "request"),
        ({"path": "/a", "request": {"file": ["a"]}}, "request"),
        ({"path": "/a", "response": {"type": "a/b"}}, "response"),
        ({"path": "/a", "native": "no"}, "native"),
    ],
)
def test_a_wrong_value_is_refused_at_its_field(entry: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Route.model_validate(entry)
    assert caught.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize(
    ("entry", "route"),
    [
        ({"path": "/a", "public_api_path": "/b"}, Route(path="/b", target_path="/a")),
        ({"path": "/a", "passthrough_path": "/c", "passthrough_port": 9}, Route(path="/a", target_path="/c", port=9)),
        ({"public_api_path": "/b", "name": "x", "cord": "y"}, Route(path="/b")),
    ],
)
def test_keys_of_other_toolkits_are_translated(entry: dict[str, Any], route: Route) -> None:
    assert Route.model_validate(normalise_entry(entry)) == route


def test_keys_without_a_meaning_are_named() -> None:
    assert find_unknown_keys([{"path": "/a", "name": "x", "cord": "y"}, 5]) == ("cord", "name")


@pytest.mark.parametrize("port", [1, 65535])
def test_every_tcp_port_is_accepted(port: int) -> None:
    assert Route(path="/a", port=port).port == port


def test_a_stream_is_true_false_or_a_switch() -> None:
    for value in (True, False, "switch"):
        assert Route.model_validate({"path": "/a", "stream": value}).stream is value
    with pytest.raises(ValidationError, match='must be true, false or "switch"'):
        Route.model_validate({"path": "/a", "stream": 1})


def test_a_parameters_place_is_written_as_in() -> None:
    parameter = Parameter.model_validate({"name": "a", "place": "header"})
    assert parameter == Parameter.model_validate({"name": "a", "in": "header"})
    assert Parameter(name="a").model_dump(by_alias=True, exclude_defaults=True) == {"name": "a", "in": "query"}


def test_a_route_is_named_by_method_and_path() -> None:
    route = Route(path="/a", method="put", target_method="patch")
    assert (route.key, route.describe(), route.upstream_method) == (("/a", "PUT"), "PUT /a", "PATCH")


@pytest.mark.parametrize(("port", "default", "expected"), [(1, 2, 1), (None, 2, 2), (1, None, 1), (None, None, None)])
def test_a_skipped_route_is_at_its_own_port_or_the_default(
    port: int | None, default: int | None, expected: int | None
) -> None:
    route = Route(path="/a", method="GET", port=port, target_path="/b")
    assert route.to_skipped("why", default) == SkippedRoute(path="/a", method="GET", port=expected, reason="why")


@pytest.mark.parametrize(
    ("entry", "sources"),
    [
        ({"path": 1, "public_api_path": 1}, ("public_api_path", "path", "port")),
        ({"path": 1, "passthrough_path": 1, "passthrough_port": 1}, ("path", "passthrough_path", "passthrough_port")),
        ({"public_api_path": 1, "target_path": 1, "passthrough_path": 1, "port": 1, "passthrough_port": 1},
         ("public_api_path", "target_path", "port")),
        ({}, ("path", "target_path", "port")),
    ],
)  # fmt: skip
def test_a_field_is_read_from_the_first_key_that_exists(entry: dict[str, Any], sources: tuple[str, ...]) -> None:
    assert tuple(find_source_key(field, entry) for field in ("path", "target_path", "port")) == sources


def test_the_capitalisation_of_an_unusual_method_is_kept() -> None:
    route = Route(path="/a/copy", target_path="/a", target_method="Copy")
    assert (route.upstream_method, Route(path="/a", target_method="put").upstream_method) == ("Copy", "PUT")


@pytest.mark.parametrize("method", ["CONNECT", "connect", "A B", "É"])
def test_a_method_that_no_service_has_is_refused(method: str) -> None:
    with pytest.raises(ValidationError):
        Route(path="/a", target_method=method)


def test_names_in_the_query_of_a_path_become_parameters() -> None:
    route = Route.model_validate({"path": "/a{?q,n}", "parameters": [{"name": "q", "type": "array"}]})
    assert (route.path, route.target_path) == ("/a", "/a")
    assert [(parameter.name, parameter.place, parameter.type) for parameter in route.parameters] == [
        ("q", "query", "array"), ("n", "query", None),
    ]  # fmt: skip
    assert Route.model_validate(route.to_entry()) == route
    with pytest.raises(ValidationError):
        Route.model_validate({"path": "/a{?q}", "parameters": 5})


def test_the_paths_of_a_route_have_one_form() -> None:
    route = Route(path="/users/:id", target_path="/Users/<int:id>/{rest...}")
    assert (route.path, route.target_path) == ("/users/{id}", "/Users/{id}/{rest:path}")
    declared = Route.model_validate({"path": "/a/{b:int}", "parameters": [{"name": "b:int", "in": "path"}]})
    assert declared.target_path == "/a/{b:int}"
