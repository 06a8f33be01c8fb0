from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.cli.commands import discover
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest, load_manifest
from chutes_wrappers.core.module_headers import parse_headers
from chutes_wrappers.core.platform_rules import INSTANCE_SHM_BYTES
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from tests.host.discovery.engines import FakeContainer, FakeEngine
from tests.scenario import find_free_port
from tests.upstreams.recording import RecordedReply, RecordedRequest, serve_recorder
from tests.upstreams.scripted import json_reply, serve_script


@pytest.fixture(autouse=True)
def patch_inspection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the inspection, which has separate tests."""
    monkeypatch.setattr(
        "chutes_wrappers.host.inspection.inspect_image", lambda engine, reference: LaunchSpec(reference=reference)
    )
    monkeypatch.setattr("chutes_wrappers.host.forge_losses.describe_losses", lambda *arguments: ("a library is lost",))


def facts(path: Path, **changes: Any) -> ModuleFacts:
    fields: dict[str, Any] = {
        "path": path / "deploy_x.py",
        "chute_name": "x",
        "chute_tag": "v1",
        "base_image": "base:1",
        "service_ports": (8020,),
        **changes,
    }
    return ModuleFacts(**fields)


def keep(manifest: Manifest) -> None:
    """An engine that records what it is asked to run."""


def specification(*paths: str) -> Any:
    return json_reply({"openapi": "3.1.0", "paths": {path: {"get": {}} for path in paths}})


def test_the_container_is_built_from_module_and_settings(tmp_path: Path) -> None:
    settings = discover.Settings(
        environment={"B": "flag"}, volumes=("/models:/models",), shm_bytes=1024, user="7", gpus="2", entrypoint=None
    )
    with serve_script({"/openapi.json": specification("/say")}) as server:
        engine = FakeEngine(FakeContainer({8020: server.port}))
        discover.discover_image(
            facts(tmp_path, env={"A": "module", "B": "module"}, entrypoint="exec serve"), engine, settings, keep
        )
    (spec,) = engine.started_specs
    assert spec.image == "base:1"
    assert spec.environment == {"A": "module", "B": "flag"}
    assert spec.entrypoint == ("/bin/sh", "-c", "exec serve")
    assert (spec.ports, spec.volumes, spec.shm_bytes, spec.user, spec.gpus) == (
        (8020,),
        ("/models:/models",),
        1024,
        "7",
        "2",
    )


@pytest.mark.parametrize(
    ("module", "flag", "used"),
    [
        (None, None, None),
        (("serve", "-v"), None, ("serve", "-v")),
        ("serve", ("other",), ("other",)),
    ],
)
def test_the_entrypoint_is_the_flags_then_the_modules_then_the_images(
    tmp_path: Path, module: Any, flag: Any, used: Any
) -> None:
    with serve_script({"/openapi.json": specification("/say")}) as server:
        engine = FakeEngine(FakeContainer({8020: server.port}))
        discover.discover_image(
            facts(tmp_path, entrypoint=module), engine, discover.Settings(entrypoint=flag, gpus="none"), keep
        )
    assert engine.started_specs[0].entrypoint == used
    assert engine.started_specs[0].gpus is None


def test_by_default_the_manifest_is_written_beside_the_module(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_script({"/openapi.json": specification("/say", "/")}) as server:
        engine = FakeEngine(FakeContainer({8020: server.port}))
        manifest = discover.discover_with_defaults(facts(tmp_path), engine)
    assert load_manifest(tmp_path / "deploy_x.routes.json").routes == manifest.routes
    assert engine.started_specs[0].gpus == "all"
    assert engine.started_specs[0].shm_bytes == INSTANCE_SHM_BYTES
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "1 routes, 1 skipped" in printed.err


def test_the_module_s_headers_open_a_service_and_their_variables_are_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = {"openapi": "3.1.0", "paths": {"/say": {"get": {}}}}

    def reply(request: RecordedRequest) -> RecordedReply:
        if request.headers.get("authorization") != "Bearer k1":
            return RecordedReply(status=401)
        is_document = request.target == "/openapi.json"
        return RecordedReply(body=json.dumps(document).encode()) if is_document else RecordedReply(status=404)

    module = facts(tmp_path, headers=parse_headers({"Authorization": "Bearer ${SAY_KEY}"}, "m.py"))
    with serve_recorder(reply) as service:
        engine = FakeEngine(FakeContainer({8020: service.port}))
        monkeypatch.delenv("SAY_KEY", raising=False)
        with pytest.raises(ConfigurationError, match="SAY_KEY is not set in your environment"):
            discover.discover_with_defaults(module, engine)
        assert engine.started_specs == []
        monkeypatch.setenv("SAY_KEY", "k1")
        manifest = discover.discover_with_defaults(module, engine)
    assert [route.path for route in manifest.routes] == ["/say"]
    assert engine.started_specs[0].environment == {"SAY_KEY": "k1"}


def test_a_service_without_a_setting_is_told_from_one_that_is_broken(tmp_path: Path) -> None:
    engine = FakeEngine(FakeContainer({8020: find_free_port()}, exit_code=1, lines=["LITELLM_MASTER_KEY is not set"]))
    with pytest.raises(WrapperError, match="it needs LITELLM_MASTER_KEY, which is not set: the image is not broken"):
        discover.discover_with_defaults(facts(tmp_path), engine)


def test_a_failed_discovery_leaves_the_old_manifest_alone(tmp_path: Path) -> None:
    old = tmp_path / "deploy_x.routes.json"
    old.write_text("old")
    engine = FakeEngine(FakeContainer({8020: find_free_port()}, exit_code=1, lines=["no MODEL_NAME"]))
    with pytest.raises(WrapperError, match="exit code 1"):
        discover.discover_with_defaults(facts(tmp_path), engine)
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [old]


@pytest.mark.parametrize(
    "changes",
    [{"service_ports": (8000,)}, {"static_routes": ({"method": "GET"},)}],
    ids=["port of the chute", "bad static route"],
)
def test_problems_of_the_module_are_reported_before_anything_runs(tmp_path: Path, changes: dict[str, Any]) -> None:
    engine = FakeEngine(FakeContainer({}))
    with pytest.raises(ConfigurationError):
        discover.discover_with_defaults(facts(tmp_path, **changes), engine)
    assert engine.started_specs == []


def test_invalid_gpus_are_rejected_before_anything_runs(tmp_path: Path) -> None:
    engine = FakeEngine(FakeContainer({}))
    with pytest.raises(ConfigurationError, match="is not all, none or a number"):
        discover.discover_image(facts(tmp_path), engine, discover.Settings(gpus="device=x"), keep)
    assert engine.started_specs == []


def test_a_path_that_is_not_writable_is_named_before_anything_runs(tmp_path: Path) -> None:
    engine = FakeEngine(FakeContainer({}))
    with pytest.raises(ConfigurationError, match="is not writable"):
        discover.discover_and_write(facts(tmp_path), engine, discover.Settings(), tmp_path / "no" / "x.json")
    assert engine.started_specs == []


def test_secrets_stay_out_of_repr() -> None:
    assert "hunter2" not in repr(discover.Settings(environment={"TOKEN": "hunter2"}))


@pytest.mark.parametrize(
    ("text", "size"),
    [("512m", 512 * 1024**2), ("16g", 16 * 1024**3), ("64M", 64 * 1024**2), ("1kb", 1024), ("7", 7), ("7b", 7)],
)
def test_sizes_are_dockers(text: str, size: int) -> None:
    assert discover.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1g", "1.5g", "16t", "g", "1e9"])
def test_an_invalid_size_is_rejected(text: str) -> None:
    with pytest.raises(ConfigurationError):
        discover.parse_size(text)


def test_variables_take_their_value_from_the_flag_or_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "from us")
    assert discover.parse_environment(["A=1", "B=x=y", "C=", "HF_TOKEN"]) == {
        "A": "1",
        "B": "x=y",
        "C": "",
        "HF_TOKEN": "from us",
    }


@pytest.mark.parametrize("assignment", ["=secret", "NOT_SET_HERE", ""])
def test_a_variable_without_name_or_value_is_rejected(assignment: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        discover.parse_environment([assignment])
    assert "secret" not in str(caught.value)


def test_flag_and_module_expose_together_and_the_public_api_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = discover.Settings(expose=frozenset({"files"}), openapi=tmp_path / "api.json")
    own = facts(tmp_path, expose=frozenset({"parameters"}), static_routes=({"path": "/own/{a}", "method": "GET"},))
    with serve_script({"/openapi.json": specification("/say", "/a/{b}.wav", "/static/x")}) as server:
        manifest = discover.discover_and_write(
            own, FakeEngine(FakeContainer({8020: server.port})), settings, own.manifest_path
        )
    assert [route.path for route in manifest.routes] == ["/say", "/a/b_wav"]
    assert load_manifest(own.manifest_path).to_json() == manifest.to_json()
    assert "1 operations are left out by default (internal 1); --expose internal publishes" in capsys.readouterr().err
    assert set(json.loads((tmp_path / "api.json").read_text())["paths"]) == {"/say", "/a/b_wav", "/own/a"}


def test_the_public_api_of_a_running_service_is_written(tmp_path: Path) -> None:
    target = tmp_path / "api.json"
    with serve_script({"/openapi.json": specification("/say", "/users")}) as server:
        discover.discover_url(
            server.root, 8020, discover.Settings(openapi=target, expose=frozenset({"reserved"})), None
        )
    assert set(json.loads(target.read_text())["paths"]) == {"/say", "/service/users"}


def test_a_running_service_is_discovered_without_an_engine(tmp_path: Path) -> None:
    target = tmp_path / "x.routes.json"
    with serve_script({"/openapi.json": specification("/say")}) as server:
        manifest = discover.discover_url(server.root, 8020, discover.Settings(), target)
    written = json.loads(target.read_text())
    assert written["source"] == {"8020": f"{server.root}/openapi.json"}
    assert [(route["path"], route["port"]) for route in written["routes"]] == [("/say", 8020)]
    assert manifest.image is None
