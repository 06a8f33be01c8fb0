"""Create, read, update and delete as a story: the order of the calls, and the values that one has from another."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import PlannedCord, plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.example_calls import ExampleCalls
from chutes_wrappers.host.parity.stories import StorySource, find_value

NONE = HttpResponse(status=0)


def plan(*operations: str) -> tuple[PlannedCord, ...]:
    """Return the cords of operations such as ``GET /items/{id}``."""
    routes = [Route(method=text.split()[0], path=text.split()[1]) for text in operations]
    return plan_cords(routes, 8020, expose=["parameters"]).cords


def list_targets(calls: ExampleCalls) -> list[str]:
    return [f"{cord.route.upstream_method} {cord.route.target_path}" for cord in calls.sort_cords()]


def respond(value: Any, status: int = 201) -> HttpResponse:
    return HttpResponse(status=status, content_type="application/json", body=json.dumps(value).encode())


def build_example(
    target: str, responses: Mapping[str, HttpResponse], *operations: str, **settings: Any
) -> Mapping[str, Any]:
    """Return the example of the operation ``target``; ``responses`` are those of the others by their public names."""
    cords = plan(*operations, target)
    calls = ExampleCalls(cords=cords, folder=Path(), **{"examples": {}, **settings})
    cord = next(cord for cord in cords if f"{cord.route.upstream_method} {cord.route.target_path}" == target)
    return calls.build_call(cord, lambda name: responses.get(name, NONE)).example


def test_items_are_created_first_and_deleted_last() -> None:
    operations = (
        "DELETE /items",
        "DELETE /items/{id}",
        "PUT /items/{id}",
        "GET /items/{id}",
        "GET /items",
        "POST /items",
    )
    nested = ("DELETE /items/{id}/tags/{tag}", "POST /items/{id}/remove", "POST /items/{id}/tags")
    calls = ExampleCalls(cords=plan(*operations, *nested), examples={}, folder=Path())
    assert list_targets(calls) == [
        "POST /items", "GET /items", "GET /items/{id}", "PUT /items/{id}", "POST /items/{id}/tags",
        "DELETE /items/{id}/tags/{tag}", "POST /items/{id}/remove", "DELETE /items/{id}", "DELETE /items",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({"id": 7}, 7),
        ({"name": "n", "petId": "p"}, "p"),
        ({"pet_id": "p", "id": 7}, "p"),
        ({"data": {"id": 7}}, 7),
        ({"pet": {"uuid": "u"}}, "u"),
        ("p", "p"),
        ([{"id": 8}, {"id": 9}], 8),
        ({"pets": [{"id": 8}], "total": 1}, 8),
        ({"id": True, "name": "n"}, "n"),
    ],
)
def test_the_value_of_a_parameter_is_found_in_the_response(response: Any, expected: Any) -> None:
    responses = {"POST /pets": respond(response)}
    assert build_example("GET /pets/{petId}", responses, "POST /pets")["petId"] == expected


def test_a_list_helps_where_nothing_was_created() -> None:
    responses = {"POST /pets": respond({"id": 7}, status=422), "GET /pets": respond([{"id": 3}], status=200)}
    assert build_example("GET /pets/{id}", responses, "POST /pets", "GET /pets") == {"id": 3}
    assert build_example("GET /pets/{id}", {}, "POST /pets", "GET /pets") == {"id": "1"}
    assert build_example("GET /pets/{id}", {"GET /pets": respond([])}, "GET /pets") == {"id": "1"}


@pytest.mark.parametrize(("own_schema", "expected"), [
    ({"type": "string"}, "5"),
    ({"type": "integer"}, 5),
    ({"enum": ["a"]}, "a"),
    ({"type": "string", "pattern": "^x+$"}, "x"),
])  # fmt: skip
def test_a_value_is_used_as_far_as_the_schema_allows_it(own_schema: dict[str, Any], expected: Any) -> None:
    schema = {"type": "object", "properties": {"id": own_schema}, "required": ["id"]}
    routes = [Route(method="POST", path="/pets"), Route(method="GET", path="/pets/{id}", input_schema=schema)]
    cords = plan_cords(routes, 8020, expose=["parameters"]).cords
    calls = ExampleCalls(cords=cords, examples={}, folder=Path())
    cord = next(cord for cord in cords if cord.route.upstream_method == "GET")
    assert calls.build_call(cord, lambda name: respond({"id": 5})).example == {"id": expected}


def test_a_name_that_the_caller_chose_is_in_the_request() -> None:
    documents = {"POST /user": {"username": "ann", "email": "e"}}
    example = build_example(
        "GET /user/{username}", {"POST /user": respond(None)}, "POST /user", document_examples=documents
    )
    assert example == {"username": "ann"}


def test_each_parameter_of_a_nested_path_has_its_own_source() -> None:
    responses = {"POST /lists": respond({"id": 1}), "POST /lists/list/items": respond({"id": 2})}
    operations = ("POST /lists", "POST /lists/{list}/items")
    assert build_example("GET /lists/{list}/items/{item}", responses, *operations) == {"list": 1, "item": 2}


def test_an_example_of_the_module_is_no_story() -> None:
    responses = {"POST /pets": respond({"id": 7})}
    examples = {"GET /pets/id": {"id": 1}}
    assert build_example("GET /pets/{id}", responses, "POST /pets", examples=examples) == {"id": 1}
    pointed = {"GET /pets/id": {"id": {"answer_of": "POST /pets", "pointer": "/id"}}}
    assert build_example("GET /pets/{id}", responses, "POST /pets", examples=pointed) == {"id": 7}


def test_a_declared_link_comes_first() -> None:
    link = StorySource(parameter="id", source="POST /pets", pointer="/meta/0/ref")
    responses = {"POST /pets": respond({"id": 7, "meta": [{"ref": "r"}]})}
    assert build_example("GET /pets/{id}", responses, "POST /pets", links={"GET /pets/id": (link,)}) == {"id": "r"}
    assert find_value(link, respond({"meta": {}}), {}) is None
    assert find_value(StorySource(parameter="id", source="s", field="f"), NONE, {"f": 1}) == 1


def test_headers_of_the_module_get_no_made_up_value() -> None:
    route = Route.model_validate(
        {"path": "/a", "method": "GET", "parameters": [{"name": "X-Kind", "in": "header", "required": True}],
         "input_schema": {"type": "object", "properties": {"X-Kind": {}, "q": {}}, "required": ["X-Kind", "q"]}}
    )  # fmt: skip
    header_names: Callable[[PlannedCord], list[str]] = lambda cord: ["x-kind"]  # noqa: E731
    calls = ExampleCalls(cords=plan_cords([route], 8020).cords, examples={}, folder=Path(), header_names=header_names)
    assert calls.build_call(calls.cords[0], lambda name: NONE).example == {"q": "hello"}
    assert calls.cords[0].name == "GET /a"


@pytest.mark.parametrize(
    ("target", "source", "response", "expected"),
    [
        # A sibling that returns what a query names, a list beside the collection, and the kind of item in the name.
        ("GET /job/status?job_id", "POST /job/submit", {"job_id": "j1"}, {"job_id": "j1"}),
        ("POST /repository/models/{model_name}/load", "POST /repository/index", [{"name": "m1"}], {"model_name": "m1"}),
        ("GET /runs/flow/{flow_id}", "POST /flows", {"id": "f1", "name": "n"}, {"flow_id": "f1"}),
        ("GET /tenants/{tenant}", "POST /tenants", {}, {"tenant": "hello"}),
        (
            "GET /models/{model_name}/versions/{model_version}",
            "GET /models",
            [{"name": "m1", "version": "v1"}],
            {"model_name": "m1", "model_version": "v1"},
        ),
    ],
)
def test_values_are_found_by_name(target: str, source: str, response: Any, expected: Any) -> None:
    text, _, query = target.partition("?")
    method, path = text.split()
    declared = [{"name": query, "in": "query", "required": True}] if query else []
    creator = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    routes = [
        Route.model_validate({"path": path, "method": method, "parameters": declared}),
        Route.model_validate({"path": source.split()[1], "method": source.split()[0], "input_schema": creator}),
    ]
    cords = plan_cords(routes, 8020, expose=["parameters"]).cords
    calls = ExampleCalls(cords=cords, examples={}, folder=Path())
    example = calls.build_call(cords[0], lambda name: respond(response) if name == source else NONE).example
    assert example.items() >= expected.items()


@pytest.mark.parametrize(("models", "expected"), [(["gpt", "own"], "gpt"), (["own"], "own")])
def test_a_model_that_the_service_lists_replaces_one_that_it_does_not(models: list[str], expected: str) -> None:
    schema = {"type": "object", "required": ["model"], "properties": {"model": {"type": "string", "example": "gpt"}}}
    routes = [Route(path="/chat", method="POST", input_schema=schema), Route(path="/v1/models", method="GET")]
    cords = plan_cords(routes, 8020).cords
    calls = ExampleCalls(cords=cords, examples={}, folder=Path())
    listed = respond({"data": [{"id": name} for name in models]}, 200)
    assert calls.build_call(cords[0], lambda name: listed).example == {"model": expected}


def test_a_body_without_required_fields_can_have_all_of_them() -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}, "id": {"type": "string", "readOnly": True}}}
    cords = plan_cords([Route(path="/notes", method="POST", input_schema=schema)], 8020).cords
    calls = ExampleCalls(cords=cords, examples={}, folder=Path())
    assert calls.build_fuller(cords[0], {}) == {"title": "hello"}
    assert calls.build_fuller(cords[0], {"title": "x"}) is None
