"""``--discover M --check``: the manifest compared with what the service serves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from chutes_wrappers.cli.commands import discover, discover_module
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from tests.host.discovery.engines import FakeContainer, FakeEngine
from tests.upstreams.scripted import json_reply, serve_script

PLAIN = discover.Settings(gpus="none")
EXPOSING = discover.Settings(gpus="none", expose=frozenset({"internal"}))


class Engine(FakeEngine):
    is_closed = False

    def close(self) -> None:
        self.is_closed = True


@contextmanager
def serving_paths(*paths: str) -> Iterator[Engine]:
    document = json_reply({"openapi": "3.1.0", "paths": {path: {"get": {}} for path in paths}})
    with serve_script({"/openapi.json": document}) as server:
        yield Engine(FakeContainer({8020: server.port}))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleFacts:
    """A module whose image has another digest at each inspection."""
    digests = (f"sha256:{number}" for number in range(10))

    def inspect(engine: Any, reference: str) -> LaunchSpec:
        return LaunchSpec(reference=reference, digest=next(digests))

    monkeypatch.setattr("chutes_wrappers.host.inspection.inspect_image", inspect)
    return ModuleFacts(
        path=tmp_path / "deploy_x.py", chute_name="x", chute_tag="v1", base_image="base:1", service_ports=(8020,)
    )


def check(module: ModuleFacts, *paths: str) -> None:
    with serving_paths(*paths) as engine:
        try:
            discover_module.compare_with_manifest(module, cast(DockerEngine, engine), PLAIN)
        finally:
            assert engine.is_closed


def write(module: ModuleFacts, settings: discover.Settings, *paths: str) -> None:
    with serving_paths(*paths) as engine:
        discover.discover_and_write(module, engine, settings, module.manifest_path)


def test_the_same_service_of_an_image_that_was_pushed_is_no_difference(module: ModuleFacts) -> None:
    write(module, PLAIN, "/say", "/login")
    check(module, "/say", "/login")


def test_routes_that_need_expose_name_the_flag(module: ModuleFacts) -> None:
    write(module, EXPOSING, "/say", "/login")
    with pytest.raises(WrapperError, match=r"1 point\b") as differs:
        check(module, "/say", "/login")
    assert "--expose" in str(differs.value.next_step)
    assert "CHUTE_EXPOSE" in str(differs.value.next_step)


def test_new_and_missing_routes_are_counted(module: ModuleFacts) -> None:
    write(module, PLAIN, "/say")
    with pytest.raises(WrapperError, match="2 points") as differs:
        check(module, "/shout")
    assert "--expose" not in str(differs.value.next_step)
