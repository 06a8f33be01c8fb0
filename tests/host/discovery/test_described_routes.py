"""What an operation says of its calls, on the route that it becomes."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.exposure import CATEGORIES
from chutes_wrappers.core.routes import STREAM_SWITCH, Route
from chutes_wrappers.host.discovery.specification import Operations, check_dialect, read_operations

SAY = {"type": "object", "properties": {"text": {"type": "string"}}}


def read(paths: Any, prefix: str = "", **rest: Any) -> Operations:
    document = {"openapi": "3.1.0", "paths": paths, **rest}
    return read_operations(document, port=8020, prefix=prefix, expose=CATEGORIES)


def route(operation: dict[str, Any], method: str = "post", path: str = "/x") -> Route:
    (found,) = read({path: {method: operation}}).routes
    return found


def taking(schema: Any, kind: str = "application/json", **rest: Any) -> dict[str, Any]:
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
def test_the_service_keeps_its_path_exactly_and_the_public_gets_an_alias(path: str, alias: str) -> None:
    (found,) = read({path: {"get": {}}}, prefix="/Api/v2.0").routes
    assert (found.path, found.target_path) == (alias, f"/Api/v2.0{path}")


def test_without_the_switch_the_filters_leave_out_and_say_how_to_publish() -> None:
    operations = read_operations(
        {"openapi": "3.1.0", "paths": {"/a/{id}.wav": {"get": {}}, "/a": {"get": {}}}},
        port=1,
        prefix="",
        expose=["files"],
    )
    assert [found.path for found in operations.routes] == ["/a"]
    (skipped,) = operations.skipped
    assert skipped.path == "/a/{id}.wav"
    assert skipped.reason.endswith("--expose parameters publishes it")


def test_slash_twins_are_two_routes_and_the_first_named_has_the_path() -> None:
    found = read({"/a/": {"get": {}}, "/a": {"get": {}}}).routes
    assert [(each.path, each.target_path) for each in found] == [("/a", "/a/"), ("/a/slash", "/a")]


@pytest.mark.parametrize(
    ("operation", "method", "entry"),
    [
        ({}, "get", None),
        ({}, "delete", None),
        ({}, "post", {"encoding": "none"}),
        (taking(SAY), "post", None),
        (taking(SAY), "delete", None),
        (taking(SAY), "get", {"encoding": "json"}),
        (taking({"type": "array"}), "post", {"encoding": "json", "wrapped": True}),
        (taking(SAY, "text/csv"), "put", {"encoding": "text", "content_type": "text/csv"}),
        ({"requestBody": {}}, "post", None),
        ({"requestBody": 5}, "post", None),
        (taking({"properties": {"a": {"properties": {"data": {}, "filename": {}}}}}), "post", {"encoding": "json"}),
    ],
)
def test_how_the_body_travels_is_said_where_it_differs_from_the_default(
    operation: dict[str, Any], method: str, entry: Any
) -> None:
    assert route(operation, method).entry().get("request") == entry


def test_a_parameter_that_the_body_has_too_is_shared() -> None:
    parameters: list[Any] = [{"in": "query", "name": name, "schema": {}} for name in ("text", "lang")]
    found = route(taking(SAY, parameters=parameters))
    assert [(each.name, each.shared) for each in found.parameters] == [("text", True), ("lang", False)]
    assert found.input_schema == {"type": "object", "properties": {"text": {"type": "string"}, "lang": {}}}


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
def test_a_parameter_says_whether_a_text_stands_for_a_list_or_an_object(schema: Any, type: str | None) -> None:
    (parameter,) = route({"parameters": [{"in": "query", "name": "q", "schema": schema}]}, "get").parameters
    assert parameter.type == type


@pytest.mark.parametrize(
    ("operation", "stream"),
    [
        (taking({"properties": {"stream": {"type": "boolean"}}}), STREAM_SWITCH),
        (taking({"allOf": [SAY, {"properties": {"stream": {"type": ["boolean", "null"]}}}]}), STREAM_SWITCH),
        (taking({"properties": {"stream": {"type": "boolean"}}}, "multipart/form-data"), STREAM_SWITCH),
        (taking({"properties": {"stream": {"type": "string"}}}), False),
        (taking({"properties": {"stream": {"type": "string"}}, "required": ["stream"]}), STREAM_SWITCH),
        (
            taking({"properties": {"stream": {"format": "binary"}}, "required": ["stream"]}, "multipart/form-data"),
            "switch",
        ),
        ({"parameters": [{"in": "query", "name": "stream", "schema": {"type": "string"}}]}, STREAM_SWITCH),
        (taking(SAY), False),
        (
            {
                **taking({"properties": {"stream": {"type": "boolean"}}}),
                "responses": {"200": {"content": {"text/event-stream": {}}}},
            },
            True,
        ),
    ],
)
def test_a_caller_who_may_ask_for_a_stream_switches_it(operation: dict[str, Any], stream: Any) -> None:
    assert route(operation).stream == stream


def test_a_field_named_stream_that_callers_must_give_is_no_dead_end() -> None:
    schema = {"properties": {"stream": {"type": "string"}}, "required": ["stream"]}
    plan = plan_cords([route(taking({"allOf": [SAY, schema]}))], 8020)
    assert [cord.stream for cord in plan.cords] == [True, False]


def test_a_path_parameter_named_stream_must_reach_the_route_too() -> None:
    assert route({}, "get", "/twitch/{stream}").stream == STREAM_SWITCH


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
    assert route(node).summary == summary


def test_a_document_that_forgot_its_version_is_read_in_either_dialect() -> None:
    document = {
        "basePath": "/api",
        "paths": {"/a": {"post": {"consumes": ["text/plain"], "parameters": [{"in": "body", "name": "b"}]}}},
    }
    check_dialect(document)
    (found,) = read_operations(document, port=1, prefix="/api").routes
    assert found.entry()["request"] == {"encoding": "text", "content_type": "text/plain"}


@pytest.mark.parametrize(
    "beside", [{"example": {"a": 1}}, {"examples": {"first": {"value": {"a": 1}}, "second": {"value": {"a": 2}}}}]
)
def test_an_example_beside_the_schema_is_kept_for_who_wants_to_call(beside: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    content = {"application/json": {"schema": schema, **beside}}
    found = route({"requestBody": {"content": content}, "responses": {}})
    assert found.input_schema is not None
    assert found.input_schema["examples"] == [{"a": 1}]


def test_an_example_too_large_to_help_is_left_out() -> None:
    content = {"application/json": {"schema": {"type": "object", "properties": {}}, "example": {"a": "x" * 5000}}}
    found = route({"requestBody": {"content": content}, "responses": {}})
    assert "examples" not in (found.input_schema or {})


def test_a_parameter_has_its_own_example() -> None:
    parameter = {"name": "q", "in": "query", "schema": {"type": "string"}, "example": "sos"}
    found = route({"parameters": [parameter], "responses": {}})
    assert found.input_schema is not None
    assert found.input_schema["properties"]["q"]["examples"] == ["sos"]
