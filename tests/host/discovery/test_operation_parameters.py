from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.discovery.operation_parameters import collect_nodes, read_parameters


def read_declared(path: str, *parameters: Any) -> list[dict[str, Any]]:
    nodes, _ = collect_nodes({}, {"parameters": list(parameters)}, {})
    declared, _ = read_parameters({}, nodes, path)
    return [each.parameter.model_dump(by_alias=True, exclude_defaults=True) for each in declared]


def read_schema(parameter: dict[str, Any]) -> Any:
    (declared,), _ = read_parameters({}, [parameter], "/a/{p}" if parameter["in"] == "path" else "/a")
    return declared.schema


def test_path_parameters_come_first_then_query_and_headers() -> None:
    parameters = read_declared(
        "/voices/{voice_id}",
        {"in": "header", "name": "X-Trace", "schema": {}},
        {"in": "query", "name": "q", "required": True, "schema": {}},
        {"in": "path", "name": "voice_id", "required": True, "schema": {}},
    )
    assert parameters == [
        {"name": "voice_id", "in": "path", "required": True},
        {"name": "q", "in": "query", "required": True},
        {"name": "X-Trace", "in": "header"},
    ]


def test_undeclared_path_variables_are_parameters_and_unknown_path_parameters_are_not() -> None:
    assert read_declared("/a/{b}/{c+}/{d:path}", {"in": "path", "name": "x"}, {"in": "path", "name": "c+"}) == [
        {"name": "c+", "in": "path", "required": True},
        {"name": "b", "in": "path", "required": True},
        {"name": "d", "in": "path", "required": True},
    ]


def test_a_variable_in_the_query_of_a_path_may_be_a_query_parameter() -> None:
    declared = {"in": "query", "name": "mode", "schema": {}}
    assert read_declared("/a?mode={mode}&b={c}", declared) == [
        {"name": "c", "in": "path", "required": True},
        {"name": "mode", "in": "query", "required": True},
    ]
    assert read_declared("/{mode}?mode={mode}", declared)[0] == {"name": "mode", "in": "path", "required": True}


def read_problems(*parameters: Any, path: str = "/a") -> list[str]:
    nodes, notes = collect_nodes({}, {"parameters": list(parameters)}, {})
    return [*notes, *read_parameters({}, nodes, path)[1]]


@pytest.mark.parametrize(
    ("parameter", "problem"),
    [
        ({"in": "body", "name": "body"}, None),
        ({"in": "formData", "name": "a"}, None),
        ({"in": "header", "name": "Content-Length"}, None),
        ({"in": "header", "name": "Accept-Encoding"}, None),
        ({"in": "query", "name": ""}, "a parameter left out: it has no name"),
        ({"in": "query", "name": 5}, "a parameter left out: it has no name"),
        ({"in": "query"}, "a parameter left out: it has no name"),
        ({"in": "matrix", "name": "m"}, "parameter `m` left out: 'matrix' is not a place of parameters"),
        ({"in": "path", "name": "x"}, "path `x` left out: the path has no variable of this name"),
        ({"in": "header", "name": "bad name"}, "header `bad name` left out: 'bad name' is not a valid header name"),
        ({"in": "header", "name": "Host"}, "header `Host` left out: Host is a header of the connection"),
        ({"in": "cookie", "name": "a;b"}, "cookie `a;b` left out: 'a;b' is not a valid name of a cookie"),
        (
            {"in": "header", "name": "Accept-Encoding", "required": True, "schema": {}},
            "header `Accept-Encoding` left out: the gateway decodes no response",
        ),
    ],
)
def test_parameters_that_callers_cannot_send_are_named(parameter: dict[str, Any], problem: str | None) -> None:
    assert read_declared("/a", parameter) == []
    problems = read_problems(parameter)
    assert len(problems) == (problem is not None)
    assert problem is None or problems[0].startswith(problem)


@pytest.mark.parametrize(
    ("body_type", "values", "is_lost"),
    [
        ("application/json", ["text/vnd.a"], True),
        ("application/json", ["text/vnd.a", "Application/JSON; charset=utf-8"], False),
        ("application/json", [], False),
        ("", ["text/vnd.a"], False),
    ],
)
def test_a_content_type_that_is_never_sent_is_named(body_type: str, values: list[str], is_lost: bool) -> None:
    node = {"in": "header", "name": "content-type", "schema": {"enum": values}}
    parameters, problems = read_parameters({}, [node], "/a", body_type=body_type)
    lost = "header `content-type` left out: the gateway sends application/json, the media type of the body; it allows text/vnd.a"
    assert (parameters, problems) == ([], [lost] if is_lost else [])


def test_without_a_body_content_type_is_a_header_as_any() -> None:
    assert read_declared("/a", {"in": "header", "name": "Content-Type", "required": True, "schema": {}}) == [
        {"name": "Content-Type", "in": "header"}
    ]


def test_headers_that_openapi_ignores_are_never_required() -> None:
    headers: list[dict[str, Any]] = [
        {"in": "header", "name": name, "required": True, "schema": {}} for name in ("authorization", "Accept")
    ]
    assert read_declared("/a", *headers) == [
        {"name": "authorization", "in": "header", "credential": True},
        {"name": "Accept", "in": "header"},
    ]
    assert read_declared("/a", {"in": "header", "name": "Accept", "required": True, "type": "string"}) == [
        {"name": "Accept", "in": "header", "required": True}
    ]


def test_a_cookie_header_stands_beside_declared_cookies() -> None:
    header = {"in": "header", "name": "Cookie", "schema": {}}
    cookie = {"in": "cookie", "name": "session", "required": True, "schema": {"type": "string"}}
    assert read_declared("/a", header, cookie) == [
        {"name": "Cookie", "in": "header"},
        {"name": "session", "in": "cookie", "required": True},
    ]


@pytest.mark.parametrize(
    ("declared", "expected", "problem"),
    [
        ({"in": "cookie", "style": "form", "explode": True}, {}, None),
        ({"in": "cookie", "style": "cookie", "explode": True}, {"style": "cookie"}, None),
        ({"in": "cookie", "explode": False}, {"explode": False}, None),
        (
            {"in": "cookie", "style": "deepObject"},
            {},
            "cookie `q`: style 'deepObject' is not one of form, cookie: sent as form",
        ),
        ({"in": "header", "style": "form"}, {}, "header `q`: style 'form' is not one of simple: sent as simple"),
        ({"in": "header", "explode": True}, {"explode": True}, None),
        (
            {"in": "query", "style": "fancy"},
            {},
            "query `q`: style 'fancy' is not one of form, spaceDelimited",
        ),
        ({"in": "query", "style": ["form"]}, {}, "query `q`: style \"['form']\" is not one of"),
        ({"in": "query", "explode": "yes"}, {}, "query `q`: `explode` is not a boolean"),
        ({"in": "query", "allowReserved": True}, {"allow_reserved": True}, None),
        ({"in": "querystring"}, {}, None),
    ],
)
def test_styles_are_checked_against_the_place(declared: Any, expected: Any, problem: str | None) -> None:
    node = {"name": "q", "schema": {}, **declared}
    assert read_declared("/a", node) == [{"name": "q", "in": declared["in"], **expected}]
    problems = read_problems(node)
    assert len(problems) == (problem is not None)
    assert problem is None or problems[0].startswith(problem)


def test_a_parameter_with_content_is_sent_in_that_media_type() -> None:
    media = {"schema": {"type": "object"}, "examples": {"first": {"$ref": "#/components/examples/One"}}}
    document = {"components": {"examples": {"One": {"dataValue": {"a": 1}}}, "mediaTypes": {"Json": media}}}
    node = {
        "in": "query",
        "name": "filter",
        "content": {"application/json;v=2": {"$ref": "#/components/mediaTypes/Json"}, "text/plain": {}},
    }
    (declared,), notes = read_parameters(document, [node], "/a")
    assert declared.parameter.content_type == "application/json;v=2"
    assert declared.schema == {"type": "object", "examples": [{"a": 1}]}
    assert notes == ["query `filter`: only application/json;v=2 is sent, the first of its media types"]
    assert read_problems({"in": "query", "name": "q", "content": {"nonsense": {}}}) == [
        "query `q`: its `content` has no valid media type: it is sent as text"
    ]
    assert read_problems({"in": "query", "name": "q", "content": []})[0].startswith(
        "query `q`: its `content` is not used"
    )


def test_a_query_string_is_one_parameter_with_formats_of_its_fields() -> None:
    media: dict[str, Any] = {"schema": {}, "encoding": {"a": {"style": "deepObject"}}}
    node = {"in": "querystring", "name": "query", "content": {"application/x-www-form-urlencoded": media}}
    assert read_declared("/a", node) == [
        {
            "name": "query",
            "in": "querystring",
            "content_type": "application/x-www-form-urlencoded",
            "parts": {"a": {"style": "deepObject"}},
        }
    ]
    assert read_problems(node) == []
    assert read_problems({**node, "in": "query"}) == [
        "query `query`: `encoding` left out: it is for a query string of application/x-www-form-urlencoded"
    ]


@pytest.mark.parametrize(
    ("node", "examples"),
    [
        ({"schema": {"type": "string", "example": "of the schema"}, "example": "x"}, ["x"]),
        ({"schema": {"type": "string"}, "examples": {"a": {"externalValue": "http://x"}, "b": {"value": "x"}}}, ["x"]),
        ({"schema": {"$ref": "#/nowhere"}, "example": "x"}, ["x"]),
        ({"type": "string", "x-example": "x"}, ["x"]),
        ({"type": "string", "x-examples": {"a": "x"}}, ["x"]),
        ({"type": "string", "x-examples": {"a": {"value": "x", "summary": "s"}}}, ["x"]),
        ({"schema": {"type": "string"}, "examples": {"a": {"$ref": "#/nowhere"}}}, None),
        ({"schema": {"type": "string"}, "example": "x" * 5000}, None),
    ],
)
def test_examples_of_parameters_are_kept(node: Any, examples: Any) -> None:
    assert read_schema({"in": "query", "name": "q", **node}).get("examples") == examples


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"schema": {}, "style": "form", "explode": True}, {}),
        ({"schema": {}, "explode": False}, {"explode": False}),
        ({"schema": {}, "style": "deepObject", "explode": True}, {"style": "deepObject", "explode": True}),
        ({"schema": {}, "style": "pipeDelimited", "explode": False}, {"style": "pipeDelimited"}),
        ({"type": "string", "collectionFormat": "multi"}, {}),
        ({"type": "array"}, {"explode": False}),
        ({"type": "array", "collectionFormat": "csv"}, {"explode": False}),
        ({"type": "array", "collectionFormat": "multi"}, {}),
        ({"type": "array", "collectionFormat": "ssv"}, {"style": "spaceDelimited"}),
        ({"type": "array", "collectionFormat": "pipes"}, {"style": "pipeDelimited"}),
        ({"type": "array", "collectionFormat": "tsv"}, {"style": "tabDelimited"}),
        ({"type": "array", "collectionFormat": []}, {"explode": False}),
    ],
)
def test_list_styles_are_recorded_where_they_are_not_the_default(declared: Any, expected: Any) -> None:
    assert read_declared("/a", {"in": "query", "name": "q", **declared}) == [{"name": "q", "in": "query", **expected}]


def test_schemas_of_both_dialects_are_read() -> None:
    assert read_schema({"in": "query", "name": "q", "schema": {"type": "integer"}, "description": "d"}) == {
        "type": "integer",
        "description": "d",
    }
    swagger = {"in": "query", "name": "q", "type": "array", "items": {"type": "string"}, "collectionFormat": "csv"}
    assert read_schema(swagger) == {"type": "array", "items": {"type": "string"}}


def test_an_operation_replaces_parameters_of_its_path_item() -> None:
    item = {"parameters": [{"in": "query", "name": "q", "required": True}, {"in": "query", "name": "r"}]}
    nodes, problems = collect_nodes({}, {"parameters": [{"in": "query", "name": "q"}]}, item)
    assert [(node["name"], node.get("required")) for node in nodes] == [("q", None), ("r", None)]
    assert problems == []


def test_invalid_parameters_are_reported_and_the_others_are_read() -> None:
    nodes, problems = collect_nodes(
        {}, {"parameters": [7, {"$ref": "#/no"}, {"in": "query", "name": "q"}]}, {"parameters": 5}
    )
    assert [node["name"] for node in nodes] == ["q"]
    assert problems == [
        "a parameter left out: a parameter is not an object",
        "a parameter left out: `$ref` '#/no' does not exist",
        "a parameter left out: `parameters` is not a list",
    ]


def test_parameters_beyond_the_limit_are_named() -> None:
    nodes, problems = collect_nodes({}, {"parameters": [{"in": "query", "name": f"q{n}"} for n in range(201)]}, {})
    assert len(nodes) == 200
    assert problems == ["parameters left out: those after the first 200"]
