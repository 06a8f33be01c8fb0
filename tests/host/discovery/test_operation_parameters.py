from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.discovery.operation_parameters import collect_nodes, read_parameters


def read_declared(path: str, *parameters: Any) -> list[dict[str, Any]]:
    nodes, _ = collect_nodes({}, {"parameters": list(parameters)}, {})
    return [each.parameter.model_dump(by_alias=True, exclude_defaults=True) for each in read_parameters(nodes, path)]


def read_schema(parameter: dict[str, Any]) -> Any:
    (declared,) = read_parameters([parameter], "/a/{p}" if parameter["in"] == "path" else "/a")
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


@pytest.mark.parametrize(
    "parameter",
    [
        {"in": "cookie", "name": "session"},
        {"in": "body", "name": "body"},
        {"in": "formData", "name": "a"},
        {"in": "query", "name": ""},
        {"in": "query", "name": 5},
        {"in": "query"},
        {"in": "header", "name": "bad name"},
        *(
            {"in": "header", "name": name}
            for name in ("Accept", "content-type", "AUTHORIZATION", "Host", "Content-Length")
        ),
    ],
)
def test_parameters_that_callers_cannot_send_are_ignored(parameter: dict[str, Any]) -> None:
    assert read_declared("/a", parameter) == []


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"schema": {}, "style": "form", "explode": True}, {}),
        ({"schema": {}, "explode": False}, {"explode": False}),
        ({"schema": {}, "style": "deepObject", "explode": True}, {"style": "deepObject", "explode": True}),
        ({"schema": {}, "style": "pipeDelimited", "explode": False}, {"style": "pipeDelimited"}),
        ({"schema": {}, "style": "fancy", "explode": "yes"}, {}),
        ({"type": "string", "collectionFormat": "multi"}, {}),
        ({"type": "array"}, {"explode": False}),
        ({"type": "array", "collectionFormat": "csv"}, {"explode": False}),
        ({"type": "array", "collectionFormat": "multi"}, {}),
        ({"type": "array", "collectionFormat": "ssv"}, {"style": "spaceDelimited"}),
        ({"type": "array", "collectionFormat": "pipes"}, {"style": "pipeDelimited"}),
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
    as_json = {"in": "query", "name": "q", "content": {"application/json": {"schema": {"type": "object"}}}}
    assert read_schema(as_json) == {"type": "string", "contentMediaType": "application/json"}


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
        "a parameter is not an object",
        "`$ref` '#/no' does not exist",
        "`parameters` is not a list",
    ]
