"""What an operation says of its calls, on the route that it becomes."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.exposure import CATEGORIES
from chutes_wrappers.core.routes import STREAM_SWITCH, Route
from chutes_wrappers.host.discovery import operation_reader
from chutes_wrappers.host.discovery.specification import Operations, check_dialect, read_operations

TEXT_SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}


def read_paths(paths: Any, prefix: str = "", **rest: Any) -> Operations:
    document = {"openapi": "3.1.0", "paths": paths, **rest}
    return read_operations(document, port=8020, prefix=prefix, expose=CATEGORIES)


def read_route(operation: dict[str, Any], method: str = "post", path: str = "/x") -> Route:
    (single_route,) = read_paths({path: {method: operation}}).routes
    return single_route


def build_operation(schema: Any, kind: str = "application/json", **rest: Any) -> dict[str, Any]:
    return {"requestBody": {"content": {kind: {"schema": schema}}}, **rest}


@pytest.mark.parametrize(
    ("path", "alias"),
    [
        ("/voices/{voice_id}/Sample.wav", "/api/v2_0/voices/voice_id/sample_wav"),
        ("/Upper", "/api/v2_0/upper"),
        ("/slash/", "/api/v2_0/slash"),
        ("/", "/api/v2_0"),
        ("/a b%20c/ü", "/api/v2_0/a_b_20c/x"),
        ("/#X-Amz-Target=Put", "/api/v2_0/x-amz-target_put"),
        ("/?Action=Put", "/api/v2_0/action_put"),
    ],
)
def test_the_target_path_is_unchanged_and_the_public_path_is_an_alias(path: str, alias: str) -> None:
    (single_route,) = read_paths({path: {"get": {}}}, prefix="/Api/v2.0").routes
    assert (single_route.path, single_route.target_path) == (alias, f"/Api/v2.0{path}")


def test_filters_skip_routes_and_report_how_to_publish_them() -> None:
    operations = read_operations(
        {"openapi": "3.1.0", "paths": {"/a/{id}.wav": {"get": {}}, "/a": {"get": {}}}},
        port=1,
        prefix="",
        expose=["files"],
    )
    assert [published.path for published in operations.routes] == ["/a"]
    (skipped,) = operations.skipped
    assert skipped.path == "/a/{id}.wav"
    assert skipped.reason.endswith("--expose parameters publishes it")


def test_paths_that_differ_by_a_trailing_slash_are_two_routes() -> None:
    routes = read_paths({"/a/": {"get": {}}, "/a": {"get": {}}}).routes
    assert [(each.path, each.target_path) for each in routes] == [("/a", "/a/"), ("/a/slash", "/a")]


@pytest.mark.parametrize(
    ("operation", "method", "entry"),
    [
        ({}, "get", None),
        ({}, "delete", None),
        ({}, "post", {"encoding": "none"}),
        (build_operation(TEXT_SCHEMA), "post", None),
        (build_operation(TEXT_SCHEMA), "delete", {"encoding": "json"}),
        (build_operation(TEXT_SCHEMA), "query", None),
        ({}, "query", {"encoding": "none"}),
        (build_operation(TEXT_SCHEMA), "get", {"encoding": "json"}),
        (build_operation({"type": "array"}), "post", {"encoding": "json", "wrapped": True}),
        (build_operation(TEXT_SCHEMA, "text/csv"), "put", {"encoding": "text", "content_type": "text/csv"}),
        ({"requestBody": {}}, "post", None),
        ({"requestBody": 5}, "post", None),
        (
            build_operation({"properties": {"a": {"properties": {"data": {}, "filename": {}}}}}),
            "post",
            {"encoding": "json"},
        ),
    ],
)
def test_the_request_encoding_is_recorded_where_it_is_not_the_default(
    operation: dict[str, Any], method: str, entry: Any
) -> None:
    assert read_route(operation, method).to_entry().get("request") == entry


def test_a_parameter_with_the_name_of_a_body_property_is_shared() -> None:
    parameters: list[Any] = [{"in": "query", "name": name, "schema": {}} for name in ("text", "lang")]
    single_route = read_route(build_operation(TEXT_SCHEMA, parameters=parameters))
    assert [(each.name, each.shared) for each in single_route.parameters] == [("text", True), ("lang", False)]
    assert single_route.input_schema == {"type": "object", "properties": {"text": {"type": "string"}, "lang": {}}}


def test_a_header_shares_the_field_of_a_body_whose_name_differs_in_case() -> None:
    schema = {"type": "object", "properties": {"x-a": {}}}
    parameters: list[Any] = [
        {"in": place, "name": name, "schema": {}} for place, name in (("header", "X-A"), ("query", "X-a"))
    ]
    route = read_route(build_operation(schema, parameters=parameters))
    assert {each.name: each.shared for each in route.parameters} == {"X-A": True, "X-a": False}


@pytest.mark.parametrize(
    ("schema", "type"),
    [
        ({"type": "array"}, "array"),
        ({"anyOf": [{"type": "array"}, {"type": "null"}]}, "array"),
        ({"type": "object"}, "object"),
        ({"type": ["array", "string"]}, None),
        ({"type": "string"}, None),
        ({}, None),
    ],
)
def test_a_parameter_has_a_type_only_for_lists_and_objects(schema: Any, type: str | None) -> None:
    (parameter,) = read_route({"parameters": [{"in": "query", "name": "q", "schema": schema}]}, "get").parameters
    assert parameter.type == type


@pytest.mark.parametrize(
    ("operation", "stream"),
    [
        (build_operation({"properties": {"stream": {"type": "boolean"}}}), STREAM_SWITCH),
        (
            build_operation({"allOf": [TEXT_SCHEMA, {"properties": {"stream": {"type": ["boolean", "null"]}}}]}),
            STREAM_SWITCH,
        ),
        (build_operation({"properties": {"stream": {"type": "boolean"}}}, "multipart/form-data"), STREAM_SWITCH),
        (build_operation({"properties": {"stream": {"type": "string"}}}), False),
        (build_operation({"properties": {"stream": {"type": "string"}}, "required": ["stream"]}), STREAM_SWITCH),
        (
            build_operation(
                {"properties": {"stream": {"format": "binary"}}, "required": ["stream"]}, "multipart/form-data"
            ),
            "switch",
        ),
        ({"parameters": [{"in": "query", "name": "stream", "schema": {"type": "string"}}]}, STREAM_SWITCH),
        (build_operation(TEXT_SCHEMA), False),
        (
            {
                **build_operation({"properties": {"stream": {"type": "boolean"}}}),
                "responses": {"200": {"content": {"text/event-stream": {}}}},
            },
            True,
        ),
    ],
)
def test_a_stream_field_of_the_request_switches_streaming(operation: dict[str, Any], stream: Any) -> None:
    assert read_route(operation).stream == stream


def test_a_required_field_named_stream_gets_both_cords() -> None:
    schema = {"properties": {"stream": {"type": "string"}}, "required": ["stream"]}
    plan = plan_cords([read_route(build_operation({"allOf": [TEXT_SCHEMA, schema]}))], 8020)
    assert [cord.stream for cord in plan.cords] == [True, False]


def test_a_path_parameter_named_stream_is_a_stream_switch() -> None:
    assert read_route({}, "get", "/twitch/{stream}").stream == STREAM_SWITCH


@pytest.mark.parametrize(
    ("node", "summary"),
    [
        ({"summary": "  Say\tit.\nLoud.", "description": "d"}, "Say it."),
        ({"summary": "", "description": "\n\nFirst.\nSecond."}, "First."),
        ({"summary": 5}, ""),
        ({"summary": "x" * 200}, "x" * 119 + "…"),
    ],
)
def test_the_summary_is_one_short_line(node: dict[str, Any], summary: str) -> None:
    assert read_route(node).summary == summary


def test_a_document_without_a_version_is_read_in_either_dialect() -> None:
    document = {
        "basePath": "/api",
        "paths": {"/a": {"post": {"consumes": ["text/plain"], "parameters": [{"in": "body", "name": "b"}]}}},
    }
    check_dialect(document)
    (single_route,) = read_operations(document, port=1, prefix="/api").routes
    assert single_route.to_entry()["request"] == {"encoding": "text", "content_type": "text/plain"}


@pytest.mark.parametrize(
    "example_keys", [{"example": {"a": 1}}, {"examples": {"first": {"value": {"a": 1}}, "second": {"value": {"a": 2}}}}]
)
def test_an_example_next_to_the_schema_is_kept(example_keys: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    content = {"application/json": {"schema": schema, **example_keys}}
    single_route = read_route({"requestBody": {"content": content}, "responses": {}})
    assert single_route.input_schema is not None
    assert single_route.input_schema["examples"] == [{"a": 1}]


def test_a_large_example_is_omitted() -> None:
    content = {"application/json": {"schema": {"type": "object", "properties": {}}, "example": {"a": "x" * 5000}}}
    single_route = read_route({"requestBody": {"content": content}, "responses": {}})
    assert "examples" not in (single_route.input_schema or {})


def test_a_parameter_has_its_own_example() -> None:
    parameter = {"name": "q", "in": "query", "schema": {"type": "string"}, "example": "sos"}
    single_route = read_route({"parameters": [parameter], "responses": {}})
    assert single_route.input_schema is not None
    assert single_route.input_schema["properties"]["q"]["examples"] == ["sos"]


def describe_target(route: Route) -> str:
    return f"{route.method} {route.path} → {route.upstream_method} {route.target_path}"


def test_methods_of_openapi_3_2_are_routes() -> None:
    operations = {"COPY": {}, "M-SEARCH": {}, "lower": {}, "POST": {}, "CONNECT": {}, "b d": {}, "BAD": 5}
    found = read_paths(
        {
            "/x": {"query": build_operation(TEXT_SCHEMA), "additionalOperations": operations},
            "/x/copy": {"post": {}},
            "/y": {"additionalOperations": []},
        }
    )
    assert list(map(describe_target, found.routes)) == [
        "QUERY /x → QUERY /x",
        "POST /x/copy/copy → COPY /x",
        "POST /x/m-search → M-SEARCH /x",
        "POST /x/lower → lower /x",
        "POST /x → POST /x",
        "POST /x/copy → POST /x/copy",
    ]
    assert {f"{each.method} {each.path}": each.reason for each in found.skipped} == {
        "CONNECT /x": "'CONNECT' is not a method of HTTP that a client can send",
        "b d /x": "'b d' is not a method of HTTP that a client can send",
        "BAD /x": "the operation is not an object",
        "* /y": "`additionalOperations` is not an object",
    }
    assert plan_cords(found.routes, 8020).skipped == ()


@pytest.mark.parametrize(
    ("path", "declared", "target_path", "names"),
    [
        ("/a/{b:int}/{*rest}", [], "/a/{b}/{rest:path}", ["b", "rest"]),
        ("/a/<int:b>", [], "/a/{b}", ["b"]),
        ("/a/:b/c", ["b"], "/a/{b}/c", ["b"]),
        ("/a/:b/c", [], "/a/%3Ab/c", []),
        ("/a/*b", [], "/a/%2Ab", []),
        ("/a/{b}:predict", ["b"], "/a/{b}:predict", ["b"]),
        ("/a/{b+}", ["b+"], "/a/{b+}", ["b+"]),
        ("/a/{b+}", ["b"], "/a/{b+}", ["b"]),
        ("/a{?q,r}", [], "/a", ["q", "r"]),
    ],
)
def test_path_variables_of_other_frameworks_are_parameters(
    path: str, declared: list[str], target_path: str, names: list[str]
) -> None:
    parameters = [{"name": name, "in": "path", "required": True, "schema": {}} for name in declared]
    route = read_route({"parameters": parameters}, "get", path)
    assert (route.target_path, [parameter.name for parameter in route.parameters]) == (target_path, names)
    assert Route.model_validate(route.to_entry()) == route


def test_credentials_cookies_and_parts_reach_the_route() -> None:
    document: dict[str, Any] = {
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}},
        "security": [{"key": []}],
    }
    cookie = {"name": "session", "in": "cookie", "required": True, "schema": {"type": "string"}}
    operation = build_operation(
        {"properties": {"meta": {"type": "object"}}}, "multipart/form-data", parameters=[cookie]
    )
    (route,) = read_paths({"/x": {"post": operation}}, **document).routes
    entry = route.to_entry()
    assert entry["parameters"] == [
        {"name": "X-API-Key", "in": "header", "credential": True},
        {"name": "session", "in": "cookie", "required": True},
    ]
    assert entry["request"]["parts"] == {"meta": {"content_type": "application/json"}}
    assert route.input_schema is not None
    assert route.input_schema["required"] == ["session"]
    assert set(route.input_schema["properties"]) == {"meta", "session", "X-API-Key"}


def test_what_servers_say_in_vain_is_noted() -> None:
    elsewhere = {
        "get": {},
        "servers": [{"url": "https://upload.example.com/v1"}, {"url": "https://other.example.com/v2"}],
    }
    found = read_paths(
        {"/a": elsewhere, "/b": {"get": {}, "servers": [{"url": "https://api.example.com/v3"}]}},
        servers=[
            {"url": "https://api.example.com/{v}", "variables": {"v": {"default": "v1", "enum": ["v1", "v2"]}}},
            {"url": "https://{region}.example.com", "variables": {"region": {"default": "eu", "enum": ["eu", "us"]}}},
        ],
    )
    assert [route.target_path for route in found.routes] == ["/v1/a", "/v3/b"]
    assert found.notes == (
        "GET /v1/a: its server is https://upload.example.com/v1: calls go to this service",
        "GET /v1/a: it is also served below /v2: calls use /v1",
        "document: server variable `v` may be v1, v2: calls use 'v1'",
    )


def test_notes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation_reader, "MAX_NOTES", 3)
    parameters = [{"name": f"c {number}", "in": "cookie"} for number in range(9)]
    found = read_paths({"/a": {"get": {"parameters": parameters}}})
    assert len(found.notes) == 4
    assert found.notes[-1] == "document: 6 more notes on its operations"


def test_two_parameters_of_one_name_are_noted() -> None:
    parameters: list[Any] = [{"name": "id", "in": place, "schema": {}} for place in ("query", "path")]
    schemes = {"key": {"type": "apiKey", "in": "cookie", "name": "id"}}
    components = {"securitySchemes": schemes}
    (note,) = read_paths({"/a/{id}": {"get": {"parameters": parameters}}}, components=components).notes
    assert note == "GET /a/{id}: query `id` has the name of the path parameter: a call sets one"
