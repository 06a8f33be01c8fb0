"""The example call of an operation: from wherever its document has one."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.document_client.operation_examples import build_example
from tests.host.document_client.documents import make_body, make_parameter, read_operation

NUMBER = {"type": "integer"}
BODY = {"type": "object", "properties": {"a": NUMBER, "b": {"type": "string"}}, "required": ["a"]}


def build(operation: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return build_example(read_operation(operation, **{"method": "post", **rest}))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"schema": NUMBER, "example": 5}, 5),
        ({"schema": NUMBER, "examples": {"x": {"value": 6}}}, 6),
        ({"schema": NUMBER, "examples": {"x": {"$ref": "#/components/examples/seven"}}}, 7),
        ({"schema": NUMBER, "examples": {"x": {"dataValue": 8}}}, 8),
        ({"schema": NUMBER, "examples": {"x": {"externalValue": "http://h"}}}, 1),
        ({"schema": {**NUMBER, "examples": [9]}}, 9),
        ({"schema": {**NUMBER, "default": 10}}, 10),
        ({"schema": {"enum": [11, 12]}}, 11),
        ({"schema": {"$ref": "#/components/schemas/n"}}, 13),
        ({"schema": {"type": "string", "pattern": "^x{3}$"}, "example": "no"}, "xxx"),
        ({"content": {"application/json": {"schema": BODY, "example": {"a": 14}}}}, {"a": 14}),
    ],
)
def test_a_parameter_has_the_example_of_its_document(keys: dict[str, Any], expected: Any) -> None:
    components = {"examples": {"seven": {"value": 7}}, "schemas": {"n": {**NUMBER, "example": 13}}}
    parameter = make_parameter("p", "query", required=True, **keys)
    assert build({"parameters": [parameter]}, components=components) == {"p": expected}


def test_an_optional_parameter_is_sent_only_with_an_example_and_a_credential_never() -> None:
    parameters = [make_parameter("a", "query", NUMBER), make_parameter("b", "query", NUMBER, example=2)]
    schemes = {"key": {"type": "apiKey", "in": "header", "name": "X-Key", "example": "made up"}}
    found = build({"parameters": parameters, "security": [{"key": []}]}, components={"securitySchemes": schemes})
    assert found == {"b": 2}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"application/json": {"schema": BODY}}, {"a": 1}),
        ({"application/json": {"schema": BODY, "examples": {"x": {"value": {"a": 3, "b": "c"}}}}}, {"a": 3, "b": "c"}),
        ({"application/json": {"schema": BODY, "example": "wrong"}}, {"a": 1}),
        ({"application/json": {"schema": BODY, "example": '{"a": 4}'}}, {"a": 4}),
        ({"application/json": {"schema": BODY, "examples": {"x": {"serializedValue": '{"a": 5}'}}}}, {"a": 5}),
        ({"application/json": {"schema": {"anyOf": [{"type": "string"}, BODY]}, "example": {"a": 6}}}, {"a": 6}),
        ({"application/json": {"schema": {"type": "array", "items": NUMBER}}}, {"body": [1]}),
        ({"application/json": {"example": {"body": 1}}}, {"body": {"body": 1}}),
        ({"application/jsonl": {"itemSchema": BODY}}, {"body": [{"a": 1}]}),
        ({"application/xml": {}}, {"text": "<a/>"}),
        ({"text/plain": {"example": "hi"}}, {"text": "hi"}),
        ({"application/pdf": {}}, {"data": True}),
        ({"image/*": {}}, {"data": True, "content_type": "image/png"}),
        ({"application/x-www-form-urlencoded": {"schema": BODY}}, {"a": 1}),
    ],
)
def test_a_body_has_the_example_of_its_document(content: dict[str, Any], expected: dict[str, Any]) -> None:
    found = build(make_body(content))
    assert {name: value if name != "data" else bool(value) for name, value in found.items()} == expected


ITEM = {
    "type": "object",
    "required": ["id", "day", "place"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "day": {"type": "string", "format": "date"},
        "time": {"type": "string"},
        "place": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
        "note": {"type": "string"},
        "kind": {"enum": ["a", "b"]},
    },
}


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        ({"day": "2026-02-03", "place": ["x", "y"], "kind": "b"}, None),
        ({"day": "2026-02-03T10:00:00Z", "place": [0, 0], "time": 76500},
            {"day": "2026-02-03", "place": ["0", "0"], "time": "76500"}),
        ({"day": "tomorrow", "place": ["x"], "kind": "c"}, {"day": "2026-01-01", "place": ["x", "hello"], "kind": "a"}),
        ({"day": "2026-02-03", "place": ["x", "y", "z"], "note": None, "other": 1}, {"day": "2026-02-03", "place": ["x", "y"]}),
        ({"note": ""}, {"day": "2026-01-01", "place": ["hello", "hello"], "note": ""}),
    ],
)  # fmt: skip
def test_an_example_that_contradicts_its_schema_is_changed_where_it_does(example: Any, expected: Any) -> None:
    content = {"application/json": {"schema": ITEM, "example": example}}
    assert build({"requestBody": {"content": content}}) == (expected or example)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [({"type": "string"}, "*/*"), ({"enum": ["text/plain", "text/csv"]}, "text/plain")],
)
def test_a_declared_accept_is_in_the_example_although_openapi_3_ignores_it(schema: Any, expected: str) -> None:
    assert build({"parameters": [make_parameter("Accept", "header", schema, required=True)]}) == {"Accept": expected}


def test_a_declared_content_type_is_in_the_example_of_an_operation_without_a_body() -> None:
    parameters = [make_parameter("Content-Type", "header", {"type": "string"}, required=True)]
    assert build({"parameters": parameters}) == {"Content-Type": "application/json"}
    body = {"content": {"application/json": {"schema": BODY}}}
    assert build({"parameters": parameters, "requestBody": body}) == {"a": 1}


def test_files_of_a_form_have_the_declared_media_type_and_number() -> None:
    properties = {
        "scan": {"type": "string", "contentMediaType": "application/pdf"},
        "pages": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "note": {"type": "string"},
    }
    encoding = {"pages": {"contentType": "image/png, image/jpeg"}}
    media = {"schema": {"type": "object", "properties": properties}, "encoding": encoding}
    found = build(make_body({"multipart/form-data": media}))
    assert found.keys() == {"scan", "pages"}
    assert found["scan"]["content_type"] == "application/pdf"
    assert [file["content_type"] for file in found["pages"]] == ["image/png"]


def test_a_field_and_a_parameter_of_one_name_are_one_key() -> None:
    parameter = make_parameter("a", "query", NUMBER, required=True, example=2)
    assert build(
        {"parameters": [parameter], **make_body({"application/json": {"schema": BODY, "example": {"a": 3}}})}
    ) == {"a": 3}


def test_swagger_2() -> None:
    parameters = [
        {"name": "id", "in": "path", "required": True, "type": "integer", "x-example": 4},
        {"name": "b", "in": "body", "schema": {**BODY, "example": {"a": 5}}},
    ]
    assert build({"parameters": parameters}, path="/x/{id}", version="2.0") == {"id": 4, "a": 5}
