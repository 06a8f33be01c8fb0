"""What only Swagger 2.0 has: `collectionFormat`, `formData`, parameters in the body, `consumes`, `basePath`.

Source: OpenAPI 2.0, "Parameter Object", "Items Object" and "Security Scheme Object".
"""

from __future__ import annotations

import base64
from typing import Any

from tests.conformance.features import FORM, JSON, MULTIPART, V2, Feature, Part, Request, get, post, takes

FILE = {"filename": "a.wav", "content_type": "audio/wav", "data": base64.b64encode(b"RIFF").decode()}
STRING = {"type": "string"}
LIST = {"type": "array", "items": STRING}
KEY = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
VALUES = ["a", "b c"]


def _describe(name: str, place: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "in": place, **({"required": True} if place == "path" else {}), **keys}


def _row(name: str, request: Request, **keys: Any) -> Feature:
    return Feature(group="Swagger 2.0", name=name, versions=V2, request=request, **keys)


def _list(place: str, collection: str | None, request: Request) -> Feature:
    keys = {"collectionFormat": collection} if collection else {}
    return _row(
        f"{place}: array, {collection or 'default'}",
        request,
        method="post" if place == "formData" else "get",
        path="/x/{p}" if place == "path" else "/x",
        operation=takes(_describe("p", place, **LIST, **keys)),
        call={"p": VALUES},
    )


def _form(
    name: str, body: bytes | tuple[Part, ...], call: dict[str, Any], *fields: dict[str, Any], **keys: Any
) -> Feature:
    content_type = FORM if isinstance(body, bytes) else MULTIPART
    return _row(name, post(content_type, body), method="post", operation={**takes(*fields), **keys}, call=call)


def _body(name: str, content_type: str, schema: Any, call: dict[str, Any], body: bytes, **keys: Any) -> Feature:
    operation = {**takes(_describe("b", "body", schema=schema)), **keys}
    return _row(name, post(content_type, body), method="post", operation=operation, call=call)


def _secure(name: str, scheme: dict[str, Any], call: dict[str, str], request: Request) -> Feature:
    document = {"securityDefinitions": {"s": scheme}, "security": [{"s": []}]}
    return _row(name, request, document=document, call=call)


SWAGGER = (
    _list("query", None, get("/x?p=a,b%20c")),
    _list("query", "csv", get("/x?p=a,b%20c")),
    _list("query", "ssv", get("/x?p=a%20b%20c")),
    _list("query", "tsv", get("/x?p=a%09b%20c")),
    _list("query", "pipes", get("/x?p=a%7Cb%20c")),
    _list("query", "multi", get("/x?p=a&p=b%20c")),
    _list("path", "csv", get("/x/a,b%20c")),
    _list("path", "pipes", get("/x/a%7Cb%20c")),
    _list("header", "csv", get("/x", p="a,b c")),
    _list("header", "pipes", get("/x", p="a|b c")),
    _list("formData", None, post(FORM, b"p=a,b+c")),
    _list("formData", "multi", post(FORM, b"p=a&p=b+c")),
    _list("formData", "pipes", post(FORM, b"p=a%7Cb+c")),
    _row("query: `allowEmptyValue`", get("/x?p="), operation=takes(_describe("p", "query", **STRING, allowEmptyValue=True)), call={"p": ""}),
    _row(
        "query: arrays in an array",
        get("/x?p=%5B1%2C2%5D,%5B3%2C4%5D"),
        operation=takes(_describe("p", "query", type="array", items={**LIST, "collectionFormat": "pipes"})),
        call={"p": [[1, 2], [3, 4]]},
        listed="its items are lists: they are sent as JSON",
        limit="Lists in a list are sent as JSON",
    ),
    _row(
        "parameters of the path item, which the operation overrides",
        get("/x?p=a%7Cb"),
        operation=takes(_describe("p", "query", **LIST, collectionFormat="pipes")),
        item=takes(_describe("p", "query", **LIST)),
        call={"p": ["a", "b"]},
    ),
    _body("body: object", JSON, {"type": "object"}, {"a": 1}, b'{"a":1}'),
    _body("body: array", JSON, {"type": "array"}, {"body": [1]}, b"[1]"),
    _body("body: `consumes` text", "text/plain", STRING, {"text": "a"}, b"a", consumes=["text/plain"]),
    _body("body: `consumes` bytes", "audio/wav", {"type": "string", "format": "binary"}, {"data": "UklGRg=="}, b"RIFF", consumes=["audio/wav"]),
    _body("body: `consumes` with parameters", "application/json;v=2", {"type": "object"}, {"a": 1}, b'{"a":1}', consumes=["application/json;v=2"]),
    _row(
        "body: `consumes` of the document",
        post("application/vnd.x+json", b'{"a":1}'),
        method="post",
        operation=takes(_describe("b", "body", schema={"type": "object"})),
        document={"consumes": ["application/vnd.x+json"]},
        call={"a": 1},
    ),
    _row(
        "body: of DELETE",
        Request(method="DELETE", target="/x", headers={"Content-Type": JSON}, body=b'{"a":1}'),
        method="delete",
        operation=takes(_describe("b", "body", schema={"type": "object"})),
        call={"a": 1},
    ),
    _form("formData: text", b"p=a+b", {"p": "a b"}, _describe("p", "formData", **STRING)),
    _form("formData: file", (Part(name="p", data=b"RIFF", content_type="audio/wav", filename="a.wav"),), {"p": FILE}, _describe("p", "formData", type="file"), consumes=[MULTIPART]),
    _form("formData: `consumes` multipart", (Part(name="p", data=b"a"),), {"p": "a"}, _describe("p", "formData", **STRING), consumes=[MULTIPART]),
    _row("`basePath`", get("/v1/x"), document={"basePath": "/v1", "host": "api.example", "schemes": ["https"]}),
    _row(
        "`$ref` of a parameter",
        get("/x?p=a"),
        operation=takes({"$ref": "#/parameters/p"}),
        document={"parameters": {"p": _describe("p", "query", **STRING)}},
        call={"p": "a"},
    ),
    _row(
        "`$ref` of the body's schema",
        post(JSON, b"[1]"),
        method="post",
        operation=takes(_describe("b", "body", schema={"$ref": "#/definitions/d"})),
        document={"definitions": {"d": {"type": "array"}}},
        call={"body": [1]},
    ),
    _secure("security: `basic`", {"type": "basic"}, {"Authorization": "Basic dTpw"}, get("/x", Authorization="Basic dTpw")),
    _secure("security: `apiKey` in a header", KEY, {"X-API-Key": "k"}, get("/x", X_API_Key="k")),
    _secure("security: `apiKey` in the query", {**KEY, "in": "query", "name": "key"}, {"key": "k"}, get("/x?key=k")),
    _secure("security: `oauth2`", {"type": "oauth2", "flow": "application", "tokenUrl": "https://auth.example/t", "scopes": {}}, {"Authorization": "Bearer t"}, get("/x", Authorization="Bearer t")),
)  # fmt: skip
