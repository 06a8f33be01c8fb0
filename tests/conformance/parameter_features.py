"""Parameters of OpenAPI 3: every place, style and explode, with the values and the results of the specification's own tables.

Source: OpenAPI 3.0.4, 3.1.1 and 3.2.0, "Style Values", "Style Examples", "Parameter Object" and the appendix about RFC 6570.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.conformance.features import (
    FORM,
    JSON,
    V3,
    V30,
    V31,
    V32,
    Feature,
    Request,
    declare,
    get,
    has_fields,
    takes,
)

# The values of the specification's examples.
STRING = "blue"
ARRAY = ["blue", "black", "brown"]
OBJECT = {"R": 100, "G": 200, "B": 150}
VALUES: dict[str, Any] = {"string": STRING, "array": ARRAY, "object": OBJECT}

# style, explode, kind of value, and the text in the path.
PATHS = (
    ("simple", False, "string", "blue"),
    ("simple", False, "array", "blue,black,brown"),
    ("simple", False, "object", "R,100,G,200,B,150"),
    ("simple", True, "string", "blue"),
    ("simple", True, "array", "blue,black,brown"),
    ("simple", True, "object", "R=100,G=200,B=150"),
    ("label", False, "string", ".blue"),
    ("label", False, "array", ".blue,black,brown"),
    ("label", False, "object", ".R,100,G,200,B,150"),
    ("label", True, "string", ".blue"),
    ("label", True, "array", ".blue.black.brown"),
    ("label", True, "object", ".R=100.G=200.B=150"),
    ("matrix", False, "string", ";color=blue"),
    ("matrix", False, "array", ";color=blue,black,brown"),
    ("matrix", False, "object", ";color=R,100,G,200,B,150"),
    ("matrix", True, "string", ";color=blue"),
    ("matrix", True, "array", ";color=blue;color=black;color=brown"),
    ("matrix", True, "object", ";R=100;G=200;B=150"),
)
QUERIES = (
    ("form", False, "string", "color=blue"),
    ("form", False, "array", "color=blue,black,brown"),
    ("form", False, "object", "color=R,100,G,200,B,150"),
    ("form", True, "string", "color=blue"),
    ("form", True, "array", "color=blue&color=black&color=brown"),
    ("form", True, "object", "R=100&G=200&B=150"),
    ("spaceDelimited", False, "array", "color=blue%20black%20brown"),
    ("spaceDelimited", False, "object", "color=R%20100%20G%20200%20B%20150"),
    ("pipeDelimited", False, "array", "color=blue%7Cblack%7Cbrown"),
    ("pipeDelimited", False, "object", "color=R%7C100%7CG%7C200%7CB%7C150"),
    ("deepObject", True, "object", "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
)
HEADERS = (
    ("simple", False, "string", "blue"),
    ("simple", False, "array", "blue,black,brown"),
    ("simple", False, "object", "R,100,G,200,B,150"),
    ("simple", True, "array", "blue,black,brown"),
    ("simple", True, "object", "R=100,G=200,B=150"),
)
# A cookie is no query string: with `form` the pairs of an exploded value are cookies as well (RFC 6265, section 4.2.1).
COOKIES = (
    ("form", False, "string", "color=blue"),
    ("form", False, "array", "color=blue,black,brown"),
    ("form", False, "object", "color=R,100,G,200,B,150"),
    ("form", True, "string", "color=blue"),
    ("form", True, "array", "color=blue; color=black; color=brown"),
    ("form", True, "object", "R=100; G=200; B=150"),
)
NEW_COOKIES = tuple(("cookie", explode, kind, text) for _, explode, kind, text in COOKIES)


def _build_styles() -> Iterator[Feature]:
    for place, rows, versions in (
        ("path", PATHS, V3),
        ("query", QUERIES, V3),
        ("header", HEADERS, V3),
        ("cookie", COOKIES, V3),
        ("cookie", NEW_COOKIES, V32),
    ):
        for style, explode, kind, text in rows:
            name = "X-Color" if place == "header" else "color"
            yield Feature(
                group=f"in: {place}",
                name=f"`{style}`, explode {str(explode).lower()}, {kind}",
                versions=versions,
                path="/x/{color}/y" if place == "path" else "/x",
                operation=takes(declare(name, place, {"type": kind}, style=style, explode=explode)),
                call={name: VALUES[kind]},
                request=_place(place, text),
            )


def _place(place: str, text: str) -> Request:
    if place == "path":
        return get(f"/x/{text}/y")
    if place == "query":
        return get(f"/x?{text}")
    return get("/x", X_Color=text) if place == "header" else get("/x", Cookie=text)


def _path(name: str, parameter: dict[str, Any], value: Any, text: str, versions: tuple[str, ...] = V3) -> Feature:
    return Feature(
        group="in: path",
        name=name,
        versions=versions,
        path="/x/{color}/y",
        operation=takes(parameter),
        call={"color": value},
        request=get(f"/x/{text}/y"),
    )


def _query(
    name: str, parameter: dict[str, Any], value: Any, query: str, versions: tuple[str, ...] = V3, listed: str = ""
) -> Feature:
    return Feature(
        group="in: query",
        name=name,
        versions=versions,
        operation=takes(parameter),
        call={} if value is None else {parameter["name"]: value},
        request=get(f"/x?{query}" if query else "/x"),
        listed=listed,
        limit="The document is not valid. The default style is sent" if listed else "",
    )


def _whole_query(name: str, media: dict[str, Any], value: Any, query: str) -> Feature:
    return Feature(
        group="in: querystring",
        name=name,
        versions=V32,
        operation=takes({"name": "color", "in": "querystring", "content": media}),
        call={"color": value},
        request=get(f"/x?{query}"),
    )


def _header(name: str, parameter: dict[str, Any], value: Any, text: str | None) -> Feature:
    return Feature(
        group="in: header",
        name=name,
        versions=V3,
        operation=takes(parameter),
        call={parameter["name"]: value},
        request=Request(method="GET", target="/x", headers={} if text is None else {parameter["name"]: text}),
    )


def _cookie(name: str, parameter: dict[str, Any], value: Any, text: str, versions: tuple[str, ...] = V3) -> Feature:
    return Feature(
        group="in: cookie",
        name=name,
        versions=versions,
        operation=takes(parameter),
        call={"color": value},
        request=get("/x", Cookie=text),
    )


STRING_SCHEMA = {"type": "string"}
DATE = {"type": "string", "format": "date"}
PARAMETERS = (
    *_build_styles(),
    _path("default style", declare("color", "path", {"type": "array"}), ARRAY, "blue,black,brown"),
    _path("a number", declare("color", "path", {"type": "number"}), 1.5, "1.5"),
    _path("characters that are encoded", declare("color", "path", {"type": "string"}), "a/b?c#d%é", "a%2Fb%3Fc%23d%25%C3%A9"),
    _path("delimiters inside of items", declare("color", "path", {"type": "array"}), ["a,b", "c"], "a%2Cb,c"),
    _path("`content`: JSON", declare("color", "path", content={JSON: {}}), {"a": 1}, "%7B%22a%22%3A1%7D"),
    _path("`allowReserved`", declare("color", "path", {"type": "string"}, allowReserved=True), "a:b@c", "a:b@c", V32),
    _query("default style, array", declare("color", "query", {"type": "array"}), ARRAY, "color=blue&color=black&color=brown"),
    _query("default style, object", declare("color", "query", has_fields(R={})), {"R": 1}, "R=1"),
    _query("`deepObject`, default explode", declare("color", "query", {"type": "object"}, style="deepObject"), {"R": 1}, "color%5BR%5D=1"),
    _query("`deepObject`, nested (as qs writes it)", declare("color", "query", {"type": "object"}, style="deepObject", explode=True), {"R": {"a": [1]}}, "color%5BR%5D%5Ba%5D%5B0%5D=1"),
    _query("an item that is empty", declare("color", "query", {"type": "array"}, explode=False), ["a", "", "b"], "color=a,,b"),
    _query("an empty array", declare("color", "query", {"type": "array"}), [], ""),
    _query("characters that are encoded", declare("color", "query", {"type": "string"}), "a&b=c+d é/?", "color=a%26b%3Dc%2Bd%20%C3%A9%2F%3F"),
    _query("delimiters inside of items", declare("color", "query", {"type": "array"}, explode=False), ["a,b", "c"], "color=a%2Cb,c"),
    _query("`allowReserved`", declare("color", "query", {"type": "string"}, allowReserved=True), "a/b:c,d?e", "color=a/b:c,d?e"),
    _query("`allowReserved`, with what ends a field", declare("color", "query", {"type": "string"}, allowReserved=True), "a&b#c+d", "color=a%26b%23c%2Bd"),
    _query("`allowEmptyValue`", declare("color", "query", {"type": "boolean"}, allowEmptyValue=True), "", "color="),
    _query("a boolean", declare("color", "query", {"type": "boolean"}), True, "color=true"),
    Feature(
        group="in: query",
        name="`default`: not sent unless the caller gives it",
        versions=V3,
        operation=takes(
            declare("color", "query", STRING_SCHEMA), declare("other", "query", {"type": "string", "default": "a"})
        ),
        call={"color": STRING},
        request=get("/x?color=blue"),
    ),
    _query("a date", declare("color", "query", DATE), "2026-11-28", "color=2026-11-28"),
    _query("`deprecated`", declare("color", "query", {"type": "string"}, deprecated=True), STRING, "color=blue"),
    _query("`content`: JSON", declare("color", "query", content={JSON: {}}), {"a": [1]}, "color=%7B%22a%22%3A%5B1%5D%7D"),
    _query("`content`: text", declare("color", "query", content={"text/plain": {}}), "a b", "color=a%20b"),
    _query("`content`: urlencoded", declare("color", "query", content={FORM: {"schema": has_fields(a={})}}), {"a": "b"}, "color=a%3Db"),
    _query("an array in a composed schema", declare("color", "query", {"allOf": [{"type": "array"}]}, explode=False), ARRAY, "color=blue,black,brown"),
    _query("a type that may be null", declare("color", "query", {"type": ["array", "null"]}, explode=False), ARRAY, "color=blue,black,brown", V31),
    _whole_query("`content`: urlencoded", {FORM: {"schema": has_fields(a={}, b={"type": "array"})}}, {"a": "x y", "b": [1, 2]}, "a=x%20y&b=1&b=2"),
    _whole_query("`content`: urlencoded, with `encoding`", {FORM: {"schema": has_fields(b={"type": "array"}), "encoding": {"b": {"explode": False}}}}, {"b": [1, 2]}, "b=1,2"),
    _whole_query("`content`: JSON", {JSON: {}}, {"a": [1]}, "%7B%22a%22%3A%5B1%5D%7D"),
    _whole_query("`content`: text", {"application/jsonpath": {}}, "$.a[0]", "%24.a%5B0%5D"),
    _query("a name with characters that are encoded", declare("filter[color]", "query", STRING_SCHEMA), STRING, "filter%5Bcolor%5D=blue"),
    _query("null: not sent", declare("color", "query", {"type": "string", "nullable": True}), None, "", V30),
    _query("an object with properties that the schema does not name", declare("color", "query", {"type": "object", "additionalProperties": {}}), {"R": 1}, "R=1"),
    _query("`anyOf` with a list", declare("color", "query", {"anyOf": [{"type": "array"}, {"type": "null"}]}, explode=False), ARRAY, "color=blue,black,brown", V31),
    _query("an encoded value in `allowReserved`", declare("color", "query", STRING_SCHEMA, allowReserved=True), "a%2Fb", "color=a%2Fb"),
    _path("characters of an object that are encoded", declare("color", "path", {"type": "object"}, explode=True), {"a,b": "c+d e"}, "a%2Cb=c%2Bd%20e"),
    _path("`matrix`, an item that is empty", declare("color", "path", {"type": "array"}, style="matrix", explode=True), ["", "b"], ";color;color=b"),
    _path("`label`, default explode", declare("color", "path", {"type": "array"}, style="label"), ARRAY, ".blue,black,brown"),
    _query("an object in an object: JSON", declare("color", "query", {"type": "object"}), {"R": {"a": 1}}, "R=%7B%22a%22%3A1%7D"),
    _query("`allowReserved`, items", declare("color", "query", {"type": "array"}, explode=False, allowReserved=True), ["a/b", "c:d"], "color=a/b,c:d"),
    _query("a style that the place does not have", declare("color", "query", {"type": "array"}, style="simple"), ["a", "b"], "color=a&color=b", listed="style 'simple' is not one of form, spaceDelimited, pipeDelimited, deepObject: sent as form"),
    _cookie("`cookie`, default explode", declare("color", "cookie", {"type": "array"}, style="cookie"), ARRAY, "color=blue; color=black; color=brown", V32),
    _cookie("a value in quotes", declare("color", "cookie", STRING_SCHEMA), '"a"', 'color="a"'),
    _header("default style, array", declare("X-Color", "header", {"type": "array"}), ARRAY, "blue,black,brown"),
    _header("characters: nothing is encoded", declare("X-Color", "header", {"type": "string"}), "a b%/=", "a b%/="),
    _header("`content`: JSON", declare("X-Color", "header", content={JSON: {}}), {"a": [1]}, '{"a":[1]}'),
    _header("a number", declare("X-Color", "header", {"type": "integer"}), 7, "7"),
    _cookie("default style, array", declare("color", "cookie", {"type": "array"}), ARRAY, "color=blue; color=black; color=brown"),
    _cookie("`form`: what a cookie cannot contain is encoded", declare("color", "cookie", {"type": "string"}), "a b;c", "color=a%20b%3Bc"),
    _cookie("`content`: JSON", declare("color", "cookie", content={JSON: {}}), {"a": 1}, "color=%7B%22a%22%3A1%7D"),
    Feature(
        group="in: cookie",
        name="several in one header",
        versions=V3,
        operation=takes(declare("a", "cookie", {"type": "string"}), declare("b", "cookie", {"type": "string"})),
        call={"a": "1", "b": "2"},
        request=get("/x", Cookie="a=1; b=2"),
    ),
    Feature(
        group="in: cookie",
        name="`cookie`: what a cookie cannot contain",
        versions=V32,
        operation=takes(declare("color", "cookie", {"type": "string"}, style="cookie")),
        call={"color": "a;b"},
        request=None,
        limit="OpenAPI 3.2 says that the caller encodes it; the call is refused",
    ),
    _cookie("`cookie`: nothing is encoded", declare("color", "cookie", STRING_SCHEMA, style="cookie"), "a%20b+c", "color=a%20b+c", V32),
    _header("the name in any letters", declare("x-COLOR", "header", STRING_SCHEMA), STRING, STRING),
    _header("`Accept`, if the caller gives it", declare("Accept", "header", STRING_SCHEMA, required=True), "application/json", "application/json"),
    _header("`Authorization`, if the caller gives it", declare("Authorization", "header", STRING_SCHEMA, required=True), "Bearer t", "Bearer t"),
    Feature(
        group="in: query",
        name="the name of a parameter in another place",
        versions=V3,
        path="/x/{id}",
        operation=takes(declare("id", "path", STRING_SCHEMA), declare("id", "query", STRING_SCHEMA)),
        call={"id": "7"},
        request=get("/x/7"),
        listed="query `id` has the name of the path parameter: a call sets one",
        limit="The key of a call is the name alone. It sets the parameter of the path",
    ),
    Feature(
        group="in: header",
        name="`Accept`, `Content-Type`, `Authorization`: ignored",
        versions=V3,
        operation=takes(*(declare(name, "header", {"type": "string"}) for name in ("Accept", "Content-Type", "Authorization"))),
        request=get("/x"),
    ),
    Feature(
        group="in: path",
        name="several in one segment",
        versions=V3,
        path="/x/{a}.{b}",
        operation=takes(declare("a", "path", {"type": "string"}), declare("b", "path", {"type": "string"})),
        call={"a": "1", "b": "2"},
        request=get("/x/1.2"),
    ),
    Feature(
        group="in: path",
        name="parameters of the path item, which the operation overrides",
        versions=V3,
        path="/x/{a}",
        item={"parameters": [declare("a", "path", {"type": "array"}), declare("b", "query", {"type": "array"}, explode=False)]},
        operation=takes(declare("a", "path", {"type": "array"}, style="label")),
        call={"a": [1, 2], "b": [3, 4]},
        request=get("/x/.1,2?b=3,4"),
    ),
)  # fmt: skip
