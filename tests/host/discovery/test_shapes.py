from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.discovery.shapes import ANYTHING, Shapes

DOCUMENT: dict[str, Any] = {
    "components": {
        "Pet": {"allOf": [{"$ref": "#/components/Base"}, {"properties": {"bark": {"type": "boolean"}}}]},
        "Base": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        "List": {"type": "array", "items": {"$ref": "#/components/Pet"}},
        "Loop": {"anyOf": [{"$ref": "#/components/Loop"}, {"type": "string"}]},
        "Circle": {"$ref": "#/components/Circle"},
    }
}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{name}"}


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({"type": "integer"}, {"number"}),
        ({"type": ["object", "null"]}, {"object", "null"}),
        ({"type": "string", "nullable": True}, {"string", "null"}),
        (ref("Pet"), {"object"}),
        (ref("List"), {"array"}),
        ({"anyOf": [ref("List"), {"type": "null"}]}, {"array", "null"}),
        ({"oneOf": [ref("List"), ref("Base")]}, {"array", "object"}),
        ({"allOf": [{}, {"type": "string"}]}, {"string"}),
        ({"items": {}}, {"array"}),
        (ref("Loop"), ANYTHING),
        (ref("Circle"), ANYTHING),
        (ref("Nowhere"), ANYTHING),
        ({"$ref": 5, "type": "dog", "anyOf": 3, "allOf": [7]}, ANYTHING),
        (None, ANYTHING),
        (True, ANYTHING),
    ],
)
def test_the_types_that_a_schema_lets_through(schema: Any, types: set[str]) -> None:
    assert Shapes(DOCUMENT).types(schema) == types


def test_properties_and_required_names_come_through_references_and_combinations() -> None:
    shapes = Shapes(DOCUMENT)
    assert set(shapes.properties(ref("Pet"))) == {"name", "bark"}
    assert set(shapes.properties({"anyOf": [ref("Pet"), {"properties": {"age": {}}}]})) == {"name", "bark", "age"}
    assert shapes.required(ref("Pet")) == ["name"]
    assert shapes.required({"anyOf": [ref("Pet")]}) == []
    assert shapes.properties(ref("Circle")) == shapes.properties(5) == {}


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
def test_what_is_true_or_false_is_a_switch(schema: Any, is_switch: bool) -> None:
    assert Shapes({}).is_switch(schema) is is_switch


def test_a_wide_graph_of_schemas_is_looked_at_in_time() -> None:
    names = [f"S{number}" for number in range(300)]
    every = {"anyOf": [ref(name) for name in names]}
    shapes = Shapes({"components": dict.fromkeys(names, every)})
    assert shapes.types(every) == ANYTHING
    assert shapes.properties(every) == {}


def test_a_schema_nested_deeply_is_given_up() -> None:
    schema: Any = {"type": "string"}
    for _ in range(2000):
        schema = {"allOf": [schema]}
    assert Shapes({}).types(schema) == ANYTHING
