from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.modules.module_facts import ModuleFacts, read_module
from chutes_wrappers.host.parity.response_record import (
    ResponseRecord,
    RouteRecord,
    build_record_path,
    compute_source_hashes,
    load_record,
    write_record,
)

MANIFEST = Manifest(routes=(Route(path="/a", port=9000),))


@pytest.fixture
def facts(tmp_path: Path) -> ModuleFacts:
    module = tmp_path / "deploy_case.py"
    module.write_text('CHUTE_NAME = "case"\nCHUTE_TAG = "v1"\nCHUTE_BASE_IMAGE = "x:1"\nSERVICE_PORTS = [9000]\n')
    write_manifest(MANIFEST, module.with_suffix(".routes.json"))
    return read_module(module)


def make_record(facts: ModuleFacts, **route: Any) -> ResponseRecord:
    routes = (RouteRecord(method="POST", path="/a", shape={"a": ["number"]}, **route),)
    return ResponseRecord(**compute_source_hashes(facts, MANIFEST), routes=routes)  # type: ignore[arg-type]


def test_a_record_is_read_as_it_was_written(facts: ModuleFacts) -> None:
    record, path = make_record(facts), build_record_path(facts)
    write_record(record, path)
    assert path.name == "deploy_case.responses.json"
    assert load_record(facts, MANIFEST) == record
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".")] == []


def test_a_record_with_bodies_is_the_users_alone(facts: ModuleFacts) -> None:
    path = build_record_path(facts)
    for record, mode in ((make_record(facts), 0o644), (make_record(facts, kept_body="secret"), 0o600)):
        write_record(record, path)
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_missing_record_names_the_command_that_writes_it(facts: ModuleFacts) -> None:
    with pytest.raises(ConfigurationError, match=r"no record .*") as caught:
        load_record(facts, MANIFEST)
    assert "--emulate" in str(caught.value.next_step)


@pytest.mark.parametrize("changed", ["module", "manifest"])
def test_a_record_of_another_module_or_manifest_is_stale(facts: ModuleFacts, changed: str) -> None:
    write_record(make_record(facts), build_record_path(facts))
    if changed == "module":
        facts.path.write_text(facts.path.read_text() + "# changed\n")
    else:
        write_manifest(Manifest(), facts.manifest_path)
    with pytest.raises(ConfigurationError, match=f"the {changed} changed after the record"):
        load_record(facts, MANIFEST)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "cannot be read"),
        (b"[]", "format is None"),
        (b'{"version": 2}', "format is 2"),
        (b'{"version": true}', "format is True"),
        (b'{"version": 1}', "module: Field required"),
        (b"\xff", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
    ],
)
def test_an_invalid_record_is_refused_with_the_reason(facts: ModuleFacts, content: bytes, reason: str) -> None:
    build_record_path(facts).write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load_record(facts, MANIFEST)
    assert reason in str(caught.value)
    assert "--emulate" in str(caught.value.next_step)


def test_an_invalid_value_is_not_shown(facts: ModuleFacts) -> None:
    path = build_record_path(facts)
    write_record(make_record(facts), path)
    data = json.loads(path.read_text())
    data["routes"][0]["size"] = "a secret"
    path.write_text(json.dumps(data))
    with pytest.raises(ConfigurationError, match=r"routes\.0\.size") as caught:
        load_record(facts, MANIFEST)
    assert "a secret" not in str(caught.value)
