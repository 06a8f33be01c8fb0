from __future__ import annotations

import asyncio
from typing import Any

from chutes_wrappers.host.discovery import composition
from chutes_wrappers.host.discovery.fetching import Service
from chutes_wrappers.host.discovery.probing import Bounds, Finding, probe
from tests.upstreams.gradio_app import config, function, info
from tests.upstreams.scripted import Reply, json_reply, serving

APP = {
    "/gradio_api/info": json_reply(info(speak={"returns": []})),
    "/config": json_reply(config(function(0, "speak", [], []))),
}


def look(script: dict[str, Any], **options: Any) -> Finding:
    with serving(script) as server:
        service = Service(port=7860, root=server.root)
        bounds = Bounds(timeout_s=60, settle_s=0.1)
        return asyncio.run(probe([service], bounds=bounds, report=lambda _: None, **options))[0]


def paths(finding: Finding) -> list[str]:
    return [route.path for route in finding.operations.routes]


def test_an_app_is_found_without_a_specification() -> None:
    finding = look(APP)
    assert (finding.location, paths(finding), finding.problems) == ("/gradio_api/info", ["/speak"], ())


def test_gradio_4_is_found_at_its_older_place() -> None:
    finding = look({"/info": APP["/gradio_api/info"], "/config": APP["/config"]})
    assert finding.operations.routes[0].gradio is not None
    assert finding.operations.routes[0].gradio.prefix == ""


def test_a_mounted_app_is_found_where_the_user_says() -> None:
    script = {"/ui/gradio_api/info": APP["/gradio_api/info"], "/ui/config": APP["/config"]}
    finding = look(script, probe_paths=["/ui/gradio_api/info"])
    assert finding.operations.routes[0].gradio is not None
    assert finding.operations.routes[0].gradio.prefix == "/ui/gradio_api"


def test_its_specification_is_read_as_well_and_a_name_belongs_to_the_endpoint() -> None:
    specification = {"openapi": "3.1.0", "paths": {"/speak": {"post": {}, "get": {}}, "/extra": {"get": {}}}}
    finding = look({**APP, "/openapi.json": json_reply(specification)})
    keys = {(route.method, route.path) for route in finding.operations.routes}
    assert keys == {("POST", "/speak"), ("GET", "/speak"), ("GET", "/extra")}
    skipped = [(entry.method, entry.path) for entry in finding.operations.skipped]
    assert skipped == [("POST", "/speak")]
    assert "CHUTE_STATIC_ROUTES" in finding.operations.skipped[0].reason


def test_the_info_of_another_service_means_nothing() -> None:
    specification = {"openapi": "3.1.0", "paths": {"/generate": {"post": {}}}}
    finding = look({"/info": json_reply({"model_id": "x"}), "/openapi.json": json_reply(specification)})
    assert (finding.location, paths(finding)) == ("/openapi.json", ["/generate"])


def test_an_app_without_its_config_says_what_is_missing() -> None:
    finding = look({"/gradio_api/info": APP["/gradio_api/info"], "/config": Reply(status=401)})
    assert paths(finding) == []
    assert "no function of this name" in finding.operations.skipped[0].reason
    manifest = composition.compose([finding], roots={7860: "http://x"})
    assert manifest.source == {"7860": "http://x/gradio_api/info"}
