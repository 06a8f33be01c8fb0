from __future__ import annotations

import base64
import io
import json
import wave
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity.schema_examples import build_example_body

Schema = dict[str, Any]


def build_example(schema: Schema, **route: Any) -> dict[str, Any]:
    return build_example_body(Route(path="/a", input_schema=schema, **route))


def build_field(schema: Schema, **definitions: Schema) -> Any:
    schema_of_object = {"type": "object", "properties": {"x": schema}, "required": ["x"], "$defs": definitions}
    value = build_example(schema_of_object)
    jsonschema.validate(value, schema_of_object)
    return value["x"]


SCALARS: st.SearchStrategy[Schema] = st.one_of(
    st.just({"type": "boolean"}),
    st.builds(lambda low, span: {"type": "integer", "minimum": low, "maximum": low + span}, st.integers(-99, 99), st.integers(0, 9)),
    st.builds(lambda low: {"type": "integer", "exclusiveMinimum": low}, st.integers(-99, 99)),
    st.builds(lambda high: {"type": "number", "maximum": high}, st.floats(-1e6, 1e6)),
    st.builds(lambda step: {"type": "integer", "multipleOf": step, "minimum": 1}, st.integers(1, 9)),
    st.builds(lambda low, span: {"type": "string", "minLength": low, "maxLength": low + span}, st.integers(0, 40), st.integers(0, 9)),
    st.builds(lambda values: {"enum": values}, st.lists(st.integers() | st.text(), min_size=1)),
    st.builds(lambda value: {"const": value}, st.integers() | st.text()),
    st.builds(lambda kind: {"type": [kind, "null"]}, st.sampled_from(["string", "integer"])),
)  # fmt: skip


def object_schemas(children: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    fields = st.dictionaries(st.text(min_size=1, max_size=5), children, max_size=4)
    return fields.flatmap(
        lambda properties: st.builds(
            lambda required: {"type": "object", "properties": properties, "required": required},
            st.lists(st.sampled_from(sorted(properties)), unique=True) if properties else st.just([]),
        )
    )


SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(
            lambda item, minimum: {"type": "array", "items": item, "minItems": minimum}, inner, st.integers(0, 3)
        ),
        st.builds(lambda items: {"type": "array", "prefixItems": items}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda first, rest: {"anyOf": [first, *rest]}, inner, st.lists(inner, max_size=2)),
        st.builds(lambda first: {"oneOf": [{"type": "null"}, first]}, inner),
        object_schemas(inner),
    ),
    max_leaves=8,
)


@given(SCHEMAS)
def test_an_example_fits_its_schema(schema: Schema) -> None:
    build_field(schema)


@given(SCHEMAS)
def test_one_schema_has_one_example(schema: Schema) -> None:
    assert build_field(schema) == build_field(schema)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "example": "one", "default": "two"}, "one"),
        ({"type": "string", "examples": ["first", "second"]}, "first"),
        ({"type": "integer", "default": 7}, 7),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"allOf": [{"$ref": "#/$defs/named"}, {"required": ["age"]}]}, {"name": "hello", "age": 1}),
    ],
)
def test_values_from_the_specification_have_priority(schema: Schema, value: Any) -> None:
    named = {"properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name"]}
    assert build_field(schema, named=named) == value


def test_a_recursive_schema_terminates() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}, "required": ["left"]}
    assert "left" in build_example({"$ref": "#/$defs/tree", "$defs": {"tree": tree}})
    again = {"allOf": [{"$ref": "#/$defs/again"}]}
    assert build_example({"$ref": "#/$defs/again", "$defs": {"again": again}}) == {}


def test_optional_fields_are_omitted_unless_the_specification_has_an_example() -> None:
    properties = {"a": {"type": "string"}, "b": {"type": "string", "example": "shown"}, "c": {"type": "string"}}
    assert build_example({"type": "object", "properties": properties, "required": ["c"]}) == {
        "b": "shown",
        "c": "hello",
    }


def test_a_route_without_a_schema_has_an_empty_example() -> None:
    assert build_example_body(Route(path="/a")) == {}


def test_files_are_real_and_of_the_kind_that_the_field_name_implies() -> None:
    fields = ("image_file", "voice", "document")
    schema = {"type": "object", "properties": {name: {"type": "object"} for name in fields}, "required": [*fields]}
    body = build_example(schema, request={"encoding": "multipart", "files": fields})
    picture, sound, text = (base64.b64decode(body[name]["data"]) for name in fields)
    assert Image.open(io.BytesIO(picture)).size == (96, 64)
    with wave.open(io.BytesIO(sound)) as file:
        assert file.getnframes() == file.getframerate()
    assert text == b"hello\n"
    assert [body[name]["content_type"] for name in fields] == ["image/png", "audio/wav", "text/plain"]


def test_an_example_of_the_body_is_completed_with_the_parameters_beside_it() -> None:
    body = {"type": "object", "properties": {"text": {"type": "string"}}, "examples": [{"text": "sos"}]}
    beside = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    assert build_example({"allOf": [body, beside]}) == {"id": "hello", "text": "sos"}


WIDE = {f"p{number}": {"$ref": "#/$defs/again"} for number in range(30)}
LONG_LISTS = {"x": {"type": "array", "minItems": 50, "items": {"$ref": "#/$defs/again"}}}


@pytest.mark.parametrize(
    "again",
    [
        {"properties": WIDE, "required": [*WIDE]},
        {"properties": LONG_LISTS, "required": ["x"]},
        {"properties": {"x" * 50_000: {"type": "array", "minItems": 10**12, "items": {"minLength": 10**12}}}},
        {"properties": {"x": {"minItems": 10**12, "items": {"example": "x" * 60_000}}}, "required": ["x"]},
    ],
)
def test_a_schema_that_multiplies_gives_a_value_of_bounded_size(again: Schema) -> None:
    assert len(json.dumps(build_example({"$ref": "#/$defs/again", "$defs": {"again": again}}))) < 10_000_000


HOSTILE_VALUES = st.recursive(
    st.none() | st.booleans() | st.sampled_from([-1, 0, 10**12, 10**400, -1e308, 1e308, 1e-320]) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "items", "$ref"]), inner),
)
KEYWORDS = st.sampled_from((
    "type", "items", "prefixItems", "minItems", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "enum", "examples", "allOf", "anyOf", "oneOf", "properties", "required", "format",
))  # fmt: skip


@given(st.dictionaries(KEYWORDS, HOSTILE_VALUES), st.sampled_from(["object", "array", "string", "number", "integer"]))
def test_an_invalid_schema_gives_a_value_and_no_error(schema: Schema, kind: str) -> None:
    hostile = {"type": kind, **schema}
    example = build_example({"properties": {"x": hostile}, "required": ["x"], "$defs": {"a": hostile}})
    assert len(json.dumps(example, allow_nan=False)) < 10_000_000


def test_a_text_is_as_long_as_its_schema_requires() -> None:
    assert len(build_field({"type": "string", "minLength": 40})) == 40


ALTERNATIVES = {
    "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
    "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}},
}
CAT = {
    "type": "object",
    "properties": {"kind": {"type": "string"}, "n": {"type": "integer"}},
    "required": ["kind", "n"],
}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "default": None, "enum": ["a"]}, "a"),
        ({"type": "string", "enum": ["a", "b"], "example": "c"}, "a"),
        ({"type": "integer", "example": "five", "minimum": 3}, 3),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}], "example": 5}, 5),
        ({"type": "string", "pattern": "^[0-9]{4}$"}, "0000"),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "uniqueItems": True}, ["a", "b"]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3, "uniqueItems": True}, [1, 2, 3]),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True}, ["hello", "hell1"]),
        ({"type": "array", "contains": {"const": 5}, "items": {"type": "integer"}, "minItems": 1}, [5]),
        ({"type": "object", "minProperties": 2, "properties": {"a": {"const": 1}}}, {"a": 1, "key1": "hello"}),
        ({"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "dependentRequired": {"a": ["b"]}},
         {"a": 1, "b": "hello"}),
        ({"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"],
          "if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"], "properties": {"b": {"const": 2}}},
          "else": {"required": ["c"]}}, {"a": 1, "b": 2}),
        (ALTERNATIVES, {"kind": "cat", "n": 1}),
    ],
)  # fmt: skip
def test_a_value_for_each_keyword(schema: Schema, expected: Any) -> None:
    assert build_field(schema, Cat=CAT, Dog={"type": "object", "required": ["bark"]}) == expected


def test_what_a_service_sets_itself_and_credentials_are_left_out() -> None:
    schema = {
        "type": "object",
        "properties": {"id": {"readOnly": True}, "name": {"const": "n"}, "X-Key": {"type": "string"}},
        "required": ["id", "name", "X-Key"],
    }
    parameters = [{"name": "X-Key", "in": "header", "credential": True}]
    assert build_example(schema, parameters=parameters) == {"name": "n"}


def test_a_file_has_the_media_type_that_is_declared_for_its_part() -> None:
    request = {"encoding": "multipart", "files": ["f"], "parts": {"f": {"content_type": "image/webp, application/pdf"}}}
    route = Route.model_validate({"path": "/a", "request": request})
    assert build_example_body(route)["f"]["content_type"] == "image/webp"


def test_a_variable_of_the_path_has_a_value() -> None:
    assert build_example_body(Route(path="/a", target_path="/a/{id}/{rest:path}{/more}")) == {"id": "1", "rest": "1"}


def test_a_required_parameter_has_a_value_without_a_schema() -> None:
    declared = [
        {"name": "run_id", "in": "query", "required": True},
        {"name": "tags", "in": "query", "type": "array", "required": True},
        {"name": "page", "in": "query"},
    ]
    route = Route.model_validate({"path": "/runs", "method": "GET", "parameters": declared})
    assert build_example_body(route) == {"run_id": "hello", "tags": ["hello"]}
