from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.path_segments import find_path_problem
from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.parameters import build_target

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def route(target: str, *parameters: dict[str, Any]) -> Route:
    return Route.model_validate({"path": "/x", "target_path": target, "parameters": parameters})


def target(target: str, *parameters: dict[str, Any], query: dict[str, str] | None = None, **fields: Any) -> str:
    return build_target(route(target, *parameters), query or {}, fields).target


def test_a_path_parameter_comes_from_the_query_string_or_from_the_body_and_is_taken_out_of_both() -> None:
    assert target("/v/{id}", query={"id": "7"}) == "/v/7"
    fields = {"id": 7, "other": 1}
    assert build_target(route("/v/{id}"), {}, fields).target == "/v/7"
    assert fields == {"other": 1}


def test_the_query_string_overrides_the_body_which_is_unchanged() -> None:
    fields = {"id": "body"}
    assert build_target(route("/v/{id}"), {"id": "query"}, fields).target == "/v/query"
    assert fields == {"id": "body"}


def test_a_field_that_the_body_has_too_stays_in_the_body() -> None:
    fields = {"id": 7, "q": "x"}
    shared = [{"name": "id", "in": "path", "shared": True}, {"name": "q", "in": "query", "shared": True}]
    assert build_target(route("/v/{id}", *shared), {}, fields).target == "/v/7"
    assert fields == {"id": 7, "q": "x"}


def test_the_upstream_path_is_kept_exactly() -> None:
    assert target("/Voices/{voice_id}/Sample.WAV/", voice_id="Ä b") == "/Voices/%C3%84%20b/Sample.WAV/"
    assert target("/a%2Fb/ü//c") == "/a%2Fb/%C3%BC//c"


def test_a_fragment_is_dropped_and_a_query_in_the_path_stays() -> None:
    assert target("/?Action=List#v1", query={"x": "1"}) == "/?Action=List&x=1"


def test_a_parameter_in_the_query_of_the_path_is_filled_in_there() -> None:
    assert target("/search?q={q}&v=1", q="a b&c") == "/search?q=a%20b%26c&v=1"
    assert target("/search?q={q}", {"name": "q", "in": "query"}, query={"q": "x", "n": "2"}) == "/search?q=x&n=2"
    with pytest.raises(CallFailed, match="`q` is missing"):
        target("/search?q={q}")


@pytest.mark.parametrize(
    "value",
    [".", "..", "..;", ".;x=1", "../admin/secret", "..\\admin", "a/../../b", "a\\..\\b", "..;/admin", "%2e%2e", ".%2e", "%252e%252e",
     "..%5cadmin", "%" + "25" * 50 + "2e", "%c0%ae%c0%ae", "%u002e%u002e", "..%00", "..?x", "/..", [".."], {"a": "/../b"}],
)  # fmt: skip
@pytest.mark.parametrize("template", ["/files/{name}", "/files/{name:path}", "/files/{name+}", "/files/a{name}b"])
def test_a_value_that_would_change_the_path_is_rejected(template: str, value: Any) -> None:
    for wrapped in [value, f"a/{value}/b"] if isinstance(value, str) else [value]:
        with pytest.raises(
            CallFailed, match=r"`name` = .* would result in another path: it contains the segment"
        ) as caught:
            target(template, name=wrapped)
        assert (caught.value.status, caught.value.detail["parameter"]) == (400, "name")


@pytest.mark.parametrize(
    "value", ["a..b", "...", ".hidden", "a.", "..a", "a/b", "%", "%2", "100%25", "a;b", "a;..", ". .a"]
)
def test_dots_and_escapes_elsewhere_in_a_value_reach_the_service(value: str) -> None:
    for template in ("/files/{name}", "/files/{name:path}"):
        assert unquote(target(template, name=value)) == f"/files/{value}"


@pytest.mark.parametrize(
    ("template", "style", "values", "culprit"),
    [
        ("/files/.{name}", None, {"name": "/x"}, "name"),
        ("/files/.{name:path}", None, {"name": "/x"}, "name"),
        ("/files/{name}", "label", {"name": ["/x"]}, "name"),
        ("/files/.%2{name}/{id}", None, {"name": "ex", "id": "1"}, None),
        ("/files/.%2{name}/{id}", None, {"name": "e", "id": "1"}, "name"),
        ("/files/{id}/%25{name}e%2e", None, {"name": "2", "id": "1"}, "name"),
        ("/files/{id}%{name}", None, {"id": ".%2", "name": "5"}, None),
        ("/files/{id}.{name}", None, {"id": "x/", "name": "/x"}, "name"),
    ],
)
def test_a_value_and_the_text_beside_it_do_not_become_a_parent_path(
    template: str, style: str | None, values: dict[str, Any], culprit: str | None
) -> None:
    parameter = {"name": "name", "in": "path", "style": style}
    if culprit is None:
        target(template, parameter, **values)
        return
    with pytest.raises(CallFailed, match="would result in another path: the segment") as caught:
        target(template, parameter, **values)
    assert caught.value.detail["parameter"] == culprit


def test_segments_that_the_route_itself_has_stay() -> None:
    assert target("/a/../b/./{name}", name="c") == "/a/../b/./c"
    with pytest.raises(CallFailed, match="another path"):
        target("/a/../b/./{name}", name="..")


def test_a_value_in_the_query_may_contain_any_segment() -> None:
    assert target("/files?name={name}", name="../a") == "/files?name=..%2Fa"
    assert target("/files", query={"name": "../a"}) == "/files?name=..%2Fa"


def _decode_and_normalise(path: str, rounds: int) -> str:
    """Return the path as a server reads it that decodes ``rounds`` times; it starts with a slash."""
    for _ in range(rounds):
        path = unquote(path)
    segments = [segment.partition(";")[0] for segment in path.replace("\\", "/").split("/")]
    return posixpath.normpath("/" + "/".join(segment for segment in segments if segment))


PIECES = st.sampled_from(
    [".", "..", "/", "\\", ";", "%", "2e", "2f", "5c", "25", "3b", "2", "5", "e", "f", "a", "é", "%2e", "%252E"]
)


@given(
    st.lists(PIECES, min_size=1, max_size=12).map("".join),
    st.lists(PIECES, min_size=1, max_size=12).map("".join),
    st.sampled_from(["/files/{a}/{b}", "/files/{a:path}", "/files/.{a}", "/files/{a}.{b}", "/files/x%{a}y{b}"]),
)
def test_no_value_leads_out_of_its_route_however_often_a_server_decodes(first: str, second: str, template: str) -> None:
    try:
        path = target(template, a=first, b=second).partition("?")[0]
    except CallFailed:
        return
    for rounds in range(len(path)):
        assert f"{_decode_and_normalise(path, rounds)}/".startswith("/files/")


@pytest.mark.parametrize("style", ["simple", "label", "matrix"])
@pytest.mark.parametrize("value", [[], {}])
def test_an_empty_path_value_is_rejected(value: Any, style: str) -> None:
    with pytest.raises(CallFailed, match="`id` = '' would result in another path: it is empty"):
        target("/files/{id}", {"name": "id", "in": "path", "style": style}, id=value)


def test_a_semicolon_in_a_value_is_encoded() -> None:
    assert target("/files/{id}", id=";x") == "/files/%3Bx"


def test_a_missing_path_parameter_is_named() -> None:
    with pytest.raises(CallFailed, match=r"`id` is missing.*/v/\{id\}"):
        target("/v/{id}")


@pytest.mark.parametrize("template", ["/f/{name}", "/f/{name:path}", "/f/{name+}"])
def test_slashes_stay_where_the_template_allows_them(template: str) -> None:
    assert target(template, name="a/b") == ("/f/a%2Fb" if template == "/f/{name}" else "/f/a/b")


@pytest.mark.parametrize(
    ("template", "path"), [("{}", "%7B%7D"), ("{*}", "%7B*%7D"), ("{+}", "%7B+%7D"), ("{:path}", "%7B:path%7D")]
)
def test_braces_without_a_name_are_text(template: str, path: str) -> None:
    assert target(f"/{template}/{{a}}?b={template}", a="1") == f"/{path}/1?b={template}"


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        (None, None, ["a", "b"], "t=a&t=b"),
        ("form", False, ["a", "b,c"], "t=a,b%2Cc"),
        ("spaceDelimited", None, ["a", "b c"], "t=a%20b%20c"),
        ("pipeDelimited", False, ["a", "b"], "t=a%7Cb"),
        (None, None, {"x": 1, "y": 2}, "x=1&y=2"),
        ("form", False, {"x": 1, "y": 2}, "t=x,1,y,2"),
        ("deepObject", None, {"x": 1, "y": True}, "t%5Bx%5D=1&t%5By%5D=true"),
        (None, None, False, "t=false"),
        (None, None, 1.5, "t=1.5"),
    ],
)
def test_query_styles(style: str | None, explode: bool | None, value: Any, expected: str) -> None:
    parameter = {"name": "t", "in": "query", "style": style, "explode": explode}
    assert target("/a", parameter, t=value) == f"/a?{expected}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b", ["tag=a&tag=b", "tag=a,b", "tag=a%7Cb"]),
        ('["a,b", 1]', ["tag=a%2Cb&tag=1", "tag=a%2Cb,1", "tag=a%2Cb%7C1"]),
        ("a", ["tag=a"] * 3),
        ("", ["tag="] * 3),
        ("[a", ["tag=%5Ba"] * 3),
        ("5", ["tag=5"] * 3),
        ("{}", ["tag=%7B%7D"] * 3),
        ("[]", ["", "", ""]),
    ],
)
def test_a_list_in_the_query_string_reaches_the_service_in_its_own_style(text: str, expected: list[str]) -> None:
    styles: list[dict[str, Any]] = [{}, {"explode": False}, {"style": "pipeDelimited"}]
    for style, sent in zip(styles, expected, strict=True):
        parameter = {"name": "tag", "in": "query", "type": "array", **style}
        assert target("/a", parameter, query={"tag": text}) == f"/a?{sent}".rstrip("?")


@pytest.mark.parametrize(
    ("style", "expected"),
    [({}, "x=1&y=b"), ({"explode": False}, "f=x,1,y,b"), ({"style": "deepObject"}, "f%5Bx%5D=1&f%5By%5D=b")],
)
def test_an_object_in_the_query_string_is_json(style: dict[str, Any], expected: str) -> None:
    parameter = {"name": "f", "in": "query", "type": "object", **style}
    assert target("/a", parameter, query={"f": '{"x": 1, "y": "b"}'}) == f"/a?{expected}"
    assert target("/a", parameter, query={"f": "x,1"}) == "/a?f=x%2C1"


def test_a_list_may_be_part_of_the_path_or_of_a_query_in_it_or_a_header() -> None:
    in_path = {"name": "ids", "in": "path", "type": "array", "style": "label"}
    assert target("/v/{ids}", in_path, query={"ids": "1,2"}) == "/v/.1,2"
    assert target("/v?q={q}", {"name": "q", "type": "array"}, query={"q": '["a", "b"]'}) == "/v?q=a%2Cb"
    header = {"name": "X-Tags", "in": "header", "type": "array"}
    assert build_target(route("/v", header), {"X-Tags": '["a", "b"]'}, {}).headers == {"X-Tags": "a,b"}


def test_text_is_not_split_without_a_declared_list_or_in_the_body() -> None:
    assert target("/a", {"name": "tag"}, query={"tag": "a,b"}) == "/a?tag=a%2Cb"
    assert target("/a", {"name": "tag", "type": "array"}, tag="a,b") == "/a?tag=a%2Cb"


@pytest.mark.parametrize(
    ("style", "value", "expected"),
    [(None, ["a", "b"], "a,b"), ("label", ["a", "b"], ".a,b"), ("matrix", 5, ";id=5"), (None, {"x": 1}, "x,1")],
)
def test_path_styles(style: str | None, value: Any, expected: str) -> None:
    assert target("/v/{id}", {"name": "id", "in": "path", "style": style}, id=value) == f"/v/{expected}"


def test_a_null_parameter_is_not_sent() -> None:
    assert target("/a", {"name": "t", "in": "query"}, t=None) == "/a"


def test_header_parameters_are_sent_and_cannot_break_out() -> None:
    parameter = {"name": "X-Model", "in": "header"}
    assert build_target(route("/a", parameter), {}, {"X-Model": "large"}).headers == {"X-Model": "large"}
    with pytest.raises(CallFailed, match="control characters"):
        build_target(route("/a", parameter), {}, {"X-Model": "large\r\nHost: other"})


@given(TEXT.filter(lambda text: not find_path_problem(text)), st.dictionaries(TEXT, TEXT, max_size=4))
def test_the_service_reads_what_the_caller_wrote(value: str, query: dict[str, str]) -> None:
    query.pop("id", None)
    parts = urlsplit(target("/v/{id}/x", query=query, id=value))
    assert unquote(parts.path) == f"/v/{value}/x"
    assert parts.path.count("/") == 3
    assert dict(parse_qsl(parts.query, keep_blank_values=True)) == query


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ({"mode": "unsafe"}, {}),
        ({}, {"options": {"mode": "unsafe"}}),
        ({"mode": ""}, {}),
        ({}, {"options": {"blank": "x"}}),
    ],
)
def test_no_caller_overrides_a_key_of_the_routes_own_query(query: dict[str, str], body: dict[str, Any]) -> None:
    entry = {"path": "/x", "target_path": "/x?mode=safe&blank=", "parameters": [{"name": "options", "type": "object"}]}
    route = Route.model_validate(entry)
    with pytest.raises(CallFailed, match=r"`(mode|blank)` is fixed in the path of POST /x\?mode=safe&blank="):
        build_target(route, query, body)
    assert build_target(route, {"mode": "safe", "other": "1"}, {}).target == "/x?mode=safe&blank=&other=1"


JSON_CONTENT = {"content_type": "application/json"}


@pytest.mark.parametrize(
    ("place", "value", "sent"),
    [
        ("query", {"a": [1, None]}, "/v/{p}?p=%7B%22a%22%3A%5B1%2Cnull%5D%7D"),
        ("query", "text", "/v/{p}?p=%22text%22"),
        ("query", [], "/v/{p}?p=%5B%5D"),
        ("path", {"a": 1}, "/v/%7B%22a%22%3A1%7D"),
    ],
)
def test_a_content_parameter_is_compact_json(place: str, value: Any, sent: str) -> None:
    template = "/v/{p}" if place == "path" else "/v/%7Bp%7D"
    sent_target = target(template, {"name": "p", "in": place, **JSON_CONTENT}, p=value)
    assert sent_target.replace("%7Bp%7D", "{p}") == sent


@pytest.mark.parametrize(
    ("type_", "text", "sent"),
    [
        ("object", '{"a": 1.0}', '{"a": 1.0}'),
        (None, "5", "5"),
        (None, "[1", '"[1"'),
        ("array", "a,b", '["a","b"]'),
        ("object", "x", "x"),
    ],
)
def test_json_in_the_query_string_is_sent_as_it_is(type_: str | None, text: str, sent: str) -> None:
    for parameter in (
        {"name": "p", "type": type_, **JSON_CONTENT},
        {"name": "p", "in": "header", "type": type_, **JSON_CONTENT},
    ):
        built = build_target(route("/a", parameter), {"p": text}, {})
        assert (built.headers.get("p") or unquote(built.target.removeprefix("/a?p="))) == sent


def test_content_of_another_media_type_is_text_or_a_form() -> None:
    form = {"name": "p", "content_type": "application/x-www-form-urlencoded"}
    assert target("/a", form, p={"x": "1 2", "y": ["a", "b"]}) == "/a?p=x%3D1%2B2%26y%3Da%26y%3Db"
    xml = {"name": "p", "content_type": "application/xml"}
    assert target("/a", xml, p="<a/>") == "/a?p=%3Ca%2F%3E"
    with pytest.raises(CallFailed, match="`p` is sent as application/xml: send its text"):
        target("/a", xml, p={"a": 1})


@pytest.mark.parametrize(
    ("content_type", "value", "sent"),
    [
        ("", {"q": "a b", "tag": ["x", "y"], "n": None}, "?q=a%20b&tag=x&tag=y"),
        ("application/x-www-form-urlencoded", "q=a%20b&x=[1]", "?q=a%20b&x=[1]"),
        (
            "application/json",
            {"numbers": [1, 2], "flag": None},
            "?%7B%22numbers%22%3A%5B1%2C2%5D%2C%22flag%22%3Anull%7D",
        ),
        ("application/jsonpath", "$.a.b[1:1]", "?%24.a.b%5B1%3A1%5D"),
        ("", None, ""),
    ],
)
def test_one_parameter_may_be_the_whole_query_string(content_type: str, value: Any, sent: str) -> None:
    parameter = {"name": "selector", "in": "querystring", "content_type": content_type}
    assert target("/a", parameter, selector=value) == f"/a{sent}"


def test_fields_of_a_query_string_have_their_formats() -> None:
    parts = {"filter": {"style": "deepObject"}, "tags": {"style": "form", "explode": False}}
    parameter = {"name": "p", "in": "querystring", "parts": parts}
    value = {"filter": {"a": "b c"}, "tags": ["x", "y"], "other": {"z": 1}}
    sent = "/a?filter%5Ba%5D=b%20c&tags=x,y&other=%7B%22z%22%3A1%7D"
    assert target("/a", parameter, p=value) == sent


def test_nothing_else_can_stand_beside_a_query_string_that_is_no_form() -> None:
    parameter = {"name": "p", "in": "querystring", "content_type": "application/json"}
    with pytest.raises(CallFailed, match="`x` cannot be sent: `p` is the whole query string"):
        target("/a", parameter, query={"x": "1"}, p={})
    assert target("/a", {"name": "p", "in": "querystring"}, query={"x": "1"}, p={"y": 2}) == "/a?x=1&y=2"


def test_a_credential_is_sent_wherever_its_name_is_declared() -> None:
    places = [{"name": "api_key", "in": place, "credential": True} for place in ("query", "header", "cookie")]
    for query, fields in (({"api_key": "k"}, {}), ({}, {"api_key": "k"})):
        built = build_target(route("/a", *places), query, fields)
        assert (built.target, built.headers) == ("/a?api_key=k", {"api_key": "k", "Cookie": "api_key=k"})
        assert fields == {}


def test_the_names_of_headers_have_no_case() -> None:
    parameter = {"name": "X-API-Key", "in": "header", "credential": True}
    for query, fields in (({"x-api-key": "k"}, {}), ({}, {"X-Api-Key": "k"})):
        built = build_target(route("/a", parameter), query, fields)
        assert (built.target, built.headers, fields) == ("/a", {"X-API-Key": "k"}, {})


def test_a_header_takes_no_value_of_another_name() -> None:
    version = {"name": "Version", "in": "header"}
    fields = {"version": 2}
    assert build_target(route("/a", version), {}, fields).headers == {}
    assert fields == {"version": 2}
    assert target("/a", version, {"name": "version"}, query={"version": "1"}) == "/a?version=1"


@pytest.mark.parametrize(("explode", "sent"), [(None, "R,100,G,200"), (True, "R=100,G=200")])
def test_objects_in_headers(explode: bool | None, sent: str) -> None:
    parameter = {"name": "X-C", "in": "header", "explode": explode}
    assert build_target(route("/a", parameter), {}, {"X-C": {"R": 100, "G": 200}}).headers == {"X-C": sent}


def test_reserved_characters_pass_where_a_parameter_allows_them() -> None:
    assert target("/a", {"name": "q", "allow_reserved": True}, q="/x?y=1&z") == "/a?q=/x?y=1%26z"
    assert target("/a/{q}", {"name": "q", "in": "path", "allow_reserved": True}, q="x:1@/y") == "/a/x:1@%2Fy"


@pytest.mark.parametrize(
    ("value", "path"), [("7", "/users/7/files"), (None, "/users/files"), ("a/b", "/users/a%2Fb/files")]
)
def test_an_optional_segment_is_left_out(value: str | None, path: str) -> None:
    assert target("/users/:id?/files", id=value) == path
    with pytest.raises(CallFailed, match="another path"):
        target("/users/:id?/files", id="..")


@pytest.mark.parametrize(
    "template", ["/f/<path:name>", "/f/{name...}", "/f/{*name}", "/f/*name", "/f/[...name]", "/f/{name:.*}"]
)
def test_the_variables_of_other_frameworks_are_filled(template: str) -> None:
    assert target(template, name="a/b c") == "/f/a/b%20c"
