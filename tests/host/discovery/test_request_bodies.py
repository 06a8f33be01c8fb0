from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import RequestFormat
from chutes_wrappers.host.discovery.operation_parameters import read_parameters
from chutes_wrappers.host.discovery.request_bodies import Body, build_public_schema, looks_like_file, read_body
from chutes_wrappers.host.discovery.shapes import Shapes

BINARY = {"type": "string", "format": "binary"}
OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}}
DOCUMENT = {"components": {"File": BINARY, "Free": {"type": "object"}, "List": {"type": "array", "items": OBJECT}}}


def read_content(content: Any) -> Body | None:
    return read_body(Shapes(DOCUMENT), DOCUMENT, {"requestBody": {"content": content}}, [])


def read_swagger(*nodes: dict[str, Any], consumes: Any = None) -> Body | None:
    return read_body(Shapes({}), {}, {} if consumes is None else {"consumes": consumes}, nodes)


def dump_request(body: Body | None) -> dict[str, Any]:
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
        (["application/json; charset=utf-8"], {"encoding": "json", "content_type": "application/json; charset=utf-8"}),
        (["application/json;v=2.0"], {"encoding": "json", "content_type": "application/json;v=2.0"}),
        (["application/json;v=1", "application/json"], {"encoding": "json"}),
        (['Application/JSON ; V="2" '], {"encoding": "json", "content_type": 'application/json ; V="2"'}),
        (["application/json; nonsense"], {"encoding": "json"}),
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
def test_the_encoding_follows_the_media_types_and_prefers_json(types: list[str], expected: dict[str, Any]) -> None:
    assert dump_request(read_content({name: {"schema": OBJECT} for name in types})) == expected


def test_a_body_without_a_media_type_is_not_declared() -> None:
    assert read_content({}) is None


@pytest.mark.parametrize("name", ["", "nonsense"])
def test_an_invalid_media_type_is_named(name: str) -> None:
    with pytest.raises(WrapperError, match=f"'{name}' is not a media type"):
        read_content({name: {}})
    body = read_content({name: {}, "text/csv": {}})
    assert body is not None
    assert body.notes == (f"body '{name}' left out: it is not a media type",)


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
def test_files_are_detected_in_every_dialect(schema: Any) -> None:
    body = read_content(
        {"multipart/form-data": {"schema": {"properties": {"image": schema, "lang": {"type": "string"}}}}}
    )
    assert dump_request(body) == {"encoding": "multipart", "files": ("image",)}
    assert body is not None
    assert body.schema["properties"]["image"]["anyOf"][0]["required"] == ["data"]
    assert body.schema["properties"]["lang"] == {"type": "string"}


@pytest.mark.parametrize(
    "schema", [None, {"type": "object"}, {"properties": {"a": {}}}, {**OBJECT, "additionalProperties": {}}]
)
def test_files_are_unknown_where_a_form_field_may_be_anything(schema: Any) -> None:
    assert dump_request(read_content({"multipart/form-data": {"schema": schema}})) == {"encoding": "multipart"}


def test_lists_of_files_and_files_by_encoding_are_detected() -> None:
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
    body = read_content({"multipart/form-data": {"schema": schema, "encoding": encoding}})
    assert dump_request(body)["files"] == ("images", "mask")
    assert body is not None
    assert body.schema["required"] == ["images"]
    assert body.schema["properties"]["images"]["type"] == "array"


def test_an_urlencoded_form_with_bytes_in_it_is_multipart() -> None:
    body = read_content({"application/x-www-form-urlencoded": {"schema": {"properties": {"image": BINARY}}}})
    assert dump_request(body) == {"encoding": "multipart", "files": ("image",)}
    assert body is not None
    assert body.notes == (
        "the body is sent as multipart/form-data, not application/x-www-form-urlencoded: `image` may be a file",
    )


def test_bytes_of_any_type_are_binary() -> None:
    assert dump_request(read_content({"*/*": {"schema": BINARY}})) == {"encoding": "binary"}


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
def test_non_object_json_is_wrapped_and_a_key_named_body_is_kept(schema: Any, wrapped: bool | None) -> None:
    body = read_content({"application/json": {"schema": schema}})
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
def test_a_swagger_2_body_uses_the_consumed_media_type(consumes: Any, expected: dict[str, Any]) -> None:
    assert dump_request(read_swagger({"in": "body", "name": "b", "schema": OBJECT}, consumes=consumes)) == expected


def test_fields_of_swagger_2_are_a_form() -> None:
    field = {"in": "formData", "name": "a", "type": "string", "required": True}
    file = {"in": "formData", "name": "f", "type": "file"}
    body = read_swagger(field)
    assert dump_request(body) == {"encoding": "form"}
    assert body is not None
    assert body.schema == {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert dump_request(read_swagger(field, consumes=["multipart/form-data"])) == {"encoding": "multipart", "files": ()}
    for consumes in (None, ["application/x-www-form-urlencoded"]):
        assert dump_request(read_swagger(field, file, consumes=consumes)) == {"encoding": "multipart", "files": ("f",)}


def test_an_operation_without_a_body_has_no_body() -> None:
    assert read_swagger({"in": "query", "name": "a"}) is None


def given(*names: str, required: bool = False) -> Any:
    nodes = [{"in": "query", "name": name, "required": required, "type": "string"} for name in names]
    return read_parameters({}, nodes, "/a/{id}")[0]


def test_parameters_are_added_to_the_properties_of_the_body() -> None:
    body = Body(request=RequestFormat(), schema={**OBJECT, "required": ["a"]})
    assert build_public_schema(Shapes({}), body, given("q", "a")) == {
        "type": "object",
        "properties": {"id": {"type": "string"}, "q": {"type": "string"}, "a": {"type": "string"}},
        "required": ["a", "id"],
    }
    combined = {"allOf": [OBJECT, OBJECT]}
    assert (
        build_public_schema(Shapes({}), Body(request=RequestFormat(), schema=combined), given("q"))["allOf"][0]
        == combined
    )
    assert build_public_schema(Shapes({}), None, given("q", required=True))["required"] == ["id", "q"]
    assert build_public_schema(Shapes({}), None, []) is None


@pytest.mark.parametrize(
    ("properties", "mistakable"),
    [
        ({"image": {"properties": {"data": {}, "filename": {}}}}, True),
        ({"images": {"items": {"properties": {"data": {}, "content_type": {}}}}}, True),
        ({"image": {"properties": {"data": {}, "size": {}}}}, False),
        ({"filename": {}, "data": {}}, False),
    ],
)
def test_json_that_looks_like_a_file_is_detected(properties: Any, mistakable: bool) -> None:
    assert looks_like_file(Shapes({}), {"properties": properties}) is mistakable
