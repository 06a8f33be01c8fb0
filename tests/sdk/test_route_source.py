from __future__ import annotations

import json
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.sdk import route_source

from .conftest import Loader

MODULE = """
from tools.chute_wrappers import load_route_manifest
CHUTE_STATIC_ROUTES = [{"path": "/static-route", "method": "GET", "port": 8080}, {"path": "/found", "port": 1}]
routes = load_route_manifest(static_routes=CHUTE_STATIC_ROUTES)
"""


def paths(load: Loader) -> list[str]:
    return [route["path"] for route in load(MODULE).routes]


def write(path: Path, *routes: str) -> Path:
    write_manifest(Manifest(routes=tuple(Route(path=route) for route in routes)), path)
    return path


def test_without_a_manifest_only_static_routes_are_returned(load_module: Loader) -> None:
    assert paths(load_module) == ["/static-route", "/found"]


def test_the_manifest_beside_the_module_is_found_by_its_name(load_module: Loader, tmp_path: Path) -> None:
    write(tmp_path / "deploy_case.routes.json", "/beside")
    assert paths(load_module) == ["/beside", "/static-route", "/found"]


def test_the_path_variable_has_priority_over_the_file_beside_the_module(
    load_module: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "deploy_case.routes.json", "/beside")
    monkeypatch.setenv("CHUTES_ROUTE_MANIFEST", str(write(tmp_path / "named.json", "/named")))
    assert paths(load_module) == ["/named", "/static-route", "/found"]


def test_the_inline_variable_has_priority_over_both(
    load_module: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHUTES_ROUTE_MANIFEST", str(write(tmp_path / "named.json", "/named")))
    monkeypatch.setenv("CHUTES_ROUTE_MANIFEST_JSON", json.dumps([{"path": "/inline"}]))
    assert paths(load_module) == ["/inline", "/static-route", "/found"]


def test_an_instance_uses_the_baked_manifest(
    load_module: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route_source, "BAKED_MANIFEST", str(write(tmp_path / "baked.json", "/baked")))
    assert paths(load_module)[0] == "/baked"


def test_a_missing_manifest_that_a_variable_names_is_an_error(
    load_module: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHUTES_ROUTE_MANIFEST", "/nowhere/m.json")
    with pytest.raises(ConfigurationError, match=r"/nowhere/m\.json"):
        paths(load_module)


def test_a_static_route_that_differs_from_the_manifests_is_warned_about(
    load_module: Loader, tmp_path: Path, log_lines: list[str]
) -> None:
    path = tmp_path / "deploy_case.routes.json"
    write_manifest(Manifest(routes=(Route(path="/found", port=8020),)), path)
    assert paths(load_module) == ["/found", "/static-route"]
    assert any("WARNING" in line and "/found" in line for line in log_lines)


def test_skipping_registration_returns_no_routes_and_reads_nothing(
    load_module: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHUTES_SKIP_ROUTE_REGISTRATION", "1")
    monkeypatch.setenv("CHUTES_ROUTE_MANIFEST", "/nowhere/m.json")
    assert paths(load_module) == []


def test_an_invalid_static_route_is_reported_with_its_module_and_index(load_module: Loader, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_module(MODULE.replace('"port": 1}', '"port": 0}'))
    assert f"{tmp_path}/deploy_case.py, static routes, route 1: `port` = 0" in str(caught.value)
    assert caught.value.next_step


def test_unknown_keys_are_reported_once_for_the_file_and_for_static_routes(
    load_module: Loader, tmp_path: Path, log_lines: list[str]
) -> None:
    (tmp_path / "deploy_case.routes.json").write_text(
        json.dumps([{"path": "/a", "cord": "a"}, {"path": "/b", "cord": "b"}])
    )
    load_module(MODULE.replace('"port": 1}', '"prot": 1}'))
    reported = [line for line in log_lines if "unknown keys" in line]
    assert reported == [
        "WARNING route manifest: ignoring unknown keys: cord",
        "WARNING static routes: ignoring unknown keys: prot (did you mean port?)",
    ]
