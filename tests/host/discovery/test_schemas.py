from __future__ import annotations

import json
from typing import Any

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.discovery.schemas import MAX_SCHEMA_BYTES, make_self_contained


def copy_schema(schema: Any, components: dict[str, Any] | None = None, *, dialect_30: bool = False) -> dict[str, Any]:
    return make_self_contained({"components": {"schemas": components or {}}}, schema, dialect_30=dialect_30)


def build_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def test_only_reachable_definitions_are_copied() -> None:
    components = {
        "Order": {"type": "object", "properties": {"items": {"type": "array", "items": build_ref("Item")}}},
        "Item": {"type": "string"},
        "Other": {"type": "integer"},
    }
    assert copy_schema(build_ref("Order"), components) == {
        "type": "object",
        "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/Item"}}},
        "$defs": {"Item": {"type": "string"}},
    }


def test_a_cyclic_schema_refers_to_its_own_definition() -> None:
    node = {"type": "object", "properties": {"next": build_ref("Node")}}
    copy = copy_schema(build_ref("Node"), {"Node": node})
    assert copy["properties"]["next"] == {"$ref": "#/$defs/Node"}
    assert copy["$defs"]["Node"]["properties"]["next"] == {"$ref": "#/$defs/Node"}


def test_two_schemas_of_one_name_get_two_definitions() -> None:
    document = {"a": {"X": {"type": "string"}}, "b": {"X": {"type": "integer"}}}
    copy = make_self_contained(document, {"anyOf": [{"$ref": "#/a/X"}, {"$ref": "#/b/X"}]}, dialect_30=False)
    kinds = [copy["$defs"][entry["$ref"].rsplit("/", 1)[-1]]["type"] for entry in copy["anyOf"]]
    assert kinds == ["string", "integer"]


def test_data_is_not_mistaken_for_schemas() -> None:
    schema = {
        "default": {"$ref": "#/nowhere"},
        "properties": {"$ref": {"type": "string"}, "definitions": {"enum": [1]}},
    }
    assert copy_schema(schema) == schema


def test_openapi_3_0_is_translated() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "nullable": True, "enum": ["x"]},
            "b": {"allOf": [{"type": "string"}], "nullable": True},
            "c": {"type": "integer", "minimum": 1, "exclusiveMinimum": True, "maximum": 5, "exclusiveMaximum": False},
        },
        "discriminator": {"mapping": {"x": "#/components/schemas/X"}},
    }
    assert copy_schema(schema, dialect_30=True) == {
        "type": "object",
        "properties": {
            "a": {"type": ["string", "null"], "enum": ["x", None]},
            "b": {"anyOf": [{"allOf": [{"type": "string"}]}, {"type": "null"}]},
            "c": {"type": "integer", "exclusiveMinimum": 1, "maximum": 5},
        },
    }


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        (True, "allows or forbids everything"),
        (7, "a schema is not an object"),
        ({"properties": []}, "`properties` of a schema is not an object"),
        ({"allOf": {}}, "`allOf` of a schema is not a list"),
        (build_ref("Nowhere"), "does not exist"),
        ({"items": build_ref("Nowhere")}, "does not exist"),
        ({"$ref": "#/components"}, None),
        ({"$dynamicRef": "#x"}, "dynamic references"),
        ({"enum": ["x" * MAX_SCHEMA_BYTES]}, "larger than 64 KiB"),
        ({"properties": {str(n): {"type": "string"} for n in range(5000)}}, "larger than 64 KiB"),
    ],
)
def test_a_schema_that_cannot_be_self_contained_is_rejected_with_the_reason(schema: Any, what: str | None) -> None:
    if what is None:
        assert copy_schema(schema) == {"schemas": {}}
        return
    with pytest.raises(WrapperError, match=what):
        copy_schema(schema)


def test_a_deeply_nested_schema_is_rejected() -> None:
    schema: dict[str, Any] = {}
    for _ in range(2000):
        schema = {"items": schema}
    with pytest.raises(WrapperError, match="nested too deeply"):
        copy_schema(schema)


def test_a_loop_of_bare_references_is_rejected() -> None:
    with pytest.raises(WrapperError, match="is a circular"):
        copy_schema(build_ref("A"), {"A": build_ref("B"), "B": build_ref("A")})


def test_many_references_of_one_name_are_cheap() -> None:
    document = {f"k{n}": {"X": {"type": "string"}} for n in range(1000)}
    schema = {"anyOf": [{"$ref": f"#/k{n}/X"} for n in range(1000)]}
    assert len(make_self_contained(document, schema, dialect_30=False)["$defs"]) == 1000


def test_the_copy_shares_no_data_with_the_original() -> None:
    components = {"A": {"enum": [{"x": [1]}]}}
    copy = copy_schema({"items": build_ref("A")}, components)
    before = json.dumps(components)
    copy["$defs"]["A"]["enum"][0]["x"].append(2)
    assert json.dumps(components) == before
