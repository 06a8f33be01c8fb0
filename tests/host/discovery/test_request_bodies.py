from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.routes import RequestFormat
from chutes_wrappers.host.discovery.operation_parameters import declared
from chutes_wrappers.host.discovery.request_bodies import Body, body_of, is_mistakable, public_schema
from chutes_wrappers.host.discovery.shapes import Shapes

BINARY = {"type": "string", "format": "binary"}
OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}}
DOCUMENT = {"components": {"File": BINARY, "Free": {"type": "object"}, "List": {"type": "array", "items": OBJECT}}}


def read(content: Any) -> Body | None:
    return body_of(Shapes(DOCUMENT), DOCUMENT, {"requestBody": {"content": content}}, [])


def swagger(*nodes: dict[str, Any], consumes: Any = None) -> Body | None:
    return body_of(Shapes({}), {}, {} if consumes is None else {"consumes": consumes}, nodes)


def request(body: Body | None) -> dict[str, Any]:
    assert body is not None
    return body.request.model_dump(exclude_defaults=True)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["application/json"], {"encoding": "json"}),
        (["application/xml", "application/json"], {"encoding": "json"}),
        (
            ["multipart/form-data", "application/vnd.api+json"],
            {"encoding": "json", "content_type": "application/vnd.api+json"},
        ),
        (["text/json", "application/json; charset=utf-8"], {"encoding": "json"}),
        (["*/*"], {"encoding": "json"}),
        (["application/x-www-form-urlencoded", "multipart/form-data"], {"encoding": "multipart", "files": ()}),
        (["text/plain", "application/x-www-form-urlencoded"], {"encoding": "form"}),
        (["text/plain"], {"encoding": "text", "content_type": "text/plain"}),
        (["application/xml"], {"encoding": "text", "content_type": "application/xml"}),
        (["image/svg+xml", "image/png"], {"encoding": "text", "content_type": "image/svg+xml"}),
        (["application/octet-stream"], {"encoding": "binary", "content_type": "application/octet-stream"}),
        (["image/*"], {"encoding": "binary"}),
        (["application/form-data"], {"encoding": "multipart", "files": ()}),
    ],
)
def test_the_body_travels_as_its_media_types_say_json_preferred(types: list[str], expected: dict[str, Any]) -> None:
    assert request(read({name: {"schema": OBJECT} for name in types})) == expected


@pytest.mark.parametrize("content", [{}, {"": {}}, {"nonsense": {}}])
def test_a_body_without_a_media_type_is_not_declared(content: Any) -> None:
    assert read(content) is None


@pytest.mark.parametrize(
    "schema",
    [
        BINARY,
        {"$ref": "#/components/File"},
        {"anyOf": [BINARY, {"type": "null"}]},
        {"type": "string", "contentMediaType": "application/octet-stream"},
        {"type": "file"},
    ],
)
def test_files_are_recognised_in_every_dialect(schema: Any) -> None:
    body = read({"multipart/form-data": {"schema": {"properties": {"image": schema, "lang": {"type": "string"}}}}})
    assert request(body) == {"encoding": "multipart", "files": ("image",)}
    assert body is not None
    assert body.schema["properties"]["image"]["anyOf"][0]["required"] == ["data"]
    assert body.schema["properties"]["lang"] == {"type": "string"}


@pytest.mark.parametrize(
    "schema", [None, {"type": "object"}, {"properties": {"a": {}}}, {**OBJECT, "additionalProperties": {}}]
)
def test_files_are_not_known_where_a_form_may_hold_anything(schema: Any) -> None:
    assert request(read({"multipart/form-data": {"schema": schema}})) == {"encoding": "multipart"}


def test_lists_of_files_and_those_that_only_their_encoding_tells() -> None:
    schema = {
        "properties": {
            "images": {"type": "array", "items": BINARY},
            "mask": {"type": "string"},
            "note": {"type": "string"},
            "meta": {"type": "object"},
        },
        "required": ["images"],
    }
    encoding = {
        "mask": {"contentType": "image/png, image/jpeg"},
        "note": {"contentType": "text/plain"},
        "meta": {"contentType": "application/x-thing"},
    }
    body = read({"multipart/form-data": {"schema": schema, "encoding": encoding}})
    assert request(body)["files"] == ("images", "mask")
    assert body is not None
    assert body.schema["required"] == ["images"]
    assert body.schema["properties"]["images"]["type"] == "array"


def test_an_urlencoded_form_with_bytes_in_it_is_multipart() -> None:
    body = read({"application/x-www-form-urlencoded": {"schema": {"properties": {"image": BINARY}}}})
    assert request(body) == {"encoding": "multipart", "files": ("image",)}


def test_bytes_of_any_type_are_binary() -> None:
    assert request(read({"*/*": {"schema": BINARY}})) == {"encoding": "binary"}


@pytest.mark.parametrize(
    ("schema", "wrapped"),
    [
        ({"type": "array", "items": {}}, True),
        ({"$ref": "#/components/List"}, True),
        ({"oneOf": [{"type": "string"}, {"$ref": "#/components/List"}]}, True),
        ({"type": ["integer", "null"]}, True),
        (OBJECT, None),
        ({}, None),
        (None, None),
        ({"$ref": "#/nowhere"}, None),
        ({"anyOf": [OBJECT, {"type": "array"}]}, None),
        ({"type": "object", "properties": {"body": {}}}, False),
        ({"allOf": [OBJECT, {"properties": {"body": {}}}]}, False),
        ({"$ref": "#/components/Free"}, False),
        ({**OBJECT, "additionalProperties": True}, False),
    ],
)
def test_json_that_is_no_object_is_wrapped_and_a_key_body_is_kept(schema: Any, wrapped: bool | None) -> None:
    body = read({"application/json": {"schema": schema}})
    assert body is not None
    assert body.request.wrapped is wrapped
    if wrapped:
        assert body.schema == {"type": "object", "properties": {"body": schema}, "required": ["body"]}


@pytest.mark.parametrize(
    ("consumes", "expected"),
    [
        (None, {"encoding": "json"}),
        (["application/xml", "application/json"], {"encoding": "json"}),
        (["application/xml"], {"encoding": "text", "content_type": "application/xml"}),
        (["application/octet-stream"], {"encoding": "binary", "content_type": "application/octet-stream"}),
        ("application/json", {"encoding": "json"}),
        ([5, "nonsense"], {"encoding": "json"}),
    ],
)
def test_a_body_of_swagger_2_travels_as_the_service_consumes_it(consumes: Any, expected: dict[str, Any]) -> None:
    assert request(swagger({"in": "body", "name": "b", "schema": OBJECT}, consumes=consumes)) == expected


def test_fields_of_swagger_2_are_a_form() -> None:
    field = {"in": "formData", "name": "a", "type": "string", "required": True}
    file = {"in": "formData", "name": "f", "type": "file"}
    body = swagger(field)
    assert request(body) == {"encoding": "form"}
    assert body is not None
    assert body.schema == {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert request(swagger(field, consumes=["multipart/form-data"])) == {"encoding": "multipart", "files": ()}
    for consumes in (None, ["application/x-www-form-urlencoded"]):
        assert request(swagger(field, file, consumes=consumes)) == {"encoding": "multipart", "files": ("f",)}


def test_no_body_is_no_body() -> None:
    assert swagger({"in": "query", "name": "a"}) is None


def given(*names: str, required: bool = False) -> Any:
    nodes = [{"in": "query", "name": name, "required": required, "type": "string"} for name in names]
    return declared(nodes, "/a/{id}")


def test_parameters_stand_beside_the_properties_of_the_body() -> None:
    body = Body(request=RequestFormat(), schema={**OBJECT, "required": ["a"]})
    assert public_schema(Shapes({}), body, given("q", "a")) == {
        "type": "object",
        "properties": {"id": {"type": "string"}, "q": {"type": "string"}, "a": {"type": "string"}},
        "required": ["a", "id"],
    }
    combined = {"allOf": [OBJECT, OBJECT]}
    assert public_schema(Shapes({}), Body(request=RequestFormat(), schema=combined), given("q"))["allOf"][0] == combined
    assert public_schema(Shapes({}), None, given("q", required=True))["required"] == ["id", "q"]
    assert public_schema(Shapes({}), None, []) is None


@pytest.mark.parametrize(
    ("properties", "mistakable"),
    [
        ({"image": {"properties": {"data": {}, "filename": {}}}}, True),
        ({"images": {"items": {"properties": {"data": {}, "content_type": {}}}}}, True),
        ({"image": {"properties": {"data": {}, "size": {}}}}, False),
        ({"filename": {}, "data": {}}, False),
    ],
)
def test_json_that_looks_like_a_file_is_mistakable(properties: Any, mistakable: bool) -> None:
    assert is_mistakable(Shapes({}), {"properties": properties}) is mistakable
