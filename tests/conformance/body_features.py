"""Request bodies of OpenAPI 3: media types, forms and multipart bodies with their encodings.

Source: OpenAPI 3.0.4, 3.1.1 and 3.2.0, "Request Body Object", "Media Type Object" and "Encoding Object"; RFC 7578.
"""

from __future__ import annotations

import base64
from typing import Any

from tests.conformance.features import (
    FORM,
    JSON,
    MULTIPART,
    V3,
    V30,
    V31,
    V32,
    Feature,
    Part,
    Request,
    declare,
    has_fields,
    post,
    sends,
)

WAV = {"filename": "a.wav", "content_type": "audio/wav", "data": base64.b64encode(b"RIFF").decode()}
WAV_PART = Part(name="a", data=b"RIFF", content_type="audio/wav", filename="a.wav")
BYTES = {"type": "string", "format": "binary"}
STRING, ARRAY, OBJECT = {"type": "string"}, {"type": "array", "items": {"type": "string"}}, {"type": "object"}


def _body(
    name: str,
    content_type: str,
    schema: Any,
    call: dict[str, Any],
    body: bytes | tuple[Part, ...],
    versions: tuple[str, ...] = V3,
    *,
    sent_type: str = "",
    listed: str = "",
    limit: str = "",
    **media: Any,
) -> Feature:
    return Feature(
        group="Request body",
        name=name,
        versions=versions,
        method="post",
        operation=sends(content_type, schema, **media),
        call=call,
        request=post(sent_type or content_type, body),
        listed=listed,
        limit=limit,
    )


def _form(
    name: str,
    schema: Any,
    value: Any,
    body: bytes,
    encoding: dict[str, Any] | None = None,
    versions: tuple[str, ...] = V3,
) -> Feature:
    return Feature(
        group="Urlencoded body",
        name=name,
        versions=versions,
        method="post",
        operation=sends(FORM, has_fields(a=schema), **({"encoding": {"a": encoding}} if encoding else {})),
        call={"a": value},
        request=post(FORM, body),
    )


def _multipart(
    name: str,
    schema: Any,
    value: Any,
    *parts: Part,
    encoding: dict[str, Any] | None = None,
    versions: tuple[str, ...] = V3,
    listed: str = "",
    limit: str = "",
) -> Feature:
    return Feature(
        group="Multipart body",
        name=name,
        versions=versions,
        method="post",
        operation=sends(MULTIPART, has_fields(a=schema), **({"encoding": {"a": encoding}} if encoding else {})),
        document={"components": {"schemas": {"f": BYTES}}},
        call={"a": value},
        request=post(MULTIPART, parts),
        listed=listed,
        limit=limit,
    )


def _positional(name: str, **media: Any) -> Feature:
    body = b'--limit\r\nContent-Type: application/json\r\n\r\n{"a":1}\r\n--limit--\r\n'
    content_type = "multipart/mixed; boundary=limit"
    return Feature(
        group="Multipart body",
        name=name,
        versions=V32,
        method="post",
        operation=sends("multipart/mixed", **media),
        call={"data": base64.b64encode(body).decode(), "content_type": content_type},
        request=post("multipart/mixed", (Part(name="", data=b'{"a":1}', content_type=JSON),)),
        listed="the parts of multipart/mixed are not built: callers send its bytes",
        limit="A call's JSON has no parts without names. The caller sends the bytes of the body",
    )


BODIES = (
    _body("JSON, object", JSON, has_fields(a={}), {"a": [1, None, "é"]}, '{"a":[1,null,"é"]}'.encode()),
    _body("JSON, array", JSON, {"type": "array"}, {"body": [1, 2]}, b"[1,2]"),
    _body("JSON, string", JSON, STRING, {"body": "a"}, b'"a"'),
    _body("JSON, number", JSON, {"type": "number"}, {"body": 1.5}, b"1.5"),
    _body("JSON, null", JSON, {"type": "null"}, {"body": None}, b"null", V31),
    _body("JSON, an object whose only field is `body`", JSON, has_fields(body={}), {"body": {"a": 1}}, b'{"body":{"a":1}}'),
    _body("JSON without a schema", JSON, None, {"a": 1}, b'{"a":1}'),
    _body("JSON, boolean schema", JSON, True, {"a": 1}, b'{"a":1}', V31),
    _body("JSON with parameters of the media type", "application/json;v=2.0", OBJECT, {"a": 1}, b'{"a":1}'),
    _body("a structured suffix", "application/vnd.api+json", OBJECT, {"a": 1}, b'{"a":1}'),
    _body("`application/merge-patch+json`, null", "application/merge-patch+json", OBJECT, {"a": None}, b'{"a":null}'),
    _body("a range of media types: `*/*`", "*/*", OBJECT, {"a": 1}, b'{"a":1}', sent_type=JSON),
    _body("a range of media types: `text/*`", "text/*", STRING, {"text": "a", "content_type": "text/csv"}, b"a", sent_type="text/csv"),
    _body("a range of media types: `image/*`", "image/*", BYTES, {"data": "UklGRg==", "content_type": "image/png"}, b"RIFF", sent_type="image/png"),
    _body("text", "text/plain", STRING, {"text": "a é"}, "a é".encode()),
    _body("text in a charset", "text/plain; charset=latin-1", STRING, {"text": "é"}, b"\xe9"),
    _body("JSON with a charset", "application/json; charset=utf-8", OBJECT, {"a": "é"}, '{"a":"é"}'.encode()),
    _body("a range of media types: `application/*`", "application/*", OBJECT, {"a": 1}, b'{"a":1}', sent_type=JSON),
    _body("HTML", "text/html", STRING, {"text": "<p>"}, b"<p>"),
    _body("a structured suffix of XML", "application/soap+xml", STRING, {"text": "<a/>"}, b"<a/>"),
    _body("a media type that is neither JSON nor text", "application/yaml", OBJECT, {"data": "YTogMQ=="}, b"a: 1"),
    _body("JSON, composed", JSON, {"allOf": [{"type": "array"}]}, {"body": [1]}, b"[1]"),
    _body("JSON, one of several types", JSON, {"oneOf": [{"type": "array"}, STRING]}, {"body": "a"}, b'"a"'),
    _body("JSON, discriminated", JSON, {"oneOf": [has_fields(k={"const": "a"}), has_fields(k={"const": "b"})], "discriminator": {"propertyName": "k"}}, {"k": "b"}, b'{"k":"b"}'),
    _body("XML (the caller writes it)", "application/xml", {"type": "object", "xml": {"name": "a"}}, {"text": "<a/>"}, b"<a/>"),
    _body("bytes", "application/octet-stream", BYTES, {"data": "UklGRg=="}, b"RIFF"),
    _body("bytes without a schema", "application/octet-stream", None, {"data": "UklGRg=="}, b"RIFF"),
    _body("bytes of one media type", "audio/wav", {"type": "string", "contentMediaType": "audio/wav"}, {"data": "UklGRg=="}, b"RIFF", V31),
    _body("`itemSchema`: JSON lines", "application/jsonl", None, {"body": [{"a": 1}, 2]}, b'{"a":1}\n2\n', V32, itemSchema={}),
    _body("`itemSchema`: ndjson", "application/x-ndjson", None, {"body": [{"a": 1}]}, b'{"a":1}\n', V32, itemSchema={}),
    _body("`itemSchema`: JSON text sequence", "application/json-seq", None, {"body": [1, 2]}, b"\x1e1\n\x1e2\n", V32, itemSchema={}),
    _body("`itemSchema`: event stream", "text/event-stream", None, {"text": "data: a\n\n"}, b"data: a\n\n", V32, itemSchema={}),
    Feature(
        group="Request body",
        name="several media types: JSON first",
        versions=V3,
        method="post",
        operation={"requestBody": {"content": {FORM: {}, "application/xml": {}, JSON: {}}}},
        call={"a": 1},
        request=post(JSON, b'{"a":1}'),
        listed="the body may also be application/x-www-form-urlencoded, application/xml; this route sends application/json",
        limit="Calls have one media type. The others need the tunnel, or a route in `CHUTE_STATIC_ROUTES`",
    ),
    Feature(
        group="Request body",
        name="not required, and left out",
        versions=V3,
        method="delete",
        operation={"requestBody": {"content": {JSON: {"schema": OBJECT}}, "required": False}},
        request=Request(method="DELETE", target="/x"),
    ),
    *(
        Feature(
            group="Request body",
            name=f"of {method.upper()}",
            versions=V3,
            method=method,
            operation=sends(JSON, OBJECT),
            call={"a": 1},
            request=Request(method=method.upper(), target="/x", headers={"Content-Type": JSON}, body=b'{"a":1}'),
        )
        for method in ("get", "put", "patch", "delete", "options", "trace")
    ),
    Feature(
        group="Request body",
        name="`$ref`",
        versions=V3,
        method="post",
        operation={"requestBody": {"$ref": "#/components/requestBodies/b"}},
        document={"components": {"requestBodies": {"b": sends(JSON, {"type": "array"})["requestBody"]}}},
        call={"body": [1]},
        request=post(JSON, b"[1]"),
    ),
    Feature(
        group="Request body",
        name="`$ref` of a media type",
        versions=V32,
        method="post",
        operation={"requestBody": {"content": {JSON: {"$ref": "#/components/mediaTypes/m"}}}},
        document={"components": {"mediaTypes": {"m": {"schema": {"type": "array"}}}}},
        call={"body": [1]},
        request=post(JSON, b"[1]"),
    ),
    Feature(
        group="Request body",
        name="beside parameters of the path and the query",
        versions=V3,
        method="post",
        path="/x/{id}",
        operation={
            "parameters": [declare("id", "path", STRING), declare("q", "query", STRING)],
            **sends(JSON, has_fields(a={})),
        },
        call={"id": "7", "q": "b", "a": 1},
        request=post(JSON, b'{"a":1}', "/x/7?q=b"),
    ),
    Feature(
        group="Request body",
        name="a field that has a path parameter's name",
        versions=V3,
        method="post",
        path="/x/{id}",
        operation={"parameters": [declare("id", "path", STRING)], **sends(JSON, has_fields(id={}))},
        call={"id": "7"},
        request=post(JSON, b'{"id":"7"}', "/x/7"),
    ),
    _form("text", STRING, "a b&c=é+", b"a=a+b%26c%3D%C3%A9%2B"),
    _form("a number", {"type": "number"}, 1.5, b"a=1.5"),
    _form("an array", ARRAY, ["x", "y"], b"a=x&a=y"),
    _form("an object: JSON", OBJECT, {"k": [1]}, b"a=%7B%22k%22%3A%5B1%5D%7D"),
    _form("an array of objects: JSON", {"type": "array", "items": OBJECT}, [{"k": 1}, {"k": 2}], b"a=%7B%22k%22%3A1%7D&a=%7B%22k%22%3A2%7D"),
    _form("`style: form`, object", OBJECT, {"k": 1, "l": 2}, b"k=1&l=2", {"style": "form"}),
    _form("`explode: false`, array", ARRAY, ["x,y", "z"], b"a=x%2Cy,z", {"explode": False}),
    _form("`explode: false`, object", OBJECT, {"k": 1}, b"a=k,1", {"explode": False}),
    _form("`spaceDelimited`", ARRAY, ["x", "y"], b"a=x+y", {"style": "spaceDelimited", "explode": False}),
    _form("`pipeDelimited`", ARRAY, ["x", "y"], b"a=x%7Cy", {"style": "pipeDelimited", "explode": False}),
    _form("`deepObject`", OBJECT, {"k": 1, "l": 2}, b"a%5Bk%5D=1&a%5Bl%5D=2", {"style": "deepObject", "explode": True}),
    _form("`allowReserved`", STRING, "a/b:c&d", b"a=a/b:c%26d", {"allowReserved": True}),
    _form("`contentType`: JSON", ARRAY, ["x"], b"a=%22x%22", {"contentType": JSON}),
    _form("`contentType`: text", STRING, "x", b"a=x", {"contentType": "text/plain"}),
    _form("`style` beside `contentType`: the style", OBJECT, {"k": 1}, b"a%5Bk%5D=1", {"style": "deepObject", "contentType": JSON}),
    _form("`contentEncoding`: the caller encodes", {"type": "string", "contentEncoding": "base64"}, "UklGRg==", b"a=UklGRg%3D%3D", None, V31),
    _multipart("text", STRING, "é", Part(name="a", data="é".encode())),
    _multipart("a number", {"type": "integer"}, 7, Part(name="a", data=b"7")),
    _multipart("an array: a part for each item", ARRAY, ["x", "y"], Part(name="a", data=b"x"), Part(name="a", data=b"y")),
    _multipart("an object: JSON", OBJECT, {"k": 1}, Part(name="a", data=b'{"k":1}', content_type=JSON)),
    _multipart("an array of objects: JSON", {"type": "array", "items": OBJECT}, [{"k": 1}, {"k": 2}], Part(name="a", data=b'{"k":1}', content_type=JSON), Part(name="a", data=b'{"k":2}', content_type=JSON)),
    _multipart("a file: `format: binary`", BYTES, WAV, WAV_PART),
    _multipart("a file: `contentMediaType`", {"type": "string", "contentMediaType": "audio/wav"}, WAV, WAV_PART, versions=V31),
    _multipart("a file: empty schema", {}, WAV, WAV_PART, versions=V31),
    _multipart("an array of files", {"type": "array", "items": BYTES}, [WAV, WAV], WAV_PART, WAV_PART),
    _multipart("a file by reference, composed", {"allOf": [{"$ref": "#/components/schemas/f"}]}, WAV, WAV_PART),
    _multipart("a file that may be null", {"anyOf": [BYTES, {"type": "null"}]}, WAV, WAV_PART, versions=V31),
    _multipart("`contentMediaType` and `contentEncoding` of text", {"type": "string", "contentMediaType": "image/png", "contentEncoding": "base64"}, "UklGRg==", Part(name="a", data=b"UklGRg==", content_type="application/octet-stream"), versions=V31),
    _multipart("an array of arrays: JSON", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, [[1, 2], [3]], Part(name="a", data=b"[1,2]", content_type=JSON), Part(name="a", data=b"[3]", content_type=JSON)),
    _multipart("`contentEncoding: base64`: the caller encodes", {"type": "string", "contentEncoding": "base64"}, "UklGRg==", Part(name="a", data=b"UklGRg==", content_type="application/octet-stream"), versions=V31),
    _multipart("`contentType`: of text", STRING, "<a/>", Part(name="a", data=b"<a/>", content_type="application/xml; charset=utf-8"), encoding={"contentType": "application/xml; charset=utf-8"}),
    _multipart("`contentType`: JSON of text", STRING, "x", Part(name="a", data=b'"x"', content_type=JSON), encoding={"contentType": JSON}),
    _multipart("`contentType`: the only one of a file", BYTES, {"data": WAV["data"], "filename": "a.png"}, Part(name="a", data=b"RIFF", content_type="image/png", filename="a.png"), encoding={"contentType": "image/png"}),
    _multipart("`contentType`: a file has one of several", BYTES, {**WAV, "content_type": "image/jpeg"}, Part(name="a", data=b"RIFF", content_type="image/jpeg", filename="a.wav"), encoding={"contentType": "image/png, image/jpeg"}),
    _multipart("`headers` with one value", STRING, "x", Part(name="a", data=b"x", headers={"X-Kind": "k"}), encoding={"headers": {"X-Kind": {"schema": {"type": "string", "default": "k"}}}}),
    _multipart("`headers` that callers would choose", STRING, "x", Part(name="a", data=b"x"), encoding={"headers": {"X-Kind": {"schema": STRING}}}, listed="header `X-Kind` of the part left out", limit="A call's JSON has no place for headers of parts"),
    _multipart("`style` and `explode`", OBJECT, {"k": 1, "l": 2}, Part(name="k", data=b"1"), Part(name="l", data=b"2"), encoding={"style": "form", "explode": True}, versions=V31),
    _multipart("`explode: false`", ARRAY, ["x", "y"], Part(name="a", data=b"x,y"), encoding={"explode": False}, versions=V31),
    _multipart("`style` in 3.0: for urlencoded bodies only", ARRAY, ["x", "y"], Part(name="a", data=b"x"), Part(name="a", data=b"y"), encoding={"explode": False}, versions=V30),
    _multipart("nested `encoding`", OBJECT, {"k": 1}, Part(name="a", data=b'{"k":1}', content_type=JSON), encoding={"encoding": {"k": {"contentType": "text/plain"}}}, versions=V32, listed="`encoding` left out", limit="A part is not a multipart body of its own. The object is sent as JSON"),
    Feature(
        group="Multipart body",
        name="fields in the caller's order, files among them",
        versions=V3,
        method="post",
        operation=sends(MULTIPART, has_fields(a=BYTES, b=STRING, c=OBJECT)),
        call={"b": "x", "a": WAV, "c": {"k": 1}},
        request=post(MULTIPART, (Part(name="b", data=b"x"), WAV_PART, Part(name="c", data=b'{"k":1}', content_type=JSON))),
    ),
    Feature(
        group="Multipart body",
        name="another subtype with named parts",
        versions=V3,
        method="post",
        operation=sends("multipart/mixed", has_fields(a=STRING)),
        call={"a": "x"},
        request=post("multipart/mixed", (Part(name="a", data=b"x"),)),
    ),
    _positional("`itemSchema`, `itemEncoding`", itemSchema={}, itemEncoding={"contentType": JSON}),
    _positional("`prefixEncoding`", schema={"type": "array", "prefixItems": [{}]}, prefixEncoding=[{"contentType": JSON}]),
)  # fmt: skip
