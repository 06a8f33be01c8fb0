"""A request for the service arrives through its route as it was sent, or is refused with the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.host.forwarding.multipart_reader import parse_multipart
from chutes_wrappers.host.forwarding.tunnel_required import TunnelRequired
from chutes_wrappers.runtime.tunnel_frames import TunnelCall
from tests.host.forwarding.round_trips import find_call, make_call, make_table, read_body, send

EVERY_BYTE = bytes(range(256))
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
GET: dict[str, Any] = {"method": "GET"}
FORMS: dict[str, Any] = {"request": {"encoding": "form"}}
PARTS: dict[str, Any] = {"request": {"encoding": "multipart", "files": ["file"]}}


def get_with(**parameter: Any) -> dict[str, Any]:
    """A GET with one parameter."""
    return {**GET, "parameters": [parameter]}


@pytest.mark.parametrize(
    ("route", "target"),
    [
        (GET, "/a?b=%C3%A9&c="),
        (GET, "/a?q=a%20b"),
        ({**GET, "path": "/v/{id}/X.wav"}, "/v/a%20b%2Fc/X.wav"),
        ({"method": "DELETE", "path": "/v/{id}"}, "/v/7?force=1"),
        ({**GET, "path": "/f/{path:path}"}, "/f/a/b.txt"),
        (get_with(name="tag", type="array"), "/a?x=1&tag=1&tag=2%2C3&tag=%5B4%5D"),
        (get_with(name="tag", type="array", explode=False), "/a?tag=2,3%2C4"),
        (get_with(name="tag", type="object", explode=False), "/a?tag=x,1,y,2"),
        (get_with(name="tag", type="object", style="deepObject"), "/a?tag%5Bx%5D=1"),
        (get_with(name="q", **{"in": "querystring"}), "/a?x=1&x=2"),
        ({**get_with(name="q"), "target_path": "/a?q={q}&x=1"}, "/a?q=a%26b&x=1"),
        ({**GET, "path": "/p/{ids}", "parameters": [{"name": "ids", "in": "path", "type": "array"}]}, "/p/1,2%2C3"),
        ({**GET, "path": "/p/{ids}", "parameters": [{"name": "ids", "in": "path", "style": "label"}]}, "/p/.1"),
        ({**GET, "path": "/p/{ids}", "parameters": [{"name": "ids", "in": "path", "style": "matrix"}]}, "/p/;ids=1"),
    ],
)  # fmt: skip
def test_a_target_arrives(route: dict[str, Any], target: str) -> None:
    method = route.get("method", "POST")
    request = send(make_table(route), make_call(method, target))
    assert (request.method, request.target, read_body(request)) == (method, target, ("", b""))


@pytest.mark.parametrize(
    ("route", "target", "arriving"),
    [
        (GET, "/a?&&q=a+b&x=", "/a?q=a%20b&x="),  # one query in the WHATWG's reading
        (GET, "/a?b=2&a=1,2", "/a?b=2&a=1%2C2"),
        ({"parameters": [{"name": "tag"}], "request": {"encoding": "none"}}, "/a?tag=1&tag=2", "/a?tag=1&tag=2"),
        ({**GET, "path": "/files/{name}"}, "/files/x/2026/a%20b", "/files/x%2F2026%2Fa%20b"),
    ],
)
def test_another_spelling_of_a_target_arrives(route: dict[str, Any], target: str, arriving: str) -> None:
    assert send(make_table(route), make_call(route.get("method", "POST"), target)).target == arriving


@pytest.mark.parametrize(
    ("route", "target", "reason"),
    [
        (GET, "/a?tag=1&tag=2", "'tag' would change"),
        (GET, "/a?q=%FF", "'q' would change"),
        (GET, "/a?flag", "'flag' would change"),
        (GET, "/a?q=%zz", "'q' would change"),
        (GET, "/a?q=1;r=2", "'q' would change"),
        (GET, "/a?stream=1", "as a stream"),
        ({**GET, "path": "/v/{id}"}, "/v/1?id=2", "'id' would change"),
        ({**GET, "path": "/v/{id}"}, "/v/%FF", "the path would be written differently"),
        ({**GET, "path": "/v/{id}"}, "/v/a;b=1", "the path would be written differently"),
        ({**GET, "path": "/v/{id}"}, "/v/%2E%2E", "not possible"),
        ({**GET, "path": "/f/{path:path}"}, "/f/a%2Fb", "the path would be written differently"),
        ({**GET, "path": "/a", "target_path": "/a?op=1"}, "/a", "'op' would change"),
        ({**GET, "path": "/a", "target_path": "/a?op=1"}, "/a?op=2", "not possible"),
        (get_with(name="tag", type="array", explode=False), "/a?tag=1,2&tag=3", "'tag' would change"),
    ],
)
def test_a_target_that_the_route_cannot_say_is_refused(route: dict[str, Any], target: str, reason: str) -> None:
    with pytest.raises(TunnelRequired, match=reason):
        find_call(make_table(route), make_call("GET", target))


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "get"])
def test_another_method_is_another_operation(method: str) -> None:
    with pytest.raises(TunnelRequired) as caught:
        find_call(make_table(GET), make_call(method, "/a"))
    assert caught.value.status == 404
    text = caught.value.to_error("deploy_x.py").text
    assert text.endswith("only the tunnel carries this: add register_tunnel(chute, SERVICE_PORTS) to deploy_x.py")


def test_of_routes_with_one_path_the_one_with_the_requests_query_is_called() -> None:
    jobs = [{"path": f"/jobs/{op}", "target_path": f"/jobs?op={op}", "request": {"encoding": "none"}} for op in ("start", "stop")]  # fmt: skip
    table = make_table(*jobs)
    for op in ("start", "stop"):
        assert send(table, make_call("POST", f"/jobs?op={op}")).target == f"/jobs?op={op}"
    with pytest.raises(TunnelRequired):
        find_call(table, make_call("POST", "/jobs?op=pause"))


PARAMETERS: dict[str, Any] = {
    **GET,
    "parameters": [
        {"name": "X-Mode", "in": "header"},
        {"name": "session_id", "in": "cookie"},
        {"name": "Authorization", "in": "header", "credential": True},
    ],
}


@pytest.mark.parametrize(
    ("headers", "arriving"),
    [
        ({"x_mode": "fast", "Accept": "*/*", "User_Agent": "x", "Sec_Fetch_Mode": "cors", "X_Stainless_Lang": "python"}, {"X-Mode": "fast"}),
        ({"Cookie": "session_id=s1"}, {"Cookie": "session_id=s1"}),
        ({"Authorization": "Bearer k"}, {"Authorization": "Bearer k"}),
        ({"Accept": "text/html,*/*;q=0.8", "Range": "bytes=0-", "Connection": "close, x-hop", "X_Hop": "1"}, {}),
    ],
)  # fmt: skip
def test_declared_headers_arrive_and_harmless_ones_are_left_out(
    headers: dict[str, str], arriving: dict[str, str]
) -> None:
    assert send(make_table(PARAMETERS), make_call("GET", "/a", **headers)).headers == arriving


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Tenant": "7"}, {"Cookie": "session_id=1; other=2"}, {"Accept": "application/xml"}, {"Accept": "*/*;q=0"},
        {"Range": "bytes=5-9"}, {"If_Match": '"x"'}, {"X_HTTP_Method_Override": "DELETE"}, {"Expect": "202-later"},
        {"X_Mode": "\xff"}, {"X_Mode": "a\tb"}, {"Cookie": "session_id=1; session_id=2"}, {"X_API_Key": "k"},
    ],
)  # fmt: skip
def test_a_header_that_may_mean_something_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(TunnelRequired) as caught:
        find_call(make_table(PARAMETERS), make_call("GET", "/a", **headers))
    assert "k" not in str(caught.value).split()


def test_an_undeclared_authorization_is_left_out_and_named() -> None:
    exact = find_call(make_table(GET), make_call("GET", "/a", Authorization="Bearer k"))
    assert exact.lost_headers == ("authorization",)
    assert "Bearer" not in repr(exact)


def test_a_credential_of_the_query_is_not_the_field_of_that_name_in_the_body() -> None:
    route = {"parameters": [{"name": "key", "credential": True, "shared": True}]}
    request = send(make_table(route), make_call("POST", "/a?key=q", b'{"x":1}', content_type=JSON))
    assert (request.target, read_body(request)) == ("/a?key=q", (JSON, b'{"x":1}'))


def test_a_credential_of_a_post_is_not_in_its_url() -> None:
    route = {"parameters": [{"name": "X-API-Key", "in": "header", "credential": True}]}
    exact = find_call(make_table(route), make_call("POST", "/a", b"{}", x_api_key="k", Content_Type=JSON))
    assert (exact.values.query, exact.values.body) == ((), {"X-API-Key": "k"})


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])) | st.just("body"), inner)
    ),
    max_leaves=8,
)


@given(value=JSON_VALUES, wrapped=st.sampled_from([None, True, False]))
def test_any_json_arrives(value: Any, wrapped: bool | None) -> None:
    table = make_table({"request": {"encoding": "json", "wrapped": wrapped}})
    call = make_call("POST", "/a", json.dumps(value).encode(), Content_Type="application/json; charset=utf-8")
    try:
        kind, body = read_body(send(table, call))
    except TunnelRequired:  # of a schema that allows objects only, and an object with `stream`
        is_switch = isinstance(value, dict) and value.get("stream")
        assert is_switch or (wrapped is False and not isinstance(value, dict))
        return
    assert kind == JSON
    assert repr(json.loads(body)) == repr(value)


@pytest.mark.parametrize("text", ['{"body": "hi"}', '{"body": {"body": 1}}', '{"body": {"a": 1}}', "5", "[]", "null"])
@pytest.mark.parametrize("route", [{}, {"request": {"encoding": "json"}}])
def test_an_object_that_looks_wrapped_arrives_as_it_is(route: dict[str, Any], text: str) -> None:
    _, body = read_body(send(make_table(route), make_call("POST", "/a", text.encode(), Content_Type=JSON)))
    assert json.loads(body) == json.loads(text)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a": 1, "a": 2}', "'a' twice"), (b'{"a": 1e400}', "too large"), (b"18446744073709551616", "64 bits"),
        (b"NaN", "not a JSON value"), (b'"\\ud800"', "surrogate"), (b"\xef\xbb\xbf{}", "not valid JSON"), (b"{", "not valid JSON"),
        ("é".encode("utf-16"), "not UTF-8"), (b"[" * 100_000, "too deeply"), (b'{"stream": true}', "as a stream"),
        (b'{"id": 1}', "'id' would change"),
    ],
)  # fmt: skip
def test_json_that_would_change_is_refused(body: bytes, reason: str) -> None:
    route = {"parameters": [{"name": "id"}]}
    with pytest.raises(TunnelRequired, match=reason):
        find_call(make_table(route), make_call("POST", "/a", body, Content_Type=JSON))


def test_a_key_of_the_body_that_the_path_has_too_arrives() -> None:
    request = send(make_table({"path": "/v/{id}"}), make_call("POST", "/v/7", b'{"id": 8}', Content_Type=JSON))
    assert (request.target, read_body(request)[1]) == ("/v/7", b'{"id":8}')


@pytest.mark.parametrize(
    ("route", "headers", "body"),
    [
        ({}, {"Content_Type": "audio/wav"}, b"{}"),
        ({}, {"Content_Type": FORM}, b'{"a": 1}'),
        ({}, {}, b"{}"),
        ({}, {"Content_Type": "application/vnd.other+json"}, b"{}"),
        ({}, {"Content_Type": JSON, "Content_Encoding": "gzip"}, b"{}"),
        ({}, {}, b""),
        ({"method": "PUT", "request": {"encoding": "none"}}, {"Content_Type": JSON}, b"{}"),
        (GET, {"Content_Type": JSON}, b"{}"),
        ({"request": {"encoding": "text"}}, {"Content_Type": "text/plain"}, b"\xff"),
        *(
            ({"request": {"encoding": "text"}}, {"Content_Type": f"text/plain; {charset}"}, b"x")
            for charset in ("charset=nonsense", "charset=undefined")
        ),
        (PARTS, {"Content_Type": "multipart/form-data; boundary*=nonsense''B"}, b"--B--"),
        (PARTS, {"Content_Type": "multipart/form-data"}, b"x"),
    ],
)
def test_a_body_of_another_kind_is_refused(route: dict[str, Any], headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(TunnelRequired):
        find_call(make_table(route), make_call(route.get("method", "POST"), "/a", body, **headers))


def test_a_media_type_arrives_with_its_parameters() -> None:
    table = make_table({"request": {"encoding": "json", "content_type": "application/json;v=2.0"}})
    request = send(table, make_call("POST", "/a", b"{}", Content_Type='Application/JSON; v="2.0"'))
    assert request.headers["Content-Type"] == "application/json;v=2.0"
    with pytest.raises(TunnelRequired, match=r"Content-Type would become application/json;v=2\.0"):
        find_call(table, make_call("POST", "/a", b"{}", Content_Type="application/json;v=1.0"))


def test_the_body_of_a_get_arrives() -> None:
    table = make_table({**GET, "request": {"encoding": "json"}})
    request = send(table, make_call("GET", "/a", b'{"query": 1}', Content_Type=JSON))
    assert (request.method, read_body(request)) == ("GET", (JSON, b'{"query":1}'))


@given(st.binary())
def test_bytes_arrive(data: bytes) -> None:
    table = make_table({"request": {"encoding": "binary", "content_type": "image/png"}})
    for kind in ("audio/wav", "image/png"):
        assert read_body(send(table, make_call("POST", "/a", data, Content_Type=kind))) == (kind, data)
    assert read_body(send(table, make_call("POST", "/a", data)))[1] == data


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_text_arrives_in_its_charset(charset: str) -> None:
    kind, data = f"text/plain; charset={charset}", 'é\r\n\0{"a": 1}'.encode(charset)
    table = make_table({"request": {"encoding": "text"}})
    assert read_body(send(table, make_call("POST", "/a", data, Content_Type=kind))) == (kind, data)


@pytest.mark.parametrize("kind", ["application/jsonl", "application/x-ndjson"])
def test_json_lines_arrive(kind: str) -> None:
    table = make_table({"request": {"encoding": "lines", "content_type": kind}})
    sent = read_body(send(table, make_call("POST", "/a", b'{"a": 1}\n[2]\n', Content_Type=kind)))
    assert (sent[0], [json.loads(line) for line in sent[1].splitlines()]) == (kind, [{"a": 1}, [2]])


@pytest.mark.parametrize(
    ("route", "form"),
    [
        (FORMS, b"b=%C3%A9+x&a=1&a=2&data="),
        ({"request": {"encoding": "form", "parts": {"a": {"style": "form", "explode": False}}}}, b"a=1,2%2C3&b=1,"),
        ({"request": {"encoding": "form", "parts": {"a": {"content_type": JSON}}}}, b"a=%7B%22x%22%3A1%7D"),
    ],
)
def test_a_form_arrives(route: dict[str, Any], form: bytes) -> None:
    kind, body = read_body(send(make_table(route), make_call("POST", "/a", form, Content_Type=FORM)))
    assert (kind, body.replace(b"b=1%2C", b"b=1,")) == (FORM, form)


@pytest.mark.parametrize("form", [b"a=1&b=2&a=3", b"a=%FF", b"a=1;b=2", b"a=%zz"])
def test_a_form_that_would_change_is_refused(form: bytes) -> None:
    with pytest.raises(TunnelRequired):
        find_call(make_table(FORMS), make_call("POST", "/a", form, Content_Type=FORM))


@pytest.mark.parametrize("request_format", [PARTS["request"], {"encoding": "multipart"}, None])
def test_an_upload_arrives_with_names_and_types(request_format: dict[str, Any] | None) -> None:
    files = [
        ("file", ("ä ö.bin", EVERY_BYTE, "x/y")),
        ("file", ("two", b"2", "x/z")),
        ("body", (None, "1")),
        ("data", ("empty.txt", b"", "text/plain; charset=latin-1")),
    ]
    original = requests.Request("POST", "http://a/", files=files).prepare()
    assert isinstance(original.body, bytes)
    kind = original.headers["Content-Type"]
    request = send(make_table({"request": request_format}), make_call("POST", "/a", original.body, Content_Type=kind))
    assert parse_multipart(*read_body(request)) == parse_multipart(kind, original.body)


def make_part(head: str, data: str = "1") -> str:
    return f"--B\r\nContent-Disposition: form-data; {head}\r\n\r\n{data}\r\n"


@pytest.mark.parametrize(
    "part",
    [
        make_part('name="meta"\r\nContent-Type: application/json', '{"title": "x"}'),
        make_part('name="meta"\r\nContent-Type: application/json; charset=UTF-8', '{"title": 1.0}'),
        make_part('name="a"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: binary', "é"),
        make_part('name="file"; filename=""\r\nContent-Type: application/octet-stream', ""),
    ],
)
def test_the_headers_of_a_part_arrive(part: str) -> None:
    table = make_table({"request": {"encoding": "multipart", "parts": {"meta": {"content_type": JSON}}}})
    kind = "multipart/form-data; boundary=B"
    ((_, parts),) = [read_body(send(table, make_call("POST", "/a", f"{part}--B--".encode(), Content_Type=kind)))]
    field = parse_multipart(kind, f"{part}--B--".encode())[0]
    assert parts.count(b"\r\nContent-Disposition: ") == 1 or parts.lower().count(b"content-disposition") == 1
    assert (b'"title"' in parts) == (field.name == "meta")


@pytest.mark.parametrize(
    "body",
    [
        make_part('name="a"') + make_part('name="b"') + make_part('name="a"'),
        make_part('name="a"\r\nContent-Type: text/xml', "<a/>"),
        make_part('name="a"\r\nX-Own: 1'),
        make_part('name="a"; extra=1'),
        make_part('filename="x"'),
        make_part('name="a"\r\nContent-Transfer-Encoding: base64', "MQ=="),
    ],
)
def test_a_multipart_body_that_would_change_is_refused(body: str) -> None:
    kind = "multipart/form-data; boundary=B"
    with pytest.raises(TunnelRequired):
        find_call(make_table(PARTS), make_call("POST", "/a", f"{body}--B--".encode(), Content_Type=kind))


def test_a_route_of_the_sdks_passthrough_takes_objects_only() -> None:
    table = make_table({"native": True})
    exact = find_call(table, make_call("POST", "/a?x=1", b'{"body": 1}', Content_Type=JSON))
    assert (exact.values.query, exact.values.body) == ((("x", "1"),), {"body": 1})
    with pytest.raises(TunnelRequired):
        find_call(table, make_call("POST", "/a", b"[1]", Content_Type=JSON))


def test_a_delete_that_is_public_as_such_has_a_query_but_no_body() -> None:
    route = Route.model_validate({"path": "/a", "port": 8020, "method": "DELETE"})
    table = RouteTable(plan_cords([route], 8020, public_methods=("GET", "POST", "DELETE")).cords)
    assert find_call(table, TunnelCall(port=8020, method="DELETE", target="/a?b=1")).values.query == (("b", "1"),)
    with pytest.raises(TunnelRequired, match="the body would be lost"):
        find_call(table, TunnelCall(port=8020, method="DELETE", target="/a?b=1", body=b"{}"))


def test_a_request_without_a_body_to_a_route_that_may_have_text_gets_no_media_type() -> None:
    route = {"target_method": "PROPFIND", "request": {"encoding": "text", "content_type": "application/xml"}}
    request = send(make_table(route), make_call("PROPFIND", "/a"))
    assert (request.headers, read_body(request)) == ({}, ("", b""))


def test_an_empty_body_of_lines_arrives() -> None:
    route = {"request": {"encoding": "lines", "content_type": "application/jsonl"}}
    request = send(make_table(route), make_call("POST", "/a", content_type="application/jsonl"))
    assert read_body(request) == ("application/jsonl", b"")
