from __future__ import annotations

import asyncio
from typing import Any

from chutes_wrappers.host.discovery import composition
from chutes_wrappers.host.discovery.fetching import Service
from chutes_wrappers.host.discovery.probing import Bounds, Finding, probe
from tests.upstreams.gradio_app import config, function, info
from tests.upstreams.scripted import Reply, json_reply, serve_script

APP = {
    "/gradio_api/info": json_reply(info(speak={"returns": []})),
    "/config": json_reply(config(function(0, "speak", [], []))),
}


def find_app(script: dict[str, Any], **options: Any) -> Finding:
    with serve_script(script) as server:
        service = Service(port=7860, root=server.root)
        bounds = Bounds(timeout_s=60, settle_s=0.1)
        return asyncio.run(probe([service], bounds=bounds, report=lambda _: None, **options))[0]


def route_paths(finding: Finding) -> list[str]:
    return [route.path for route in finding.operations.routes]


def test_an_app_is_found_without_a_specification() -> None:
    finding = find_app(APP)
    assert (finding.location, route_paths(finding), finding.problems) == ("/gradio_api/info", ["/speak"], ())


def test_gradio_4_is_found_at_its_older_path() -> None:
    finding = find_app({"/info": APP["/gradio_api/info"], "/config": APP["/config"]})
    assert finding.operations.routes[0].gradio is not None
    assert finding.operations.routes[0].gradio.prefix == ""


def test_a_mounted_app_is_found_where_the_user_says() -> None:
    script = {"/ui/gradio_api/info": APP["/gradio_api/info"], "/ui/config": APP["/config"]}
    finding = find_app(script, probe_paths=["/ui/gradio_api/info"])
    assert finding.operations.routes[0].gradio is not None
    assert finding.operations.routes[0].gradio.prefix == "/ui/gradio_api"


def test_the_specification_is_read_too_and_endpoints_take_precedence() -> None:
    specification = {"openapi": "3.1.0", "paths": {"/speak": {"post": {}, "get": {}}, "/extra": {"get": {}}}}
    finding = find_app({**APP, "/openapi.json": json_reply(specification)})
    keys = {(route.method, route.path) for route in finding.operations.routes}
    assert keys == {("POST", "/speak"), ("GET", "/speak"), ("GET", "/extra")}
    skipped = [(entry.method, entry.path) for entry in finding.operations.skipped]
    assert skipped == [("POST", "/speak")]
    assert "CHUTE_STATIC_ROUTES" in finding.operations.skipped[0].reason


def test_the_info_of_another_service_is_ignored() -> None:
    specification = {"openapi": "3.1.0", "paths": {"/generate": {"post": {}}}}
    finding = find_app({"/info": json_reply({"model_id": "x"}), "/openapi.json": json_reply(specification)})
    assert (finding.location, route_paths(finding)) == ("/openapi.json", ["/generate"])


def test_an_app_without_config_is_skipped_with_the_reason() -> None:
    finding = find_app({"/gradio_api/info": APP["/gradio_api/info"], "/config": Reply(status=401)})
    assert route_paths(finding) == []
    assert "no function with this name" in finding.operations.skipped[0].reason
    manifest = composition.build_manifest([finding], roots={7860: "http://x"})
    assert manifest.source == {"7860": "http://x/gradio_api/info"}
