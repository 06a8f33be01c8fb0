from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import Manifest, parse_manifest
from chutes_wrappers.core.routes import RequestFormat, Route
from chutes_wrappers.host.discovery import operation_reader, servers
from chutes_wrappers.host.discovery.path_items import iterate_operations
from chutes_wrappers.host.discovery.references import ReadingTime
from chutes_wrappers.host.discovery.shapes import Shapes
from chutes_wrappers.host.discovery.specification import (
    Operations,
    check_dialect,
    read_operations,
    select_plain_get_paths,
)

OK: dict[str, Any] = {"responses": {"200": {"description": "ok"}}}


def build_document(paths: Any, version: str = "3.1.0", **rest: Any) -> dict[str, Any]:
    return {"openapi": version, "info": {"title": "t", "version": "1"}, "paths": paths, **rest}


def read_document(document: dict[str, Any], prefix: str = "", expose: Iterable[str] = ()) -> Operations:
    return read_operations(document, port=8020, prefix=prefix, expose=expose)


def describe_routes(operations: Operations) -> list[str]:
    return [route.describe() for route in operations.routes]


def map_reasons(operations: Operations) -> dict[str, str]:
    return {f"{entry.method} {entry.path}": entry.reason for entry in operations.skipped}


def get_content_type(route: Route) -> str | None:
    return route.response.content_type if route.response else None


def build_operation(*media_types: str, schema: Any = None) -> dict[str, Any]:
    content = {name: {} if schema is None else {"schema": schema} for name in media_types}
    return {"responses": {"200": {"description": "ok", "content": content}}}


def test_every_operation_that_a_cord_can_call_becomes_a_route() -> None:
    item = dict.fromkeys(("get", "post", "put", "patch", "delete"), OK)
    operations = read_document(build_document({"/items": item}))
    assert describe_routes(operations) == [f"{method} /items" for method in ("GET", "POST", "PUT", "PATCH", "DELETE")]
    assert {route.port for route in operations.routes} == {8020}
    assert not operations.skipped


def test_other_operations_are_skipped_with_the_reason() -> None:
    operations = read_document(
        build_document(
            {
                "/": {"get": OK},
                "/items/{id}": {"get": OK},
                "/static/x": {"get": OK},
                "/__internal": {"get": OK},
                "/robots.txt": {"get": OK},
                "/ok": {"head": OK, "options": OK, "trace": OK, "get": OK, "copy": OK, "x-extra": 1, "summary": "s"},
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
    assert describe_routes(operations) == ["OPTIONS /ok", "TRACE /ok", "GET /ok", "POST /bad_operation"]
    reasons = map_reasons(operations)
    assert "root path" in reasons["GET /"]
    assert "path parameters" in reasons["GET /items/{id}"]
    assert "internal route (/static)" in reasons["GET /static/x"]
    assert "internal route (/__*)" in reasons["GET /__internal"]
    assert "file extension" in reasons["GET /robots.txt"]
    assert "a response to HEAD has no body" in reasons["HEAD /ok"]
    assert reasons["COPY /ok"].startswith("'copy' is not a method of a path item")
    assert reasons["GET relative"] == "the path does not start with '/'"
    assert reasons["GET /nameless/{}"].startswith("{} in '/nameless/{}' has no name, so callers cannot set it")
    assert reasons["GET /nameless/{:path}/{a}"].startswith("{:path} in")
    assert reasons["GET /bad_operation"] == "the operation is not an object"
    assert reasons["* /bad_item"] == "the path item is not an object"
    assert any("longer than 500" in reason for reason in reasons.values())
    assert len(reasons) == 13


def test_references_to_path_items_are_resolved_or_skipped() -> None:
    document = build_document(
        {
            "/good": {"$ref": "#/components/pathItems/Shared%20Item"},
            "/missing": {"$ref": "#/components/pathItems/Nope"},
            "/cyclic": {"$ref": "#/paths/~1cyclic"},
            "/foreign": {"$ref": "other.json#/a"},
        },
        components={"pathItems": {"Shared Item": {"get": OK}}},
    )
    operations = read_document(document)
    assert describe_routes(operations) == ["GET /good"]
    reasons = map_reasons(operations)
    assert "does not exist" in reasons["* /missing"]
    assert "is a circular `$ref`" in reasons["* /cyclic"]
    assert "another document" in reasons["* /foreign"]


def test_bodies_and_responses_give_self_contained_schemas() -> None:
    document = build_document(
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
    (route,) = read_document(document).routes
    assert route.input_schema == {
        "type": "object",
        "properties": {"child": {"$ref": "#/$defs/Tree"}},
        "$defs": {"Tree": {"type": "object", "properties": {"child": {"$ref": "#/$defs/Tree"}}}},
    }
    assert route.output_schema == {"type": "string"}
    assert get_content_type(route) == "application/problem+json"
    assert route.stream is False


@pytest.mark.parametrize(
    ("operation", "stream", "hint"),
    [
        (build_operation("text/event-stream"), True, "text/event-stream"),
        (build_operation("application/json", "text/event-stream"), False, None),
        (build_operation("text/event-stream", "application/json"), False, None),
        (build_operation("text/event-stream", "audio/wav"), False, "audio/wav"),
        (build_operation("audio/wav"), False, "audio/wav"),
        (build_operation("*/*"), False, None),
        (build_operation("not a type"), False, None),
        (OK, False, None),
        ({"responses": {"default": {"content": {"text/event-stream": {}}}}}, True, "text/event-stream"),
        ({"responses": {"404": {"content": {"text/event-stream": {}}}}}, False, None),
        ({}, False, None),
    ],
)
def test_only_an_operation_that_always_streams_is_a_stream(
    operation: dict[str, Any], stream: bool, hint: str | None
) -> None:
    (route,) = read_document(build_document({"/x": {"get": operation}})).routes
    assert (route.stream, get_content_type(route)) == (stream, hint)


def test_operations_with_other_media_types_than_json_are_routes() -> None:
    body = {"requestBody": {"content": {"multipart/form-data": {"schema": {"type": "object"}}}}}
    (route,) = read_document(
        build_document({"/ocr": {"post": {**body, **build_operation("audio/wav", schema={"type": "string"})}}})
    ).routes
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
    assert servers.read_prefixes(document, "/swagger.json") == ("/api/v2",)
    add, events = read_document(document, "/api/v2").routes
    assert (add.path, add.target_path) == ("/api/v2/add", "/api/v2/add")
    assert add.input_schema == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert add.output_schema == {"type": "array", "items": {}}
    assert (events.path, events.stream) == ("/api/v2/events", True)


def test_servers_of_path_items_and_operations_replace_the_prefix() -> None:
    operation = {**OK, "servers": [{"url": "https://elsewhere.example/op"}]}
    item = {"get": operation, "post": OK, "servers": [{"url": "{base}", "variables": {"base": {"default": "/item"}}}]}
    assert describe_routes(read_document(build_document({"/a": item, "/b": {"get": OK}}), "/doc")) == [
        "GET /op/a",
        "POST /item/a",
        "GET /doc/b",
    ]


def test_a_duplicate_operation_is_a_route_once() -> None:
    with_server = {**OK, "servers": [{"url": "/v1"}]}
    operations = read_document(build_document({"/v1/a": {"get": OK}, "/a": {"get": with_server}}))
    assert describe_routes(operations) == ["GET /v1/a"]
    assert map_reasons(operations) == {"GET /v1/a": "another operation has the same path and method"}


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
def test_an_invalid_part_of_an_operation_is_omitted_with_a_note(broken: dict[str, Any]) -> None:
    operations = read_document(build_document({"/bad": {"post": broken}, "/good": {"get": OK}}))
    assert describe_routes(operations) == ["POST /bad", "GET /good"]
    (note,) = operations.notes
    assert note.startswith("POST /bad: ")
    assert " left out: " in note


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({"paths": {}}, "has no `openapi` or `swagger` version, and no `paths`"),
        ({"openapi": "4.0.0"}, "version '4.0.0'"),
        ({"openapi": {"a": 1}}, "version"),
        ({"swaggerVersion": "1.2", "apis": []}, "version '1.2'"),
        ({"openapi": "3.0.0", "paths": []}, "`paths` is not an object"),
    ],
)
def test_an_unsupported_version_is_named_in_the_error(document: dict[str, Any], what: str) -> None:
    with pytest.raises(WrapperError) as caught:
        check_dialect(document)
    assert what in caught.value.what


@pytest.mark.parametrize("version", ["2.0", 2.0, 2])
def test_the_swagger_version_may_be_a_number(version: Any) -> None:
    check_dialect({"swagger": version, "paths": {}})


def test_50_001_operations_are_rejected() -> None:
    with pytest.raises(WrapperError, match="more than 50,000 operations"):
        read_document(build_document({f"/p{n}": {"get": OK} for n in range(50_001)}))


def test_the_total_size_of_schemas_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation_reader, "MAX_TOTAL_SCHEMA_BYTES", 200_000)
    huge = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(5000)}}
    paths = {
        f"/p{n}": {"post": build_operation("application/json", schema={"$ref": "#/components/huge"})} for n in range(50)
    }
    operations = read_document(build_document(paths, components={"huge": huge}))
    assert len(operations.routes) == 50
    assert "larger than 64 KiB" in operations.notes[0]
    assert "too many or too large" in operations.notes[-1]


def test_the_first_plain_get_paths_are_selected() -> None:
    paths = {"/a/{b}": {"get": OK}, "/b": {"post": OK}, **{f"/c{n}": {"get": OK} for n in range(9)}}
    assert select_plain_get_paths(build_document(paths)) == ("/c0", "/c1", "/c2")


RICH = build_document(
    {
        "/a": {
            "parameters": [{"$ref": "#/components/parameters/Q"}],
            "get": {**build_operation("application/json", schema={"$ref": "#/components/schemas/A"})},
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


def list_paths(node: Any, trail: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [trail, *(path for key, child in children for path in list_paths(child, (*trail, key)))]


def replace_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    document = copy.deepcopy(document)
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return document


def count_operations(document: dict[str, Any]) -> int:
    return sum(1 for _ in iterate_operations(document))


@given(st.data())
def test_any_document_gives_routes_skipped_operations_or_an_error(data: st.DataObject) -> None:
    document = data.draw(st.sampled_from([RICH, SWAGGER]))
    for _ in range(data.draw(st.integers(1, 2))):
        document = replace_value(document, data.draw(st.sampled_from(list_paths(document))), data.draw(JSON))
    if not isinstance(document, dict):
        return
    try:
        check_dialect(document)
        prefix = (*servers.read_prefixes(document, "/openapi.json"), "")[0]
        select_plain_get_paths(document)
        operations = read_document(document, prefix)
    except WrapperError:
        return
    assert len(operations.routes) + len(operations.skipped) == count_operations(document)
    text = Manifest(routes=operations.routes, skipped=operations.skipped).to_json()
    assert json.loads(text)["version"] == 1
    assert len(parse_manifest(text, where="x").routes) == len(operations.routes)


WIDE: dict[str, Any] = {f"k{number}": {} for number in range(300)}


@pytest.mark.parametrize(
    "shared",
    [
        {"get": OK, **{f"x-{name}": {} for name in WIDE}},
        {"post": {**OK, "requestBody": {"content": {f"a/{name}": {} for name in WIDE}}}},
        {"post": build_operation("application/json", schema={"anyOf": [*WIDE.values()]})},
        {"get": {**OK, "parameters": [{"name": "a", "in": "query", **WIDE}] * 200}},
    ],
)
def test_a_large_object_that_many_paths_share_has_a_time_limit(shared: dict[str, Any]) -> None:
    document = build_document({f"/p{number}": {"$ref": "#/shared"} for number in range(20)}, shared=shared)
    assert len(read_document(document).routes) == 20
    with pytest.raises(WrapperError, match="takes longer than -1 s to read"):
        read_operations(document, port=8020, prefix="", reading_time=ReadingTime(-1))


def test_a_wide_schema_has_a_time_limit() -> None:
    with pytest.raises(WrapperError, match="takes longer"):
        Shapes({}, ReadingTime(-1)).find_properties({"anyOf": [*WIDE.values()]})


def test_the_first_media_type_of_the_best_kind_is_used() -> None:
    body: dict[str, Any] = {
        "content": {"text/plain": {}, "image/png": {}, "application/b+json": {}, "application/c+json": {}}
    }
    (route,) = read_document(build_document({"/a": {"post": {**OK, "requestBody": body}}})).routes
    assert route.request is not None
    assert route.request.content_type == "application/b+json"
