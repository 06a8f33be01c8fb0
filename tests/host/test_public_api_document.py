from __future__ import annotations

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.public_api_document import describe_api

TREE = {"type": "object", "properties": {"child": {"$ref": "#/$defs/Tree"}}}


def described(*entries: dict[str, Any]) -> dict[str, Any]:
    routes = [Route.model_validate(entry) for entry in entries]
    document: dict[str, Any] = json.loads(describe_api(plan_cords(routes, 8020), name="My Voice/2", version="v1"))
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    return document


def test_an_empty_chute_has_a_description_too() -> None:
    document = described()
    assert document["info"] == {"title": "My Voice/2", "version": "v1"}
    assert document["servers"][0]["variables"]["host"]["default"] == "USERNAME-my-voice-2.chutes.ai"


def test_a_call_is_what_the_public_sends_and_gets() -> None:
    document = described(
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
    document = described(
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


def test_lists_and_objects_of_a_get_are_described_as_the_gateway_takes_them() -> None:
    schemas = {"tag": {"type": "array", "items": {"type": "string"}}, "f": {"type": "object"}}
    parameters = [{"name": "tag", "type": "array"}, {"name": "f", "type": "object", "style": "deepObject"}]
    document = described(
        {"path": "/a", "method": "GET", "parameters": parameters, "input_schema": {"properties": schemas}}
    )
    tag, f = document["paths"]["/a"]["get"]["parameters"]
    assert (tag["explode"], tag["schema"]) == (False, schemas["tag"])
    assert "JSON" in tag["description"]
    assert f == {
        "name": "f", "in": "query", "required": False, "content": {"application/json": {"schema": schemas["f"]}},
    }  # fmt: skip


def test_a_switch_answers_in_two_media_types() -> None:
    document = described({"path": "/chat", "stream": "switch", "output_schema": {"type": "object"}})
    assert document["paths"]["/chat"]["post"]["responses"]["200"]["content"] == {
        "text/event-stream": {},
        "application/json": {"schema": {"type": "object"}},
    }


def test_definitions_become_components_equal_ones_once() -> None:
    schemas = [
        {**TREE, "$defs": {"Tree": TREE}},
        {"type": "array", "items": {"$ref": "#/$defs/Tree"}, "$defs": {"Tree": TREE}},
        {"$ref": "#/$defs/Tree", "$defs": {"Tree": {"type": "string"}}},
    ]
    document = described(*({"path": f"/p{n}", "input_schema": schema} for n, schema in enumerate(schemas, start=1)))
    assert document["components"]["schemas"] == {
        "Tree": {"type": "object", "properties": {"child": {"$ref": "#/components/schemas/Tree"}}},
        "Tree_2": {"type": "string"},
    }


@pytest.mark.parametrize(
    ("schema", "kept"),
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
def test_what_json_schema_does_not_allow_is_left_out(schema: Any, kept: Any) -> None:
    document = described({"path": "/a", "input_schema": {"properties": {"a": schema}}})
    shown = document["paths"]["/a"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert shown == {"properties": {"a": kept}}


def test_the_order_of_the_routes_changes_nothing() -> None:
    entries = [{"path": f"/p{n}", "input_schema": {**TREE, "$defs": {"Tree": TREE}}} for n in range(1, 5)]
    assert described(*entries) == described(*reversed(entries))
