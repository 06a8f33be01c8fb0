"""What a client of the service sends, by the specification alone."""

from __future__ import annotations

import base64
import email
import email.policy
import json
from typing import Any

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.document_client.direct_client import DirectClient
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.document_client.operation_request import build_request
from chutes_wrappers.host.document_client.service_document import ServiceDocument
from tests.host.document_client.documents import PORT, make_body, make_document, make_parameter, make_request

OBJECT = {"type": "object"}
COLOUR = {"R": 100, "G": 200}


def read_parts(request: DirectRequest) -> dict[str, tuple[str | None, str | None, bytes]]:
    """Return name → media type, file name and content of the parts of a multipart body, read by the standard library."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    found = {}
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        name = str(part.get_param("name", header="content-disposition"))
        found[name] = (part["Content-Type"], part.get_filename(), content.removesuffix(b"\r\n"))
    return found


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("simple", False, ["a", "b c"], "a,b%20c"),
        ("simple", False, COLOUR, "R,100,G,200"),
        ("simple", True, COLOUR, "R=100,G=200"),
        ("label", False, ["a", "b"], ".a,b"),
        ("label", True, ["a", "b"], ".a.b"),
        ("label", True, COLOUR, ".R=100.G=200"),
        ("matrix", False, "a/b", ";id=a%2Fb"),
        ("matrix", False, ["a", "b"], ";id=a,b"),
        ("matrix", True, ["a", "b"], ";id=a;id=b"),
        ("matrix", True, COLOUR, ";R=100;G=200"),
    ],
)
def test_values_of_a_path(style: str, explode: bool, value: Any, expected: str) -> None:
    parameter = make_parameter("id", "path", {}, style=style, explode=explode, required=True)
    assert make_request({"parameters": [parameter]}, {"id": value}, path="/x/{id}").target == f"/x/{expected}"


@pytest.mark.parametrize(
    ("format_", "value", "expected"),
    [
        ({}, ["a", "b"], "q=a&q=b"),
        ({"explode": False}, ["a", "b,c"], "q=a,b%2Cc"),
        ({}, COLOUR, "R=100&G=200"),
        ({"explode": False}, COLOUR, "q=R,100,G,200"),
        ({"style": "spaceDelimited", "explode": False}, ["a", "b"], "q=a%20b"),
        ({"style": "pipeDelimited", "explode": False}, ["a", "b"], "q=a%7Cb"),
        ({"style": "deepObject"}, {"a": {"b": [True]}}, "q%5Ba%5D%5Bb%5D%5B0%5D=true"),
        ({}, [], ""),
        ({}, "a b&c", "q=a%20b%26c"),
        ({"allowReserved": True}, "/a?b=c&d", "q=/a?b%3Dc%26d"),
    ],
)
def test_values_of_a_query_string(format_: dict[str, Any], value: Any, expected: str) -> None:
    target = make_request({"parameters": [make_parameter("q", "query", {}, **format_)]}, {"q": value}).target
    assert target == (f"/x?{expected}" if expected else "/x")


def test_a_parameter_with_content_is_json() -> None:
    parameter = make_parameter("filter", "query", content={"application/json": {"schema": OBJECT}})
    assert (
        make_request({"parameters": [parameter]}, {"filter": {"a": [1]}}).target == "/x?filter=%7B%22a%22%3A%5B1%5D%7D"
    )


def test_headers_and_cookies() -> None:
    parameters = [
        make_parameter("X-List", "header", {}),
        make_parameter("session_id", "cookie", {"type": "string"}),
        make_parameter("tags", "cookie", {}, explode=False),
    ]
    request = make_request({"parameters": parameters}, {"X-List": [1, 2], "session_id": "a b", "tags": ["a", "b"]})
    assert request.headers == {"X-List": "1,2", "Cookie": "session_id=a%20b; tags=a,b"}
    assert (request.target, request.body) == ("/x", b"")


@pytest.mark.parametrize(
    ("scheme", "key", "expected"),
    [
        ({"type": "apiKey", "in": "header", "name": "X-API-Key"}, "X-API-Key", {"X-API-Key": "k"}),
        ({"type": "apiKey", "in": "cookie", "name": "sid"}, "sid", {"Cookie": "sid=k"}),
        ({"type": "http", "scheme": "bearer"}, "Authorization", {"Authorization": "k"}),
        ({"type": "openIdConnect", "openIdConnectUrl": "/o"}, "Authorization", {"Authorization": "k"}),
    ],
)
def test_a_credential_is_sent_where_its_scheme_says_and_never_made_up(
    scheme: dict[str, Any], key: str, expected: dict[str, str]
) -> None:
    rest = {"components": {"securitySchemes": {"login": scheme}}, "security": [{"login": []}]}
    assert make_request({}, {key: "k"}, **rest).headers == expected
    assert make_request({}, {}, **rest).headers == {}


def test_a_key_in_the_query_string_and_swagger_2() -> None:
    rest: dict[str, Any] = {
        "securityDefinitions": {
            "key": {"type": "apiKey", "in": "query", "name": "api_key"},
            "login": {"type": "basic"},
        },
        "version": "2.0",
    }
    operation: dict[str, Any] = {"security": [{"key": []}, {"login": []}]}
    request = make_request(operation, {"api_key": "k", "Authorization": "Basic YQ=="}, **rest)
    assert (request.target, request.headers) == ("/x?api_key=k", {"Authorization": "Basic YQ=="})


def test_a_get_with_a_body_sends_it() -> None:
    operation = make_body({"application/json": {"schema": {"type": "object", "properties": {"size": {}}}}})
    request = make_request(operation, {"size": 1})
    assert (request.method, request.body, request.headers) == (
        "GET",
        b'{"size":1}',
        {"Content-Type": "application/json"},
    )
    assert make_request(operation, {}).body == b""


def test_a_media_type_keeps_its_parameters() -> None:
    operation = make_body({"application/json;v=2.0": {"schema": OBJECT}})
    assert make_request(operation, {}, method="post").headers == {"Content-Type": "application/json;v=2.0"}


@pytest.mark.parametrize(
    ("schema", "fields", "expected"),
    [
        ({"type": "array"}, {"body": [1]}, [1]),
        ({"type": "string"}, {"body": "a"}, "a"),
        ({}, {"body": "a"}, "a"),
        ({}, {"body": {"body": "a"}}, {"body": "a"}),
        ({}, {"body": {"a": 1}}, {"body": {"a": 1}}),
        ({}, {"body": 1, "b": 2}, {"body": 1, "b": 2}),
        ({"type": "object", "properties": {"body": {}}}, {"body": "a"}, {"body": "a"}),
    ],
)
def test_json_that_is_said_as_body(schema: dict[str, Any], fields: dict[str, Any], expected: Any) -> None:
    request = make_request(make_body({"application/json": {"schema": schema}}), fields, method="post")
    assert json.loads(request.body) == expected


def test_styles_of_an_urlencoded_body() -> None:
    encoding = {"meta": {"style": "deepObject", "explode": True}, "tags": {"style": "form", "explode": False}}
    content = {"application/x-www-form-urlencoded": {"schema": OBJECT, "encoding": encoding}}
    fields = {"meta": {"id": "6735"}, "tags": ["a", "b"], "plain": {"a": 1}, "many": [1, 2], "none": None}
    request = make_request(make_body(content), fields, method="post")
    assert request.body == b"meta%5Bid%5D=6735&tags=a,b&plain=%7B%22a%22%3A1%7D&many=1&many=2"


def test_parts_of_a_multipart_body_have_their_media_types() -> None:
    schema = {
        "type": "object",
        "properties": {"meta": OBJECT, "note": {"type": "string"}, "file": {"type": "string", "format": "binary"}},
    }
    encoding = {
        "note": {"contentType": "text/markdown", "headers": {"X-Kind": {"schema": {"const": "n"}}}},
        "inner": {"contentType": "application/x-www-form-urlencoded"},
    }
    file = {"filename": 'a"b.wav', "content_type": "audio/wav", "data": base64.b64encode(b"RIFF").decode()}
    content = {"multipart/form-data": {"schema": schema, "encoding": encoding}}
    fields = {"meta": {"a": 1}, "note": "n", "file": file, "n": 3, "inner": {"a": [1, 2], "b": "c d"}}
    request = make_request(make_body(content), fields, method="post")
    assert read_parts(request) == {
        "meta": ("application/json", None, b'{"a":1}'),
        "note": ("text/markdown", None, b"n"),
        "file": ("audio/wav", "a%22b.wav", b"RIFF"),
        "n": (None, None, b"3"),
        "inner": ("application/x-www-form-urlencoded", None, b"a=1&a=2&b=c+d"),
    }
    assert b"X-Kind: n\r\n" in request.body


@pytest.mark.parametrize(
    ("uri", "content", "media_type"),
    [
        ("data:text/plain;base64,aGk", b"hi", "text/plain"),
        ("data:text/plain;utf8;BASE64 ,aGk%3D", b"hi", "text/plain; utf8"),
        ("data:,a%20b#c", b"a b", 'text/plain; charset="US-ASCII"'),
    ],
)
def test_files_as_data_uris(uri: str, content: bytes, media_type: str) -> None:
    schema = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
    request = make_request(make_body({"multipart/form-data": {"schema": schema}}), {"file": uri}, method="post")
    assert read_parts(request)["file"] == (media_type, "file", content)  # as the parser writes it


def test_other_bodies() -> None:
    lines = make_request(make_body({"application/json-seq": {"itemSchema": OBJECT}}), {"body": [{}, 1]}, method="post")
    assert lines.body == b"\x1e{}\n\x1e1\n"
    text = make_request(make_body({"text/plain; charset=latin-1": {}}), {"text": "ü"}, method="post")
    assert (text.body, text.headers["Content-Type"]) == (b"\xfc", "text/plain; charset=latin-1")
    binary = make_request(make_body({"audio/wav": {}}), {"data": "UklG Rg"}, method="post")
    assert (binary.body, binary.headers["Content-Type"]) == (b"RIFF", "audio/wav")


@pytest.mark.parametrize(
    ("content", "fields", "message"),
    [
        ({"text/plain": {}}, {"data": "x"}, "`text`"),
        ({"audio/wav": {}}, {"data": "a"}, "base64"),
        ({"application/jsonl": {}}, {"body": 1}, "a list as `body`"),
        ({"application/json": {"schema": {"type": "array"}}}, {"a": 1}, "`body`"),
        ({"text/plain; charset=ascii": {}}, {"text": "ü"}, "ascii"),
        ({"multipart/form-data": {"encoding": {"a": {"contentType": "text/xml"}}}}, {"a": {}}, "`a` is text/xml"),
    ],
)
def test_what_a_body_cannot_have_is_an_error(content: dict[str, Any], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(WrapperError, match=message):
        make_request(make_body(content), fields, method="post")


def test_swagger_2_forms_and_lists() -> None:
    fields = [
        make_parameter("tags", "formData", type="array", items={"type": "string"}),
        make_parameter("more", "formData", type="array", items={"type": "string"}, collectionFormat="multi"),
        make_parameter("ids", "query", type="array", items={}, collectionFormat="pipes"),
    ]
    operation = {"parameters": fields, "consumes": ["application/x-www-form-urlencoded"]}
    example = {"tags": ["a", "b"], "more": ["c", "d"], "ids": [1, 2]}
    request = make_request(operation, example, method="post", version="2.0")
    assert (request.target, request.body) == ("/x?ids=1%7C2", b"tags=a,b&more=c&more=d")


def test_openapi_3_2() -> None:
    whole = make_parameter("q", "querystring", content={"application/x-www-form-urlencoded": {"schema": OBJECT}})
    assert make_request({"parameters": [whole]}, {"q": {"a": [1, 2], "b": "c d"}}).target == "/x?a=1&a=2&b=c%20d"
    selector = make_parameter("q", "querystring", content={"application/jsonpath": {"schema": {"type": "string"}}})
    assert make_request({"parameters": [selector]}, {"q": "$.a"}).target == "/x?%24.a"
    assert make_request({}, {"q": 1}, method="query").method == "QUERY"


def test_a_required_parameter_that_discovery_lost_is_sent_with_a_value_of_its_own() -> None:
    parameters = [
        make_parameter("X-Kind", "header", {"type": "string", "enum": ["a"]}, required=True),
        make_parameter("sid", "cookie", {"type": "string", "example": "s"}, required=True),
        make_parameter("page", "query", {"type": "integer", "default": 3}),
    ]
    document = ServiceDocument(make_document({"parameters": parameters}))
    client = DirectClient(documents={PORT: document})
    route = Route(path="/x", method="GET")  # as if it had no parameters
    assert client.build_request(route, PORT, {}).headers == {"X-Kind": "a", "Cookie": "sid=s"}
    assert client.build_request(route, PORT, {}, header_names=["x-kind"]).headers == {"Cookie": "sid=s"}


def test_a_route_without_a_document_is_called_as_it_says() -> None:
    route = Route.model_validate({
        "path": "/a",
        "target_path": "/x/{id}/{rest:path}?fixed=1",
        "method": "POST",
        "parameters": [{"name": "q", "in": "query"}, {"name": "fixed", "in": "query"}],
        "request": {"encoding": "multipart", "files": ["f"], "parts": {"m": {"content_type": "application/json"}}},
    })  # fmt: skip
    example = {"id": "a/b", "rest": "c/d", "q": 1, "fixed": 2, "m": [1], "f_base64": "aGk="}
    request = DirectClient().build_request(route, PORT, example)
    assert (request.method, request.target) == ("POST", "/x/a%2Fb/c/d?fixed=1&q=1")
    assert read_parts(request) == {
        "m": ("application/json", None, b"1"),
        "f": ("application/octet-stream", "file", b"hi"),
    }


def test_a_variable_in_the_query_of_a_path_may_be_a_query_parameter() -> None:
    path, operation = "/x?mode={mode}&fixed=1", {"parameters": [make_parameter("mode", "query", {"example": "m"})]}
    assert make_request(operation, {"mode": "a&b"}, path=path).target == "/x?mode=a%26b&fixed=1"
    assert make_request(operation, {}, path=path).target == "/x?mode=m&fixed=1"
    other = {"parameters": [make_parameter("m", "query", {"type": "array"})]}
    assert make_request(other, {"m": [1, "a"]}, path="/x?mode={m}").target == "/x?mode=1%2Ca"
    route = Route.model_validate({"path": path, "method": "GET", "parameters": [{"name": "mode"}]})
    assert DirectClient().build_request(route, PORT, {"mode": "a"}).target == "/x?mode=a&fixed=1"


def test_a_missing_path_value_is_an_error_and_other_keys_of_a_get_go_into_the_query_string() -> None:
    client = DirectClient()
    with pytest.raises(WrapperError, match="`id`"):
        client.build_request(Route(path="/x/{id}", method="GET"), PORT, {"id": ""})
    assert client.build_request(Route(path="/x", method="GET"), PORT, {"a": [1]}).target == "/x?a=%5B1%5D"
    assert client.build_request(Route(path="/x", method="POST"), PORT, {"a": [1]}).body == b'{"a":[1]}'


def test_a_file_makes_the_body_of_a_route_without_a_format_multipart() -> None:
    file = {"filename": "a.txt", "data": "aGk="}
    request = DirectClient().build_request(Route(path="/x"), PORT, {"f": [file], "n": 1})
    assert read_parts(request) == {"f": ("application/octet-stream", "a.txt", b"hi"), "n": (None, None, b"1")}


def test_an_empty_call_of_a_method_of_its_own_has_no_body() -> None:
    operation = make_body({"application/json": {"schema": OBJECT}})
    document = {**make_document({}), "paths": {"/x": {"additionalOperations": {"LINK": operation}}}}
    link = ServiceDocument(document).find_operation("LINK", "/x")
    assert link is not None
    assert build_request(link, PORT, {}).body == b""
    assert build_request(link, PORT, {"a": 1}).body == b'{"a":1}'


@pytest.mark.parametrize(
    ("name", "place", "value", "reason"),
    [
        ("X-A", "header", "a\r\nX-Injected: 1", "contains line breaks"),
        ("X-A", "header", "a\0b", "contains line breaks or other control characters"),
        ("c", "cookie", {"a; admin": "1"}, "another cookie: 'a; admin=1'"),
    ],
)
def test_a_value_does_not_become_another_header_or_cookie(name: str, place: str, value: Any, reason: str) -> None:
    with pytest.raises(WrapperError, match=reason):
        make_request({"parameters": [make_parameter(name, place, {})]}, {name: value})


def test_names_that_no_request_can_have_are_left_out() -> None:
    names = [("a\r\nX-Injected", "header"), ("d; admin", "cookie"), ("ok[0]", "cookie")]
    parameters = [make_parameter(name, place, {"example": "1"}, required=True) for name, place in names]
    assert make_request({"parameters": parameters}, {}).headers == {"Cookie": "ok[0]=1"}


def test_keys_of_the_body_are_not_parameters_of_that_name() -> None:
    operation = {"parameters": [make_parameter("text", "query", {}), make_parameter("X-A", "header", {})]}
    text = make_request({**operation, **make_body({"text/plain": {}})}, {"text": "a"}, method="post")
    assert (text.target, text.body) == ("/x", b"a")
    schema = {"schema": {"type": "object", "properties": {"x-a": {}}}}
    body = make_request({**operation, **make_body({"application/json": schema})}, {"x-a": 1}, method="post")
    assert (body.headers.get("X-A"), body.body) == (None, b'{"x-a":1}')


@pytest.mark.parametrize(
    ("parameter", "value", "target"),
    [
        ({"schema": {"type": "array"}}, ["a", None], "/x?q=a"),
        ({"schema": {"type": "array"}, "style": "form", "explode": False}, [], "/x"),
        ({"content": {"application/json": {"schema": {"type": "string"}}}}, "a", "/x?q=%22a%22"),
        ({"content": {"application/json": {"schema": {"type": "array"}}}}, "[1]", "/x?q=%5B1%5D"),
    ],
)
def test_what_is_undefined_is_not_sent_and_json_is_json(parameter: dict[str, Any], value: Any, target: str) -> None:
    assert make_request({"parameters": [make_parameter("q", "query", **parameter)]}, {"q": value}).target == target


def test_a_credential_has_the_value_of_another_parameter_of_its_name() -> None:
    scheme = {"securitySchemes": {"k": {"type": "apiKey", "in": "query", "name": "key"}}}
    operation = {"parameters": [make_parameter("key", "header", {})], "security": [{"k": []}]}
    request = make_request(operation, {"key": "a"}, components=scheme)
    assert (request.target, request.headers) == ("/x?key=a", {"key": "a"})
