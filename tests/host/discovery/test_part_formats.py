"""How the fields of forms are sent: the Encoding Object, its defaults, and ``collectionFormat`` of Swagger 2.0."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.discovery.request_bodies import Body, read_body
from chutes_wrappers.host.discovery.shapes import Shapes

MULTIPART = "multipart/form-data"
FORM = "application/x-www-form-urlencoded"
OBJECT = {"type": "object"}
LIST = {"type": "array", "items": {"type": "string"}}
FILE = {"type": "string", "format": "binary"}


def read_form(media_type: str, properties: Any, encoding: Any = None, version: str = "3.1.0", **media: Any) -> Body:
    document = {"openapi": version}
    node = {"schema": {"type": "object", "properties": properties}, **media}
    if encoding is not None:
        node["encoding"] = encoding
    body = read_body(Shapes(document), document, {"requestBody": {"content": {media_type: node}}}, [])
    assert body is not None
    return body


def read_parts(media_type: str, properties: Any, encoding: Any = None, version: str = "3.1.0") -> dict[str, Any]:
    request = read_form(media_type, properties, encoding, version).request
    return {name: part.model_dump(exclude_defaults=True) for name, part in request.parts.items()}


def read_notes(media_type: str, encoding: Any, **media: Any) -> tuple[str, ...]:
    return read_form(media_type, {"a": OBJECT}, encoding, **media).notes


@pytest.mark.parametrize(
    ("schema", "content_type"),
    [
        (OBJECT, "application/json"),
        ({"type": ["object", "null"]}, "application/json"),
        ({"type": "array", "items": OBJECT}, "application/json"),
        ({"type": "string", "contentEncoding": "base64"}, "application/octet-stream"),
        ({"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}, "application/octet-stream"),
        ({"type": "string", "contentMediaType": "application/json"}, None),
        ({"type": "string"}, None),
        ({"type": "string", "contentMediaType": "text/plain"}, None),
        (LIST, None),
        ({"type": "integer"}, None),
        ({}, None),
        (FILE, None),
        ({"anyOf": [OBJECT, {"type": "string"}]}, None),
    ],
)
def test_parts_have_the_media_type_of_their_schema(schema: Any, content_type: str | None) -> None:
    expected = {} if content_type is None else {"a": {"content_type": content_type}}
    assert read_parts(MULTIPART, {"a": schema}) == expected
    assert read_parts(FORM, {"a": schema, "b": {}}).get("a") is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"style": "deepObject", "explode": True}, {"style": "deepObject", "explode": True}),
        ({"style": "form", "explode": False}, {"style": "form", "explode": False}),
        ({"style": "form", "explode": True}, {"style": "form"}),
        ({"style": "pipeDelimited"}, {"style": "pipeDelimited"}),
        ({"explode": False}, {"style": "form", "explode": False}),
        ({"allowReserved": True}, {"style": "form", "allow_reserved": True}),
        ({"contentType": "application/json"}, {"content_type": "application/json"}),
        ({"contentType": "text/xml; charset=utf-8, application/json"}, {"content_type": "text/xml; charset=utf-8"}),
        ({"contentType": "*/*"}, None),
        ({"contentType": "text/plain"}, None),
        ({"style": "form", "contentType": "application/json"}, {"style": "form"}),
        ({}, None),
    ],
)
def test_an_urlencoded_field_has_its_declared_format(entry: Any, expected: Any) -> None:
    assert read_parts(FORM, {"a": LIST}, {"a": entry}) == ({} if expected is None else {"a": expected})


def test_styles_of_multipart_count_from_openapi_3_1_on() -> None:
    encoding = {"a": {"style": "deepObject"}}
    assert read_parts(MULTIPART, {"a": OBJECT}, encoding) == {"a": {"style": "deepObject"}}
    assert read_parts(MULTIPART, {"a": OBJECT}, encoding, "3.0.3") == {"a": {"content_type": "application/json"}}


@pytest.mark.parametrize(
    ("content_type", "expected"), [("image/png", "image/png"), ("image/png, image/jpeg", None), ("image/*", None)]
)
def test_a_file_has_the_only_media_type_that_it_may_have(content_type: str, expected: str | None) -> None:
    parts = read_parts(MULTIPART, {"a": FILE}, {"a": {"contentType": content_type}})
    assert parts == ({} if expected is None else {"a": {"content_type": expected}})


def test_a_file_has_no_style() -> None:
    encoding = {"a": {"style": "form", "contentType": "image/png"}, "b": {"style": "form"}}
    assert read_parts(MULTIPART, {"a": FILE, "b": {"type": "array", "items": FILE}}, encoding) == {
        "a": {"content_type": "image/png"}
    }


def test_headers_of_parts_are_sent_where_their_value_is_fixed() -> None:
    headers = {
        "X-Kind": {"schema": {"const": "photo"}},
        "X-Size": {"schema": {"type": "integer", "default": 5}},
        "X-One": {"schema": {"enum": ["only"]}},
        "X-Any": {"required": True, "schema": {"type": "string"}},
        "X-Bad": {"schema": {"const": "a\nb"}},
        "Content-Type": {"schema": {"const": "a/b"}},
    }
    body = read_form(MULTIPART, {"a": FILE}, {"a": {"headers": headers}})
    assert body.request.parts["a"].headers == {"X-Kind": "photo", "X-Size": "5", "X-One": "only"}
    assert body.notes == tuple(
        f"field `a`: header `{name}` of the part left out: no default, const or single enum value is declared"
        for name in ("X-Any", "X-Bad")
    )


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ([], "`encoding` left out: it is not an object"),
        ({"a": 5}, "the encoding of field `a` left out: it is not an object"),
        ({"a": {"style": "simple"}}, "field `a`: style 'simple' is not one of form"),
        ({"a": {"explode": "no"}}, "field `a`: `explode` is not a boolean"),
        ({"a": {"headers": []}}, "field `a`: `headers` left out: it is not an object"),
        ({"a": {"encoding": {}}}, "field `a`: `encoding` left out"),
        ({"a": {"contentType": "application/xml"}}, "field `a`: no application/xml is made of an object: callers send"),
    ],
)
def test_what_an_encoding_says_in_vain_is_named(encoding: Any, note: str) -> None:
    (found,) = read_notes(MULTIPART, encoding)
    assert found.startswith(note)


def test_parts_without_names_are_named() -> None:
    assert read_notes(MULTIPART, None, itemEncoding={}) == ("`itemEncoding` left out: only named parts are sent",)
    mixed = read_form("multipart/mixed", {}, itemSchema={}, prefixEncoding=[])
    assert (mixed.request.encoding, mixed.request.content_type) == ("binary", "multipart/mixed")
    assert mixed.notes == ("the parts of multipart/mixed are not built: callers send its bytes",)


def test_named_parts_of_another_multipart_type_are_built() -> None:
    request = read_form("multipart/related", {"a": OBJECT, "b": FILE}).request
    assert (request.encoding, request.content_type, request.files) == ("multipart", "multipart/related", ("b",))


def test_lists_of_swagger_2_are_joined_unless_they_are_multi() -> None:
    formats = {"csv": None, "multi": "multi", "ssv": "ssv", "tsv": "tsv", "pipes": "pipes", "odd": "odd"}
    nodes = [
        {"in": "formData", "name": name, **LIST, **({"collectionFormat": text} if text else {})}
        for name, text in formats.items()
    ]
    body = read_body(Shapes({}), {"swagger": "2.0"}, {}, nodes)
    assert body is not None
    assert {name: (part.style, part.explode) for name, part in body.request.parts.items()} == {
        "csv": ("form", False),
        "ssv": ("spaceDelimited", False),
        "tsv": ("tabDelimited", False),
        "pipes": ("pipeDelimited", False),
        "odd": ("form", False),
    }
    assert body.notes == ("field `odd`: collectionFormat 'odd' is unknown: sent as csv",)
    nested = {"in": "formData", "name": "n", "type": "array", "items": {**LIST, "collectionFormat": "pipes"}}
    body = read_body(Shapes({}), {"swagger": "2.0"}, {}, [nested])
    assert body is not None
    assert body.notes == ("field `n`: its items are lists: they are sent as JSON",)


@pytest.mark.parametrize(
    ("media", "items"),
    [
        ({"itemSchema": OBJECT}, OBJECT),
        ({"schema": {"type": "array", "items": OBJECT}}, OBJECT),
        ({"schema": OBJECT}, OBJECT),
        ({}, {}),
    ],
)
@pytest.mark.parametrize("name", ["application/jsonl", "application/x-ndjson", "application/json-seq"])
def test_a_sequence_of_json_is_a_list_of_lines(name: str, media: Any, items: Any) -> None:
    body = read_body(Shapes({}), {}, {"requestBody": {"content": {name: media}}}, [])
    assert body is not None
    assert (body.request.encoding, body.request.content_type) == ("lines", name)
    assert body.schema["properties"]["body"]["items"] == items


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (["application/json", "text/json", "application/*+json", "application/json; charset=utf-8"], None),
        (
            ["application/json", "application/xml"],
            "the body may also be application/xml; this route sends application/json",
        ),
        (
            ["application/json;v=1", "application/json;v=2"],
            "the body may also be application/json;v=2; this route sends application/json;v=1",
        ),
        (["*/*", "text/csv"], "the body may also be text/csv"),
    ],
)
def test_other_media_types_are_named(names: list[str], note: str | None) -> None:
    body = read_body(Shapes({}), {}, {"requestBody": {"content": {name: {} for name in names}}}, [])
    assert body is not None
    assert body.notes == ((note,) if note else ())


def test_a_second_body_of_swagger_2_is_named() -> None:
    bodies = [{"in": "body", "name": name, "schema": OBJECT} for name in ("a", "b")]
    body = read_body(Shapes({}), {}, {}, bodies)
    assert body is not None
    assert body.notes == ("body `b` left out: a request has one body",)
    body = read_body(Shapes({}), {}, {}, [{"in": "formData", "name": "f", "type": "string"}, bodies[0]])
    assert body is not None
    assert body.notes == ("body `a` left out: a request has one body",)
