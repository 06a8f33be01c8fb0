from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.discovery.shapes import ALL_TYPES, Shapes

DOCUMENT: dict[str, Any] = {
    "components": {
        "Pet": {"allOf": [{"$ref": "#/components/Base"}, {"properties": {"bark": {"type": "boolean"}}}]},
        "Base": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        "List": {"type": "array", "items": {"$ref": "#/components/Pet"}},
        "Loop": {"anyOf": [{"$ref": "#/components/Loop"}, {"type": "string"}]},
        "Circle": {"$ref": "#/components/Circle"},
    }
}


def build_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{name}"}


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({"type": "integer"}, {"number"}),
        ({"type": ["object", "null"]}, {"object", "null"}),
        ({"type": "string", "nullable": True}, {"string", "null"}),
        (build_ref("Pet"), {"object"}),
        (build_ref("List"), {"array"}),
        ({"anyOf": [build_ref("List"), {"type": "null"}]}, {"array", "null"}),
        ({"oneOf": [build_ref("List"), build_ref("Base")]}, {"array", "object"}),
        ({"allOf": [{}, {"type": "string"}]}, {"string"}),
        ({"items": {}}, {"array"}),
        (build_ref("Loop"), ALL_TYPES),
        (build_ref("Circle"), ALL_TYPES),
        (build_ref("Nowhere"), ALL_TYPES),
        ({"$ref": 5, "type": "dog", "anyOf": 3, "allOf": [7]}, ALL_TYPES),
        (None, ALL_TYPES),
        (True, ALL_TYPES),
    ],
)
def test_the_types_that_a_schema_allows(schema: Any, types: set[str]) -> None:
    assert Shapes(DOCUMENT).find_types(schema) == types


def test_properties_and_required_names_follow_references_and_combinators() -> None:
    shapes = Shapes(DOCUMENT)
    assert set(shapes.find_properties(build_ref("Pet"))) == {"name", "bark"}
    assert set(shapes.find_properties({"anyOf": [build_ref("Pet"), {"properties": {"age": {}}}]})) == {
        "name",
        "bark",
        "age",
    }
    assert shapes.find_required(build_ref("Pet")) == ["name"]
    assert shapes.find_required({"anyOf": [build_ref("Pet")]}) == []
    assert shapes.find_properties(build_ref("Circle")) == shapes.find_properties(5) == {}


@pytest.mark.parametrize(
    ("schema", "is_switch"),
    [
        ({"type": "boolean"}, True),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({"default": False}, True),
        ({}, False),
        ({"type": "string"}, False),
        ({"type": "object", "default": True}, False),
    ],
)
def test_boolean_schemas_are_detected(schema: Any, is_switch: bool) -> None:
    assert Shapes({}).is_boolean(schema) is is_switch


def test_a_wide_graph_of_schemas_is_bounded() -> None:
    names = [f"S{number}" for number in range(300)]
    every = {"anyOf": [build_ref(name) for name in names]}
    shapes = Shapes({"components": dict.fromkeys(names, every)})
    assert shapes.find_types(every) == ALL_TYPES
    assert shapes.find_properties(every) == {}


def test_a_deeply_nested_schema_allows_all_types() -> None:
    schema: Any = {"type": "string"}
    for _ in range(2000):
        schema = {"allOf": [schema]}
    assert Shapes({}).find_types(schema) == ALL_TYPES
