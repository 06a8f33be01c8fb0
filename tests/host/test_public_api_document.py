from __future__ import annotations

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.public_api_document import build_api_document

TREE = {"type": "object", "properties": {"child": {"$ref": "#/$defs/Tree"}}}


def build_document(*entries: dict[str, Any]) -> dict[str, Any]:
    routes = [Route.model_validate(entry) for entry in entries]
    document: dict[str, Any] = json.loads(build_api_document(plan_cords(routes, 8020), name="My Voice/2", version="v1"))
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    return document


def test_a_chute_without_routes_has_a_document() -> None:
    document = build_document()
    assert document["info"] == {"title": "My Voice/2", "version": "v1"}
    assert document["servers"][0]["variables"]["host"]["default"] == "USERNAME-my-voice-2.chutes.ai"


def test_an_operation_describes_the_public_request_and_response() -> None:
    document = build_document(
        {
            "path": "/voices/{id}",
            "exposed": True,
            "method": "PUT",
            "summary": "Change a voice.",
            "input_schema": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
            "response": {"content_type": "audio/wav"},
        }
    )
    assert set(document["paths"]) == {"/voices/id"}
    call = document["paths"]["/voices/id"]["post"]
    assert call["summary"] == "Change a voice."
    assert call["description"] == "Calls PUT /voices/{id} of the service on port 8020."
    assert call["requestBody"]["content"]["application/json"]["schema"]["required"] == ["id"]
    assert call["responses"]["200"]["content"] == {"audio/wav": {}}
    assert set(call["responses"]) == {"200", "400", "429"}


def test_a_get_has_its_parameters_in_the_query() -> None:
    document = build_document(
        {
            "path": "/voices/id",
            "target_path": "/voices/{id}",
            "method": "GET",
            "parameters": [{"name": "id", "in": "path"}, {"name": "q"}, {"name": "id", "in": "query"}],
            "input_schema": {"allOf": [{}, {"properties": {"q": {"type": "integer"}, "id": {"type": "string"}}}]},
        }
    )
    call = document["paths"]["/voices/id"]["get"]
    assert "requestBody" not in call
    assert [(each["name"], each["required"], each["schema"]) for each in call["parameters"]] == [
        ("id", True, {"type": "string"}),
        ("q", False, {"type": "integer"}),
    ]


def test_lists_and_objects_in_a_query_are_described_as_the_gateway_accepts_them() -> None:
    schemas = {"tag": {"type": "array", "items": {"type": "string"}}, "f": {"type": "object"}}
    parameters = [{"name": "tag", "type": "array"}, {"name": "f", "type": "object", "style": "deepObject"}]
    document = build_document(
        {"path": "/a", "method": "GET", "parameters": parameters, "input_schema": {"properties": schemas}}
    )
    tag, f = document["paths"]["/a"]["get"]["parameters"]
    assert (tag["explode"], tag["schema"]) == (False, schemas["tag"])
    assert "JSON" in tag["description"]
    assert f == {
        "name": "f", "in": "query", "required": False, "content": {"application/json": {"schema": schemas["f"]}},
    }  # fmt: skip


def test_a_route_without_a_schema_names_its_parameters() -> None:
    parameters = [
        {"name": "X-Key", "in": "header", "credential": True},
        {"name": "f", "content_type": "application/json"},
    ]
    get = {"path": "/a", "target_path": "/a/{b}/:c?", "method": "GET", "parameters": parameters}
    post = {"path": "/a", "target_path": "/a/{b}", "request": {"encoding": "text"}}
    document = build_document(get, post, {"path": "/lines", "request": {"encoding": "lines"}})
    described = document["paths"]["/a"]["get"]["parameters"]
    assert [(each["name"], each["required"]) for each in described] == [
        ("X-Key", False), ("f", False), ("b", True), ("c", False),
    ]  # fmt: skip
    assert "credential of the service" in described[0]["description"]
    assert described[1]["content"] == {"application/json": {"schema": {}}}
    schema = document["paths"]["/a"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert (set(schema["properties"]), schema["required"]) == ({"b", "text", "content_type"}, ["text", "b"])
    lines = document["paths"]["/lines"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert lines["properties"] == {"body": {"type": "array"}}


def test_a_stream_switch_has_two_response_media_types() -> None:
    document = build_document({"path": "/chat", "stream": "switch", "output_schema": {"type": "object"}})
    assert document["paths"]["/chat"]["post"]["responses"]["200"]["content"] == {
        "text/event-stream": {},
        "application/json": {"schema": {"type": "object"}},
    }


def test_equal_definitions_become_one_component() -> None:
    schemas = [
        {**TREE, "$defs": {"Tree": TREE}},
        {"type": "array", "items": {"$ref": "#/$defs/Tree"}, "$defs": {"Tree": TREE}},
        {"$ref": "#/$defs/Tree", "$defs": {"Tree": {"type": "string"}}},
    ]
    document = build_document(
        *({"path": f"/p{n}", "input_schema": schema} for n, schema in enumerate(schemas, start=1))
    )
    assert document["components"]["schemas"] == {
        "Tree": {"type": "object", "properties": {"child": {"$ref": "#/components/schemas/Tree"}}},
        "Tree_2": {"type": "string"},
    }


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "dog", "enum": "x", "allOf": [], "required": True}, {}),
        ({"pattern": "[", "minLength": -1, "minimum": "3", "multipleOf": 0}, {}),
        ({"pattern": "a[[]b"}, {"pattern": "a[[]b"}),
        ({"$ref": "#/definitions/Gone", "title": 5, "x-own": 1, "items": 3}, {}),
        ({"items": [{"type": "string"}]}, {"prefixItems": [{"type": "string"}]}),
        ({"type": "integer", "default": ""}, {"type": "integer"}),
        ({"type": "integer", "minimum": 1, "default": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "boolean", "default": False}, {"type": "boolean", "default": False}),
        ({"enum": [1], "default": True}, {"enum": [1]}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},) * 2,
        ({"type": "array", "items": {"type": "number"}, "default": [1.5]},) * 2,
        ({"type": "string", "format": "date", "default": "today"}, {"type": "string", "format": "date"}),
        ({"allOf": [{"type": "object"}], "required": ["a"]}, {"allOf": [{"type": "object"}, {"required": ["a"]}]}),
        ({"patternProperties": {"[": {}, "a": {}}}, {"patternProperties": {"a": {}}}),
        (
            {"not": {"type": ["null", "null"]}, "additionalProperties": False},
            {"not": {}, "additionalProperties": False},
        ),
    ],
)
def test_invalid_schema_keywords_are_omitted(schema: Any, expected: Any) -> None:
    document = build_document({"path": "/a", "input_schema": {"properties": {"a": schema}}})
    published_schema = document["paths"]["/a"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert published_schema == {"properties": {"a": expected}}


def test_the_order_of_the_routes_does_not_change_the_document() -> None:
    entries = [{"path": f"/p{n}", "input_schema": {**TREE, "$defs": {"Tree": TREE}}} for n in range(1, 5)]
    assert build_document(*entries) == build_document(*reversed(entries))
