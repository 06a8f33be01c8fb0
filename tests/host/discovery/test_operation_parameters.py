from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.discovery.operation_parameters import declared, nodes


def read(path: str, *parameters: Any) -> list[dict[str, Any]]:
    found, _ = nodes({}, {"parameters": list(parameters)}, {})
    return [each.parameter.model_dump(by_alias=True, exclude_defaults=True) for each in declared(found, path)]


def schema(parameter: dict[str, Any]) -> Any:
    (found,) = declared([parameter], "/a/{p}" if parameter["in"] == "path" else "/a")
    return found.schema


def test_path_parameters_come_first_then_query_and_headers() -> None:
    found = read(
        "/voices/{voice_id}",
        {"in": "header", "name": "X-Trace", "schema": {}},
        {"in": "query", "name": "q", "required": True, "schema": {}},
        {"in": "path", "name": "voice_id", "required": True, "schema": {}},
    )
    assert found == [
        {"name": "voice_id", "in": "path", "required": True},
        {"name": "q", "in": "query", "required": True},
        {"name": "X-Trace", "in": "header"},
    ]


def test_an_undeclared_variable_of_the_path_is_a_parameter_and_a_declared_stranger_is_none() -> None:
    assert read("/a/{b}/{c+}/{d:path}", {"in": "path", "name": "x"}, {"in": "path", "name": "c+"}) == [
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
def test_what_no_caller_gives_is_passed_over(parameter: dict[str, Any]) -> None:
    assert read("/a", parameter) == []


@pytest.mark.parametrize(
    ("said", "written"),
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
def test_how_a_list_is_written_is_said_where_it_differs_from_the_default(said: Any, written: Any) -> None:
    assert read("/a", {"in": "query", "name": "q", **said}) == [{"name": "q", "in": "query", **written}]


def test_schemas_are_those_of_both_dialects() -> None:
    assert schema({"in": "query", "name": "q", "schema": {"type": "integer"}, "description": "d"}) == {
        "type": "integer",
        "description": "d",
    }
    swagger = {"in": "query", "name": "q", "type": "array", "items": {"type": "string"}, "collectionFormat": "csv"}
    assert schema(swagger) == {"type": "array", "items": {"type": "string"}}
    as_json = {"in": "query", "name": "q", "content": {"application/json": {"schema": {"type": "object"}}}}
    assert schema(as_json) == {"type": "string", "contentMediaType": "application/json"}


def test_an_operation_replaces_parameters_of_its_path_item() -> None:
    item = {"parameters": [{"in": "query", "name": "q", "required": True}, {"in": "query", "name": "r"}]}
    found, problems = nodes({}, {"parameters": [{"in": "query", "name": "q"}]}, item)
    assert [(node["name"], node.get("required")) for node in found] == [("q", None), ("r", None)]
    assert problems == []


def test_what_cannot_be_read_costs_that_parameter_only_and_is_named() -> None:
    found, problems = nodes({}, {"parameters": [7, {"$ref": "#/no"}, {"in": "query", "name": "q"}]}, {"parameters": 5})
    assert [node["name"] for node in found] == ["q"]
    assert problems == [
        "a parameter is not an object",
        "`$ref` '#/no' does not exist",
        "`parameters` is not a list",
    ]
