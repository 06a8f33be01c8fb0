from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import Manifest, parse_manifest
from chutes_wrappers.core.routes import RequestFormat, Route
from chutes_wrappers.host.discovery import servers, specification
from chutes_wrappers.host.discovery.specification import Operations, check_dialect, plain_get_paths, read_operations

OK: dict[str, Any] = {"responses": {"200": {"description": "ok"}}}


def openapi(paths: Any, version: str = "3.1.0", **rest: Any) -> dict[str, Any]:
    return {"openapi": version, "info": {"title": "t", "version": "1"}, "paths": paths, **rest}


def read(document: dict[str, Any], prefix: str = "", expose: Iterable[str] = ()) -> Operations:
    return read_operations(document, port=8020, prefix=prefix, expose=expose)


def names(operations: Operations) -> list[str]:
    return [route.describe() for route in operations.routes]


def reasons(operations: Operations) -> dict[str, str]:
    return {f"{entry.method} {entry.path}": entry.reason for entry in operations.skipped}


def content_type(route: Route) -> str | None:
    return route.response.content_type if route.response else None


def answering(*media_types: str, schema: Any = None) -> dict[str, Any]:
    content = {name: {} if schema is None else {"schema": schema} for name in media_types}
    return {"responses": {"200": {"description": "ok", "content": content}}}


def test_every_operation_that_a_cord_can_call_becomes_a_route() -> None:
    item = dict.fromkeys(("get", "post", "put", "patch", "delete"), OK)
    operations = read(openapi({"/items": item}))
    assert names(operations) == [f"{method} /items" for method in ("GET", "POST", "PUT", "PATCH", "DELETE")]
    assert {route.port for route in operations.routes} == {8020}
    assert not operations.skipped


def test_what_does_not_become_a_route_is_skipped_with_its_reason() -> None:
    operations = read(
        openapi(
            {
                "/": {"get": OK},
                "/items/{id}": {"get": OK},
                "/static/x": {"get": OK},
                "/__internal": {"get": OK},
                "/robots.txt": {"get": OK},
                "/ok": {"head": OK, "options": OK, "trace": OK, "get": OK, "x-extra": 1, "summary": "s"},
                "x-extension": {"get": OK},
                "relative": {"get": OK},
                "/nameless/{}": {"get": OK},
                "/nameless/{:path}/{a}": {"get": OK},
                "/bad_operation": {"get": "nonsense", "post": OK},
                "/bad_item": [],
                "/long" + "g" * 600: {"get": OK},
            }
        )
    )
    assert names(operations) == ["GET /ok", "POST /bad_operation"]
    found = reasons(operations)
    assert "root path" in found["GET /"]
    assert "path parameters" in found["GET /items/{id}"]
    assert "internal route (/static)" in found["GET /static/x"]
    assert "internal route (/__*)" in found["GET /__internal"]
    assert "file extension" in found["GET /robots.txt"]
    assert "a cord cannot call HEAD" in found["HEAD /ok"]
    assert {"OPTIONS /ok", "TRACE /ok"} <= found.keys()
    assert found["GET relative"] == "the path does not start with '/'"
    assert found["GET /nameless/{}"] == "{} in the path has no name that a caller could give it by"
    assert found["GET /nameless/{:path}/{a}"].startswith("{:path} in the path has no name")
    assert found["GET /bad_operation"] == "the operation is not an object"
    assert found["* /bad_item"] == "the path item is not an object"
    assert any("longer than 500" in reason for reason in found.values())
    assert len(found) == 14


def test_a_path_item_may_be_a_reference_even_a_bad_or_cyclic_one() -> None:
    document = openapi(
        {
            "/good": {"$ref": "#/components/pathItems/Shared%20Item"},
            "/missing": {"$ref": "#/components/pathItems/Nope"},
            "/cyclic": {"$ref": "#/paths/~1cyclic"},
            "/foreign": {"$ref": "other.json#/a"},
        },
        components={"pathItems": {"Shared Item": {"get": OK}}},
    )
    operations = read(document)
    assert names(operations) == ["GET /good"]
    found = reasons(operations)
    assert "does not exist" in found["* /missing"]
    assert "leads back to itself" in found["* /cyclic"]
    assert "another document" in found["* /foreign"]


def test_bodies_and_answers_give_self_contained_schemas() -> None:
    document = openapi(
        {
            "/say": {
                "post": {
                    "requestBody": {"$ref": "#/components/requestBodies/Say"},
                    "responses": {"201": {"$ref": "#/components/responses/Said"}, "422": {"description": "no"}},
                }
            }
        },
        components={
            "requestBodies": {
                "Say": {
                    "content": {
                        "multipart/form-data": {"schema": {"type": "object"}},
                        "application/json; charset=utf-8": {"schema": {"$ref": "#/components/schemas/Tree"}},
                    }
                }
            },
            "responses": {"Said": {"content": {"application/problem+json": {"schema": {"type": "string"}}}}},
            "schemas": {"Tree": {"type": "object", "properties": {"child": {"$ref": "#/components/schemas/Tree"}}}},
        },
    )
    (route,) = read(document).routes
    assert route.input_schema == {
        "type": "object",
        "properties": {"child": {"$ref": "#/$defs/Tree"}},
        "$defs": {"Tree": {"type": "object", "properties": {"child": {"$ref": "#/$defs/Tree"}}}},
    }
    assert route.output_schema == {"type": "string"}
    assert content_type(route) == "application/problem+json"
    assert route.stream is False


@pytest.mark.parametrize(
    ("operation", "stream", "hint"),
    [
        (answering("text/event-stream"), True, "text/event-stream"),
        (answering("application/json", "text/event-stream"), False, None),
        (answering("text/event-stream", "application/json"), False, None),
        (answering("text/event-stream", "audio/wav"), False, "audio/wav"),
        (answering("audio/wav"), False, "audio/wav"),
        (answering("*/*"), False, None),
        (answering("not a type"), False, None),
        (OK, False, None),
        ({"responses": {"default": {"content": {"text/event-stream": {}}}}}, True, "text/event-stream"),
        ({"responses": {"404": {"content": {"text/event-stream": {}}}}}, False, None),
        ({}, False, None),
    ],
)
def test_only_an_operation_that_always_streams_is_a_stream(
    operation: dict[str, Any], stream: bool, hint: str | None
) -> None:
    (route,) = read(openapi({"/x": {"get": operation}})).routes
    assert (route.stream, content_type(route)) == (stream, hint)


def test_routes_whose_body_or_answer_is_not_json_stay_routes() -> None:
    body = {"requestBody": {"content": {"multipart/form-data": {"schema": {"type": "object"}}}}}
    (route,) = read(openapi({"/ocr": {"post": {**body, **answering("audio/wav", schema={"type": "string"})}}})).routes
    assert route.request == RequestFormat(encoding="multipart")
    assert route.output_schema is None


def test_swagger_2_is_read() -> None:
    document = {
        "swagger": "2.0",
        "basePath": "/api/v2/",
        "produces": ["application/json"],
        "parameters": {"Body": {"in": "body", "name": "body", "schema": {"$ref": "#/definitions/In"}}},
        "definitions": {"In": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "paths": {
            "/add": {
                "parameters": [{"$ref": "#/parameters/Body"}],
                "post": {"responses": {"200": {"description": "ok", "schema": {"type": "array", "items": {}}}}},
            },
            "/events": {"get": {"produces": ["text/event-stream"], "responses": {"200": {"description": "ok"}}}},
        },
    }
    assert servers.prefixes(document, "/swagger.json") == ("/api/v2",)
    add, events = read(document, "/api/v2").routes
    assert (add.path, add.target_path) == ("/api/v2/add", "/api/v2/add")
    assert add.input_schema == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert add.output_schema == {"type": "array", "items": {}}
    assert (events.path, events.stream) == ("/api/v2/events", True)


def test_servers_of_path_items_and_operations_replace_the_prefix() -> None:
    operation = {**OK, "servers": [{"url": "https://elsewhere.example/op"}]}
    item = {"get": operation, "post": OK, "servers": [{"url": "{base}", "variables": {"base": {"default": "/item"}}}]}
    assert names(read(openapi({"/a": item, "/b": {"get": OK}}), "/doc")) == ["GET /op/a", "POST /item/a", "GET /doc/b"]


def test_an_operation_that_is_there_twice_is_a_route_once() -> None:
    moved = {**OK, "servers": [{"url": "/v1"}]}
    operations = read(openapi({"/v1/a": {"get": OK}, "/a": {"get": moved}}))
    assert names(operations) == ["GET /v1/a"]
    assert reasons(operations) == {"GET /v1/a": "another operation has the same path and method"}


@pytest.mark.parametrize(
    "broken",
    [
        {"requestBody": {"$ref": "#/nowhere"}},
        {"requestBody": 5},
        {"requestBody": {"content": []}},
        {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/nowhere"}}}}},
        {"responses": []},
        {"responses": {"200": {"$ref": "#/nowhere"}}},
        {"responses": {"200": {"content": {"application/json": {"schema": {"properties": 3}}}}}},
        {"parameters": {}},
        {"parameters": [7]},
    ],
)
def test_what_is_wrong_inside_an_operation_costs_its_schema_only(broken: dict[str, Any]) -> None:
    operations = read(openapi({"/bad": {"post": broken}, "/good": {"get": OK}}))
    assert names(operations) == ["POST /bad", "GET /good"]
    (note,) = operations.notes
    assert note.startswith("POST /bad: ")
    assert " left out: " in note


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({"paths": {}}, "names no `openapi` or `swagger` version, and has no `paths`"),
        ({"openapi": "4.0.0"}, "version '4.0.0'"),
        ({"openapi": {"a": 1}}, "version"),
        ({"swaggerVersion": "1.2", "apis": []}, "version '1.2'"),
        ({"openapi": "3.0.0", "paths": []}, "`paths` is not an object"),
    ],
)
def test_another_dialect_is_named(document: dict[str, Any], what: str) -> None:
    with pytest.raises(WrapperError) as caught:
        check_dialect(document)
    assert what in caught.value.what


@pytest.mark.parametrize("version", ["2.0", 2.0, 2])
def test_the_swagger_version_may_be_a_number(version: Any) -> None:
    check_dialect({"swagger": version, "paths": {}})


def test_100_000_paths_are_refused() -> None:
    with pytest.raises(WrapperError, match="more than 50,000 operations"):
        read(openapi({f"/p{n}": {"get": OK} for n in range(100_000)}))


def test_huge_schema_graphs_are_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specification, "MOST_SCHEMAS_BYTES", 200_000)
    huge = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(5000)}}
    paths = {f"/p{n}": {"post": answering("application/json", schema={"$ref": "#/components/huge"})} for n in range(50)}
    operations = read(openapi(paths, components={"huge": huge}))
    assert len(operations.routes) == 50
    assert "larger than 64 KiB" in operations.notes[0]
    assert "too many or too large" in operations.notes[-1]


def test_a_few_plain_get_paths_are_named() -> None:
    paths = {"/a/{b}": {"get": OK}, "/b": {"post": OK}, **{f"/c{n}": {"get": OK} for n in range(9)}}
    assert plain_get_paths(openapi(paths)) == ("/c0", "/c1", "/c2")


RICH = openapi(
    {
        "/a": {
            "parameters": [{"$ref": "#/components/parameters/Q"}],
            "get": {**answering("application/json", schema={"$ref": "#/components/schemas/A"})},
            "post": {
                "requestBody": {"$ref": "#/components/requestBodies/B"},
                "responses": {"200": {"$ref": "#/components/responses/R"}},
                "servers": [{"url": "/x", "variables": {"y": {"default": "z"}}}],
            },
        },
        "/b": {"$ref": "#/components/pathItems/P"},
    },
    version="3.0.3",
    servers=[{"url": "http://h/{v}", "variables": {"v": {"default": "v1"}}}],
    components={
        "parameters": {"Q": {"in": "query", "name": "q", "schema": {"type": "string"}}},
        "schemas": {"A": {"type": "object", "nullable": True, "properties": {"a": {"$ref": "#/components/schemas/A"}}}},
        "requestBodies": {"B": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}},
        "responses": {"R": {"content": {"application/json": {"schema": {"allOf": [{"minimum": 1}]}}}}},
        "pathItems": {"P": {"get": OK}},
    },
)
SWAGGER = {
    "swagger": "2.0",
    "basePath": "/v2",
    "produces": ["application/json"],
    "paths": {
        "/a": {
            "post": {"parameters": [{"in": "body", "schema": {"type": "object"}}], "responses": {"200": {"schema": {}}}}
        }
    },
}
REFERENCES = ["#/paths/~1a", "#/components/schemas/A", "#/components/requestBodies/B", "#", "#/nowhere", "x"]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.sampled_from(["/a", "http://[", "{v}", "3.0", *REFERENCES]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=6) | st.sampled_from(["get", "$ref", "content", "200", "schema"]), inner, max_size=3
        )
        | st.sampled_from(REFERENCES).map(lambda reference: {"$ref": reference})
    ),
    max_leaves=6,
)


def places(node: Any, trail: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [trail, *(place for key, child in children for place in places(child, (*trail, key)))]


def replaced(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    document = copy.deepcopy(document)
    node = document
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    return document


def described_operations(document: dict[str, Any]) -> int:
    return sum(1 for _ in specification._operations(document))


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_anything_anywhere_ends_in_routes_skipped_or_a_refusal(data: st.DataObject) -> None:
    document = data.draw(st.sampled_from([RICH, SWAGGER]))
    for _ in range(data.draw(st.integers(1, 2))):
        document = replaced(document, data.draw(st.sampled_from(places(document))), data.draw(JSON))
    if not isinstance(document, dict):
        return
    try:
        check_dialect(document)
        prefix = (*servers.prefixes(document, "/openapi.json"), "")[0]
        plain_get_paths(document)
        operations = read(document, prefix)
    except WrapperError:
        return
    assert len(operations.routes) + len(operations.skipped) == described_operations(document)
    text = Manifest(routes=operations.routes, skipped=operations.skipped).to_json()
    assert json.loads(text)["version"] == 1
    assert len(parse_manifest(text, where="x").routes) == len(operations.routes)
