from __future__ import annotations

import re
from typing import Any

import pytest

from chutes_wrappers.core.gradio_endpoints import GradioParameter
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.discovery.gradio_routes import is_api_info, read_endpoints
from chutes_wrappers.host.discovery.gradio_schemas import file_place
from chutes_wrappers.host.discovery.specification import Operations
from tests.upstreams.gradio_app import FILE, FILES, config, function, info, parameter

TEXT = {"type": "string"}
OUT = {"label": "Out", "type": TEXT, "component": "Textbox"}


def read(described: dict[str, Any], app: dict[str, Any], prefix: str = "/gradio_api") -> Operations:
    return read_endpoints(described, app, port=7860, prefix=prefix)


def only(described: dict[str, Any], app: dict[str, Any]) -> Route:
    operations = read(described, app)
    assert operations.skipped == ()
    assert len(operations.routes) == 1
    return operations.routes[0]


def endpoint(*parameters: dict[str, Any], returns: Any = (OUT,), **more: Any) -> dict[str, Any]:
    return {"parameters": list(parameters), "returns": list(returns), **more}


def test_a_named_endpoint_is_a_post_route_with_its_parameters() -> None:
    described = info(greet=endpoint(parameter("name", TEXT), parameter("times", {"type": "number"}, default=2)))
    described["named_endpoints"]["/greet"]["description"] = "Say hello.\nAs often as you like."
    route = only(described, config(function(4, "greet", [1, 2], [3])))
    assert (route.method, route.path, route.port, route.stream) == ("POST", "/greet", 7860, False)
    assert (route.target_path, route.summary) == ("/gradio_api/call/greet", "Say hello.")
    assert route.gradio is not None
    assert (route.gradio.fn_index, route.gradio.prefix) == (4, "/gradio_api")
    assert route.gradio.parameters == (
        GradioParameter(name="name", required=True),
        GradioParameter(name="times", default=2),
    )
    assert route.input_schema == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "title": "Label"},
            "times": {"type": "number", "title": "Label", "default": 2},
        },
        "required": ["name"],
    }


@pytest.mark.parametrize(
    ("name", "path", "exposed"),
    [
        ("Say_Hello", "/say_hello", False),
        ("v1/x.y z", "/v1/x_y_z", False),
        ("login", "/login", True),
        ("users", "/service/users", False),
    ],
)
def test_every_name_gets_a_public_path(name: str, path: str, exposed: bool) -> None:
    described = {"named_endpoints": {f"/{name}": endpoint()}, "unnamed_endpoints": {}}
    route = only(described, config(function(0, name, [], [1])))
    assert (route.path, route.exposed) == (path, exposed)
    assert route.gradio is not None
    assert route.gradio.api_name == name


def test_session_state_is_no_parameter() -> None:
    described = info(chat=endpoint(parameter("message", TEXT)))
    route = only(described, config(function(0, "chat", [2, 1, 3], [1, 3]), state=[2, 3]))
    assert route.gradio is not None
    assert (route.gradio.hidden_inputs, route.gradio.hidden_outputs) == ((0, 2), (1,))


def test_a_generator_is_a_stream() -> None:
    route = only(info(count=endpoint()), config(function(0, "count", [], [1], generator=True)))
    assert route.stream is True
    assert route.response is not None
    assert route.response.content_type == "text/event-stream"


def test_a_file_that_is_all_that_comes_out_is_no_json() -> None:
    image = {"label": "", "type": FILE, "component": "Image"}
    app = config(function(0, "draw", [], [1]))
    route = only(info(draw=endpoint(returns=[image])), app)
    assert route.response is not None
    assert (route.response.content_type, route.output_schema) == ("image/*", None)
    several = only(info(draw=endpoint(returns=[image, OUT])), config(function(0, "draw", [], [1, 2])))
    assert several.response is None
    data = (several.output_schema or {})["properties"]["data"]["prefixItems"]
    assert set(data[0]["properties"]) == {"filename", "content_type", "data"}


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (TEXT, (None, "")),
        ({"type": {}}, (None, "")),
        (FILE, ("one", "")),
        ({"anyOf": [FILE, {"type": "null"}]}, ("one", "")),
        (FILES, ("many", "")),
        ({"properties": {"video": FILE, "subtitles": FILE}, "required": ["video"]}, ("one", "video")),
        ({"properties": {"text": TEXT, "files": FILES}, "required": ["text"]}, ("inside", "")),
        ({"$ref": "#/$defs/lost"}, (None, "")),
        ({"$ref": "#"}, (None, "")),
    ],
)
def test_files_are_found_where_they_are(kind: dict[str, Any], place: tuple[str | None, str]) -> None:
    assert file_place(kind) == place


def test_references_of_several_types_do_not_mix() -> None:
    first = {"$ref": "#/$defs/Thing", "$defs": {"Thing": {"type": "integer"}}}
    second = {"type": "array", "items": {"$ref": "#/$defs/Thing"}, "$defs": {"Thing": {"type": "boolean"}}}
    described = info(x=endpoint(parameter("a", first), parameter("b", second), parameter("c", FILES)))
    schema = only(described, config(function(0, "x", [1, 2, 3], [4]))).input_schema or {}
    definitions = schema["$defs"]
    assert definitions[schema["properties"]["a"]["$ref"].removeprefix("#/$defs/")] == {"type": "integer"}
    assert definitions[schema["properties"]["b"]["items"]["$ref"].removeprefix("#/$defs/")] == {"type": "boolean"}
    assert "anyOf" in definitions["FileData"]


def test_the_default_of_a_file_keeps_its_path_and_not_its_address() -> None:
    default = {
        "path": "/tmp/x.png",
        "url": "http://127.0.0.1:32768/file=/tmp/x.png",
        "meta": {"_type": "gradio.FileData"},
    }
    described = info(x=endpoint(parameter("image", FILE, default=default)))
    route = only(described, config(function(0, "x", [1], [2])))
    assert route.gradio is not None
    assert route.gradio.parameters[0].default == {"path": "/tmp/x.png", "meta": {"_type": "gradio.FileData"}}
    assert "default" not in (route.input_schema or {})["properties"]["image"]


def test_older_apps_name_no_parameters_and_number_no_functions() -> None:
    old = {"label": "Name", "type": TEXT, "python_type": {}, "component": "Textbox"}
    plain = {**function(0, "x", [1], [2]), "types": {}}
    del plain["id"]
    route = only(info(x=endpoint(old)), config(function(0, "first", [], []), plain))
    assert route.gradio is not None
    assert (route.gradio.fn_index, route.gradio.parameters[0].name) == (1, "param_0")


@pytest.mark.parametrize(
    ("described", "app", "reason"),
    [
        (endpoint(), config(), "no function"),
        (endpoint(parameter("a", TEXT)), config(function(0, "x", [], [1])), "disagree about its inputs"),
        (endpoint(), config(function(0, "x", [], [1]), protocol="ws"), "speaks 'ws'.*update its Gradio"),
        ({"parameters": 3}, config(function(0, "x", [], [1])), "not Gradio's"),
        (None, config(function(0, "x", [], [1])), "not Gradio's"),
        (endpoint(), config(function(-1, "x", [], [1])), "not Gradio's"),
        (endpoint(), {}, "no function"),
    ],
)
def test_what_cannot_be_called_is_skipped_with_its_reason(described: Any, app: dict[str, Any], reason: str) -> None:
    operations = read(info(x=described), app)
    assert operations.routes == ()
    assert [(skipped.method, skipped.path, skipped.port) for skipped in operations.skipped] == [("POST", "/x", 7860)]
    assert re.search(reason, operations.skipped[0].reason)


def test_schemas_without_end_cost_the_schema_only() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"properties": {"x": deep}}
    operations = read(info(x=endpoint(parameter("a", deep))), config(function(0, "x", [1], [2])))
    assert len(operations.routes) == 1
    assert operations.routes[0].input_schema is None
    assert "nested too deeply" in operations.notes[0]


@pytest.mark.parametrize("document", [{}, {"model_id": "x"}, {"named_endpoints": [], "unnamed_endpoints": {}}])
def test_other_services_have_an_info_of_their_own(document: dict[str, Any]) -> None:
    assert not is_api_info(document)
    assert is_api_info(info())
