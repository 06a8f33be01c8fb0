from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chutes.chute import Chute, NodeSelector

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.sdk.cords import register_passthrough_routes
from chutes_wrappers.sdk.describe import describe
from chutes_wrappers.sdk.legacy import register_health_check
from chutes_wrappers.sdk.loopback import get_loopback_server

from .conftest import Loader

EXPOSING = """
from chutes.chute import Chute, NodeSelector
from tools.chute_wrappers import register_passthrough_routes

CHUTE_EXPOSE = "parameters,files,internal"
chute = Chute(
    username="tester", name="case", image="tester/case:v1",
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
)
register_passthrough_routes(chute, [{"path": "/voices/{voice_id}/Sample.wav"}, {"path": "/static/app"}, {"path": "/"}], 1)
"""


@pytest.fixture
def chute() -> Chute:
    return Chute(
        username="tester",
        name="case",
        image="tester/case:v1",
        tee=True,
        node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
    )


def cords(chute: Chute) -> dict[tuple[str, str], dict[str, Any]]:
    return {(cord["public_api_method"], cord["public_api_path"]): cord for cord in describe(chute)["cords"]}


@pytest.fixture(params=["", "REMOTE"], ids=["outside", "on the instance"])
def remote(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both sides of a deployment."""
    monkeypatch.setenv("CHUTES_EXECUTION_CONTEXT", request.param)
    return bool(request.param)


def test_a_cord_is_declared_as_passthrough_and_answered_by_our_handler(chute: Chute, remote: bool) -> None:
    register_passthrough_routes(chute, [{"path": "/predict", "port": 9000, "target_path": "/Run/"}], 8080)
    (cord,) = chute.cords
    assert (cord.public_api_path, cord._public_api_method, cord._method) == ("/predict", "POST", "POST")
    assert cord._passthrough is not remote
    assert not cord._stream


def test_a_native_route_is_left_to_the_sdk(chute: Chute, remote: bool) -> None:
    route = {"path": "/predict", "method": "PUT", "port": 9000, "target_path": "/run", "native": True}
    register_passthrough_routes(chute, [route, {"path": "/b", "native": True}], 8081)
    first, second = chute.cords
    assert (first.passthrough_path, first._passthrough_port, first._method) == ("/run", 9000, "PUT")
    assert first._passthrough
    assert second._passthrough_port == 8081


def test_a_native_route_that_the_sdk_cannot_call_is_left_out(chute: Chute, log_lines: list[str]) -> None:
    register_passthrough_routes(chute, [{"path": "/a", "target_path": "/Run", "native": True}], 8080)
    assert chute.cords == []
    assert any("'/Run'" in line and "native" in line for line in log_lines)


def test_a_stream_route_is_a_native_passthrough_to_our_own_server(chute: Chute, remote: bool) -> None:
    register_passthrough_routes(chute, [{"path": "/a", "method": "GET", "stream": True}], 8080)
    (cord,) = chute.cords
    assert (cord._stream, cord._passthrough, cord._method) == (True, True, "POST")
    assert (cord.public_api_path, cord._public_api_method) == ("/a", "GET")
    assert cord.output_content_type == "text/event-stream"
    server = get_loopback_server(chute)
    assert (server is not None) is remote
    assert cord._passthrough_port == (server.port if server else None)
    assert cord.passthrough_path == cord.path


def test_a_stream_switch_is_a_pair_of_cords_the_streaming_one_first(chute: Chute) -> None:
    register_passthrough_routes(chute, [{"path": "/chat", "stream": "switch"}], 8080)
    assert [(cord.public_api_path, cord._stream) for cord in chute.cords] == [("/chat", True), ("/chat", False)]


def test_expose_of_the_module_publishes_filtered_routes(load_module: Loader) -> None:
    module = load_module(EXPOSING)
    assert [cord.public_api_path for cord in module.chute.cords] == ["/voices/voice_id/sample_wav", "/static/app"]


def test_an_unknown_category_is_reported(load_module: Loader) -> None:
    with pytest.raises(ConfigurationError, match="CHUTE_EXPOSE: 'interna'"):
        load_module(EXPOSING.replace("internal", "interna"))


def test_each_method_of_a_path_has_a_separate_cord(chute: Chute) -> None:
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
    register_passthrough_routes(chute, [{"path": "/item", "method": method} for method in methods], 8080)
    assert {key: cord["method"] for key, cord in cords(chute).items()} == {
        ("GET", "/item"): "GET",
        ("POST", "/item"): "POST",
        ("POST", "/item/put"): "PUT",
        ("POST", "/item/patch"): "PATCH",
        ("POST", "/item/delete"): "DELETE",
    }
    assert len({cord["path"] for cord in describe(chute)["cords"]}) == 5


def test_a_handler_of_the_module_with_the_same_name_does_not_collide(chute: Chute) -> None:
    register_passthrough_routes(chute, [{"path": "/health", "method": "GET"}], 8080)

    @chute.cord(public_api_path="/other", public_api_method="GET", method="GET")  # type: ignore[untyped-decorator]  # the SDK has no types
    async def health(self: Any) -> dict[str, str]:
        return {}

    assert len({cord.path for cord in chute.cords}) == 2


def test_a_cord_that_the_module_defined_before_overrides_the_route(chute: Chute, log_lines: list[str]) -> None:
    @chute.cord(public_api_path="/health", public_api_method="GET", method="GET")  # type: ignore[untyped-decorator]  # the SDK has no types
    async def mine(self: Any) -> dict[str, str]:
        return {}

    register_passthrough_routes(chute, [{"path": "/health", "method": "GET"}, {"path": "/health"}], 8080)
    assert [(cord.public_api_path, cord._public_api_method) for cord in chute.cords] == [
        ("/health", "GET"),
        ("/health", "POST"),
    ]
    assert any("GET /health" in line and "own cord" in line for line in log_lines)


def test_a_cord_that_the_module_defines_after_overrides_the_route(
    chute: Chute, remote: bool, log_lines: list[str]
) -> None:
    register_passthrough_routes(
        chute, [{"path": "/health", "method": "GET"}, {"path": "/health"}, {"path": "/chat", "stream": "switch"}], 8080
    )
    before = list(chute.cords)
    own = [("GET", "/health"), ("POST", "/chat"), ("POST", "/chat"), ("GET", "/other")]
    for index, (method, path) in enumerate(own):
        chute.cord(path=f"/own_{index}", public_api_path=path, public_api_method=method)
    assert [cord in before for cord in chute.cords] == [True, False, False, False, False]
    assert [(cord._public_api_method, cord.public_api_path) for cord in chute.cords] == [("POST", "/health"), *own]
    assert sum("GET /health" in line and "own cord" in line for line in log_lines) == 1
    assert sum("POST /chat" in line and "own cord" in line for line in log_lines) == 1


def test_a_module_may_register_routes_twice(chute: Chute, log_lines: list[str]) -> None:
    register_passthrough_routes(chute, [{"path": "/a", "stream": "switch"}], 8080)
    register_passthrough_routes(chute, [{"path": "/a"}, {"path": "/b", "stream": "switch"}], 8081)
    register_health_check(chute, [8080], "/b")
    assert [cord.public_api_path for cord in chute.cords] == ["/a", "/a", "/b", "/b", "/b"]


def test_schemas_go_onto_the_cord(chute: Chute) -> None:
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    route = {
        "path": "/a",
        "input_schema": schema,
        "output_schema": {"type": "array"},
        "response": {"content_type": "audio/wav"},
    }
    register_passthrough_routes(chute, [route], 8080)
    (cord,) = describe(chute)["cords"]
    assert cord["input_schema"] == schema
    assert cord["output_schema"] == {"type": "array"}
    assert cord["output_content_type"] == "audio/wav"


def test_every_filtered_route_is_logged_with_its_reason(chute: Chute, log_lines: list[str]) -> None:
    routes = [{"path": path} for path in ("/", "/a/{id}", "/x.txt", "/static/y", "/ok")]
    register_passthrough_routes(chute, routes, 8080)
    assert [cord.public_api_path for cord in chute.cords] == ["/ok"]
    for part in ("POST / ", "/a/{id}", "/x.txt", "/static/y"):
        assert any(part in line and "not published" in line for line in log_lines), part


def test_a_shadowed_path_is_published_with_a_warning(chute: Chute, log_lines: list[str]) -> None:
    register_passthrough_routes(chute, [{"path": "/ping", "method": "GET"}], 8080)
    assert len(chute.cords) == 1
    assert any("WARNING" in line and "/ping" in line for line in log_lines)


def test_unknown_keys_are_reported_once(chute: Chute, log_lines: list[str]) -> None:
    register_passthrough_routes(chute, [{"path": "/a", "cord": "x"}, {"path": "/b", "cord": "y"}], 8080)
    assert sum("cord" in line and "unknown keys" in line for line in log_lines) == 1


def test_public_methods_publish_a_put_unchanged(chute: Chute) -> None:
    register_passthrough_routes(chute, [{"path": "/a", "method": "PUT"}], 8080, public_methods=("GET", "POST", "PUT"))
    assert ("PUT", "/a") in cords(chute)


def test_a_malformed_route_is_named(chute: Chute) -> None:
    with pytest.raises(ConfigurationError, match="route 1"):
        register_passthrough_routes(chute, [{"path": "/a"}, {"path": "b"}], 8080)


@pytest.mark.parametrize("port", [8000, 8001, 8002])
def test_a_route_to_a_port_of_the_chute_itself_is_rejected(chute: Chute, port: int) -> None:
    for routes, default in ([{"path": "/a"}], port), ([{"path": "/a", "port": port}], 8080):
        with pytest.raises(ConfigurationError, match=f"port {port} belongs"):
            register_passthrough_routes(chute, routes, default)
    assert chute.cords == []


def test_nothing_is_registered_while_registration_is_skipped(chute: Chute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTES_SKIP_ROUTE_REGISTRATION", "1")
    register_passthrough_routes(chute, [{"path": "/a"}], 8080)
    assert chute.cords == []


def test_the_description_is_plain_json(chute: Chute) -> None:
    register_passthrough_routes(chute, [{"path": "/a"}], 8080)
    assert json.loads(json.dumps(describe(chute))) == describe(chute)


def test_both_contexts_compute_the_same_cords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    routes = [{"path": "/a", "method": method} for method in ("GET", "POST", "DELETE")]
    routes += [{"path": "/s", "stream": "switch"}]
    sides = []
    for context in ("", "REMOTE"):
        monkeypatch.setenv("CHUTES_EXECUTION_CONTEXT", context)
        chute = Chute(
            username="tester",
            name="case",
            image="tester/case:v1",
            tee=True,
            node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
        )
        register_passthrough_routes(chute, routes, 8080)
        # Whether a cord is passthrough differs by design: it is declared so, and answered by our handler.
        sides.append([{**cord, "passthrough": None} for cord in describe(chute)["cords"]])
    assert sides[0] == sides[1]


def test_a_head_route_is_published_as_head_only_on_request(chute: Chute) -> None:
    register_passthrough_routes(chute, [{"path": "/a", "method": "HEAD"}], 8080, public_methods=("GET", "POST", "HEAD"))
    register_passthrough_routes(chute, [{"path": "/b", "method": "HEAD"}], 8080)
    assert [(cord._public_api_method, cord._method) for cord in chute.cords] == [("HEAD", "HEAD"), ("POST", "HEAD")]


@pytest.mark.parametrize("methods", [["get"], ["GET", "TRACE"], "PUT", [" POST"], [None]])
def test_a_public_method_that_no_api_accepts_is_refused(chute: Chute, methods: Any) -> None:
    with pytest.raises(ConfigurationError, match="public_methods is") as caught:
        register_passthrough_routes(chute, [{"path": "/a"}], 8080, public_methods=methods)
    assert "GET, POST, PUT, PATCH, DELETE, HEAD" in str(caught.value)
    assert chute.cords == []
