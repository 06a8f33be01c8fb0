from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from chutes_wrappers.core.gradio_endpoints import GradioParameter
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.discovery.gradio_routes import is_api_info, read_endpoints
from chutes_wrappers.host.discovery.gradio_schemas import find_file_shape
from chutes_wrappers.host.discovery.specification import Operations
from tests.upstreams.gradio_app import FILE, FILES, config, function, info, parameter

TEXT = {"type": "string"}
OUT = {"label": "Out", "type": TEXT, "component": "Textbox"}


def read_app(described: dict[str, Any], app: dict[str, Any], prefix: str = "/gradio_api") -> Operations:
    return read_endpoints(described, app, port=7860, prefix=prefix)


def read_single_route(described: dict[str, Any], app: dict[str, Any]) -> Route:
    operations = read_app(described, app)
    assert operations.skipped == ()
    assert len(operations.routes) == 1
    return operations.routes[0]


def build_endpoint(*parameters: dict[str, Any], returns: Any = (OUT,), **more: Any) -> dict[str, Any]:
    return {"parameters": list(parameters), "returns": list(returns), **more}


def test_a_named_endpoint_is_a_post_route_with_its_parameters() -> None:
    described = info(greet=build_endpoint(parameter("name", TEXT), parameter("times", {"type": "number"}, default=2)))
    described["named_endpoints"]["/greet"]["description"] = "Say hello.\nAs often as you like."
    route = read_single_route(described, config(function(4, "greet", [1, 2], [3])))
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
    described = {"named_endpoints": {f"/{name}": build_endpoint()}, "unnamed_endpoints": {}}
    route = read_single_route(described, config(function(0, name, [], [1])))
    assert (route.path, route.exposed) == (path, exposed)
    assert route.gradio is not None
    assert route.gradio.api_name == name


def test_session_state_is_not_a_parameter() -> None:
    described = info(chat=build_endpoint(parameter("message", TEXT)))
    route = read_single_route(described, config(function(0, "chat", [2, 1, 3], [1, 3]), state=[2, 3]))
    assert route.gradio is not None
    assert (route.gradio.hidden_inputs, route.gradio.hidden_outputs) == ((0, 2), (1,))


def test_a_generator_is_a_stream() -> None:
    route = read_single_route(info(count=build_endpoint()), config(function(0, "count", [], [1], generator=True)))
    assert route.stream is True
    assert route.response is not None
    assert route.response.content_type == "text/event-stream"


def test_a_single_file_output_is_not_json() -> None:
    image = {"label": "", "type": FILE, "component": "Image"}
    app = config(function(0, "draw", [], [1]))
    route = read_single_route(info(draw=build_endpoint(returns=[image])), app)
    assert route.response is not None
    assert (route.response.content_type, route.output_schema) == ("image/*", None)
    several = read_single_route(
        info(draw=build_endpoint(returns=[image, OUT])), config(function(0, "draw", [], [1, 2]))
    )
    assert several.response is None
    data = (several.output_schema or {})["properties"]["data"]["prefixItems"]
    assert set(data[0]["properties"]) == {"filename", "content_type", "data"}


@pytest.mark.parametrize(
    ("type_schema", "expected"),
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
def test_the_file_shape_of_a_type_is_found(type_schema: dict[str, Any], expected: tuple[str | None, str]) -> None:
    assert find_file_shape(type_schema) == expected


def test_references_of_several_types_stay_separate() -> None:
    first = {"$ref": "#/$defs/Thing", "$defs": {"Thing": {"type": "integer"}}}
    second = {"type": "array", "items": {"$ref": "#/$defs/Thing"}, "$defs": {"Thing": {"type": "boolean"}}}
    described = info(x=build_endpoint(parameter("a", first), parameter("b", second), parameter("c", FILES)))
    schema = read_single_route(described, config(function(0, "x", [1, 2, 3], [4]))).input_schema or {}
    definitions = schema["$defs"]
    assert definitions[schema["properties"]["a"]["$ref"].removeprefix("#/$defs/")] == {"type": "integer"}
    assert definitions[schema["properties"]["b"]["items"]["$ref"].removeprefix("#/$defs/")] == {"type": "boolean"}
    assert "anyOf" in definitions["FileData"]


def test_the_default_of_a_file_keeps_its_path_and_not_its_url() -> None:
    default = {
        "path": "/tmp/x.png",
        "url": "http://127.0.0.1:32768/file=/tmp/x.png",
        "meta": {"_type": "gradio.FileData"},
    }
    described = info(x=build_endpoint(parameter("image", FILE, default=default)))
    route = read_single_route(described, config(function(0, "x", [1], [2])))
    assert route.gradio is not None
    assert route.gradio.parameters[0].default == {"path": "/tmp/x.png", "meta": {"_type": "gradio.FileData"}}
    assert "default" not in (route.input_schema or {})["properties"]["image"]


def test_older_apps_have_no_parameter_names_and_no_function_ids() -> None:
    old = {"label": "Name", "type": TEXT, "python_type": {}, "component": "Textbox"}
    plain = {**function(0, "x", [1], [2]), "types": {}}
    del plain["id"]
    route = read_single_route(info(x=build_endpoint(old)), config(function(0, "first", [], []), plain))
    assert route.gradio is not None
    assert (route.gradio.fn_index, route.gradio.parameters[0].name) == (1, "param_0")


@pytest.mark.parametrize(
    ("described", "app", "reason"),
    [
        (build_endpoint(), config(), "no function"),
        (build_endpoint(parameter("a", TEXT)), config(function(0, "x", [], [1])), "different numbers of inputs"),
        (build_endpoint(), config(function(0, "x", [], [1]), protocol="ws"), "protocol 'ws'.*update the app's Gradio"),
        ({"parameters": 3}, config(function(0, "x", [], [1])), "not valid Gradio"),
        (None, config(function(0, "x", [], [1])), "not valid Gradio"),
        (build_endpoint(), config(function(-1, "x", [], [1])), "not valid Gradio"),
        (build_endpoint(), {}, "no function"),
    ],
)
def test_what_cannot_be_called_is_skipped_with_its_reason(described: Any, app: dict[str, Any], reason: str) -> None:
    operations = read_app(info(x=described), app)
    assert operations.routes == ()
    assert [(skipped.method, skipped.path, skipped.port) for skipped in operations.skipped] == [("POST", "/x", 7860)]
    assert re.search(reason, operations.skipped[0].reason)


def test_a_deeply_nested_schema_is_omitted() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"properties": {"x": deep}}
    operations = read_app(info(x=build_endpoint(parameter("a", deep))), config(function(0, "x", [1], [2])))
    assert len(operations.routes) == 1
    assert operations.routes[0].input_schema is None
    assert "nested too deeply" in operations.notes[0]


@pytest.mark.parametrize("document", [{}, {"model_id": "x"}, {"named_endpoints": [], "unnamed_endpoints": {}}])
def test_the_info_of_other_services_is_not_gradio_info(document: dict[str, Any]) -> None:
    assert not is_api_info(document)
    assert is_api_info(info())


class CountedList(list[Any]):
    """A list that counts how often it is read."""

    reads = 0

    def __iter__(self) -> Iterator[Any]:
        self.reads += 1
        return super().__iter__()


def test_a_config_is_read_once_for_all_endpoints() -> None:
    names = [f"e{number}" for number in range(20)]
    app = config(*(function(number, name, [], []) for number, name in enumerate(names)))
    app["dependencies"], app["components"] = CountedList(app["dependencies"]), CountedList(app["components"])
    endpoints: dict[str, dict[str, Any]] = {name: {"parameters": [], "returns": []} for name in names}
    assert len(read_app(info(**endpoints), app).routes) == 20
    assert (app["dependencies"].reads, app["components"].reads) == (1, 1)
