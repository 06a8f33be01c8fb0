from __future__ import annotations

import json
from pathlib import Path

import pytest

from chutes_wrappers.core import layout
from chutes_wrappers.core.manifest import Manifest, load_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.staging import create_stage, find_known_manifest

MANIFEST = Manifest(routes=(Route(path="/a", port=8020),))


@pytest.fixture
def facts(tmp_path: Path) -> ModuleFacts:
    path = tmp_path / "deploy_thing.py"
    path.write_text("x = 1\n")
    (tmp_path / "secret.txt").write_text("not for the image")
    return ModuleFacts(path=path, chute_name="n", chute_tag="t1", base_image="b", service_ports=(8020,))


def test_the_folder_holds_module_package_and_manifest_and_nothing_else(facts: ModuleFacts) -> None:
    with create_stage(facts, MANIFEST, username="u") as stage:
        assert {path.name for path in stage.folder.iterdir()} == {
            "deploy_thing.py",
            "deploy_thing.routes.json",
            "chutes_wrappers",
            "tools",
        }
        assert {path.name for path in (stage.folder / "chutes_wrappers").iterdir()} == {
            "__init__.py",
            "core",
            "facade.py",
            "runtime",
            "sdk",
        }
        assert {path.name for path in (stage.folder / "tools").iterdir()} == {"__init__.py", "chute_wrappers.py"}
        assert not [path for path in stage.folder.rglob("*") if path.name == "__pycache__"]
        for source in (*layout.PACKAGE_SOURCES, layout.RECIPE_SOURCE):
            assert (stage.folder / source).exists()
        assert load_manifest(stage.folder / "deploy_thing.routes.json") == MANIFEST
        assert stage.reference == "deploy_thing:chute"
    assert not stage.folder.exists()


def test_what_sdk_commands_leave_in_the_temporary_folder_goes_with_it(facts: ModuleFacts) -> None:
    with create_stage(facts, MANIFEST, username="u") as stage:
        scratch = Path(stage.environment["TMPDIR"])
        assert scratch.is_dir()
        assert not scratch.is_relative_to(stage.folder)
    assert not scratch.exists()


def test_the_folder_is_removed_after_a_failure_too(facts: ModuleFacts) -> None:
    with pytest.raises(KeyboardInterrupt), create_stage(facts, MANIFEST, username="u") as stage:
        raise KeyboardInterrupt
    assert not stage.folder.exists()


def test_sdk_commands_see_the_staged_manifest_only(facts: ModuleFacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTES_ROUTE_MANIFEST_JSON", "[]")
    with create_stage(facts, MANIFEST, username="somebody") as stage:
        assert stage.environment["CHUTES_ROUTE_MANIFEST"] == str(stage.folder / "deploy_thing.routes.json")
        assert "CHUTES_ROUTE_MANIFEST_JSON" not in stage.environment
        assert stage.environment["CHUTES_USERNAME"] == "somebody"


def test_the_manifest_comes_from_the_documented_sources_in_their_order(
    facts: ModuleFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CHUTES_ROUTE_MANIFEST", "CHUTES_ROUTE_MANIFEST_JSON"):
        monkeypatch.delenv(name, raising=False)
    assert find_known_manifest(facts) is None
    sources = []
    for name, place in (("beside", facts.manifest_path), ("named", tmp_path / "m.json")):
        place.write_text(json.dumps([{"path": f"/{name}"}]))
        if name == "named":
            monkeypatch.setenv("CHUTES_ROUTE_MANIFEST", str(place))
        sources.append(find_known_manifest(facts))
    monkeypatch.setenv("CHUTES_ROUTE_MANIFEST_JSON", '[{"path": "/inline"}]')
    sources.append(find_known_manifest(facts))
    assert [source and source.routes[0].path for source in sources] == ["/beside", "/named", "/inline"]
