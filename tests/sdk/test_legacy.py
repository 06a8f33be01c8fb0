"""Modules of earlier toolkits, unchanged, on the SDK's own start-up."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.runtime import startup, supervision
from tests.scenario import find_free_port

from .conftest import Loader

FAMILY = Path(__file__).resolve().parents[1] / "upstreams" / "process_tree.py"
HEAD = """
from chutes.chute import Chute, NodeSelector
from tools.chute_wrappers import register_health_check, register_service_launcher, register_startup_wait
chute = Chute(username="tester", name="old", image="tester/old:v1", node_selector=NodeSelector())
"""


@pytest.fixture(autouse=True)
def _remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start-up hooks run on an instance only."""
    monkeypatch.setenv("CHUTES_EXECUTION_CONTEXT", "REMOTE")
    monkeypatch.setattr(supervision, "_install_sigterm_handler", lambda: None)
    yield
    supervision.stop_all()


def bake(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Make this a wrapped image whose own command is ``process_tree.py`` with these arguments."""
    spec = LaunchSpec(reference="x", entrypoint=(sys.executable, str(FAMILY)), cmd=arguments, working_dir="/")
    write_manifest(Manifest(image=spec), folder / "baked.json")
    monkeypatch.setattr(startup, "BAKED_MANIFEST", str(folder / "baked.json"))


@pytest.fixture
def port() -> int:
    return find_free_port()


@pytest.mark.parametrize("as_text", [True, False])
def test_the_launcher_starts_its_command_with_its_environment_and_waits(
    load_module: Loader, port: int, as_text: bool
) -> None:
    argv = [sys.executable, str(FAMILY), "listen", "127.0.0.1", str(port)]
    entrypoint = " ".join(argv) if as_text else argv
    module = load_module(
        HEAD + f"register_service_launcher(chute, {entrypoint!r}, [{port}], timeout=60, env={{'A': 'b'}})\n"
    )
    asyncio.run(module.chute.initialize())
    (process,) = supervision.get_services()
    assert process._environment["A"] == "b"
    assert process.exit_code is None


def test_without_env_the_launcher_uses_chute_env_of_the_module(load_module: Loader, port: int) -> None:
    argv = [sys.executable, str(FAMILY), "listen", "127.0.0.1", str(port)]
    source = f"CHUTE_ENV = {{'A': 'module'}}\nregister_service_launcher(chute, {argv!r}, [{port}], timeout=60)\n"
    asyncio.run(load_module(HEAD + source).chute.initialize())
    (process,) = supervision.get_services()
    assert process._environment["A"] == "module"
    assert process._environment["PATH"] == os.environ["PATH"]


def test_nothing_is_started_when_the_ports_are_already_reachable(load_module: Loader, port: int) -> None:
    module = load_module(HEAD + f"register_service_launcher(chute, ['no-such-command'], [{port}], soft_fail=False)\n")
    with socket.create_server(("127.0.0.1", port)):
        asyncio.run(module.chute.initialize())
    assert supervision.get_services() == ()


def test_nothing_is_started_where_hooks_do_not_run(
    load_module: Loader, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHUTES_EXECUTION_CONTEXT", "")
    module = load_module(HEAD + f"register_service_launcher(chute, ['no-such-command'], [{port}], soft_fail=False)\n")
    asyncio.run(module.chute.initialize())


def test_in_a_wrapped_image_the_wait_starts_no_second_service(
    load_module: Loader, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bake(tmp_path, monkeypatch, "listen", "127.0.0.1", str(port))
    argv = [sys.executable, str(FAMILY), "fail", "9", "1"]
    source = f"""
register_service_launcher(chute, {argv!r}, [{port}])
register_startup_wait(chute, [{port}], soft_fail=True)
"""
    asyncio.run(load_module(HEAD + source).chute.initialize())
    (process,) = supervision.get_services()
    assert process.exit_code == 9


def test_in_a_wrapped_image_the_wait_starts_the_command_of_the_module(
    load_module: Loader, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bake(tmp_path, monkeypatch, "fail", "9", "1")
    argv = [sys.executable, str(FAMILY), "listen", "127.0.0.1", str(port)]
    source = f"""
ENTRYPOINT = {argv!r}
CHUTE_ENV = {{"A": "module"}}
register_startup_wait(chute, [{port}], timeout=60)
"""
    asyncio.run(load_module(HEAD + source).chute.initialize())
    (process,) = supervision.get_services()
    assert process._environment["A"] == "module"


@pytest.mark.parametrize(
    "call", ["service_launcher(chute, 'x', [0])", "startup_wait(chute, 80)", "health_check(chute, [])"]
)
def test_invalid_ports_are_rejected_while_the_module_loads(load_module: Loader, call: str) -> None:
    with pytest.raises(ConfigurationError, match="SERVICE_PORTS"):
        load_module(HEAD + f"register_{call}\n")


def test_a_launcher_that_fails_softly_lets_the_chute_go_on(
    load_module: Loader, port: int, log_lines: list[str]
) -> None:
    argv = [sys.executable, str(FAMILY), "fail", "9", "1"]
    module = load_module(HEAD + f"register_service_launcher(chute, {argv!r}, [{port}])\n")
    asyncio.run(module.chute.initialize())
    assert any("exit code 9" in line for line in log_lines)


def test_a_launcher_that_fails_hard_ends_the_start_up(load_module: Loader, port: int) -> None:
    argv = [sys.executable, str(FAMILY), "fail", "9", "1"]
    module = load_module(HEAD + f"register_service_launcher(chute, {argv!r}, [{port}], soft_fail=False)\n")
    with pytest.raises(ServiceFailed, match="exit code 9"):
        asyncio.run(module.chute.initialize())


def test_the_start_up_wait_waits_for_what_the_launcher_started(load_module: Loader, port: int) -> None:
    argv = [sys.executable, str(FAMILY), "listen", "127.0.0.1", str(port)]
    wait_first = (
        f"register_startup_wait(chute, [{port}], timeout=60)\nregister_service_launcher(chute, {argv!r}, [{port}])\n"
    )
    asyncio.run(load_module(HEAD + wait_first).chute.initialize())
    assert len(supervision.get_services()) == 1


def test_the_start_up_wait_raises_after_its_timeout(load_module: Loader, port: int) -> None:
    module = load_module(HEAD + f"register_startup_wait(chute, [{port}], timeout=0.1)\n")
    with pytest.raises(ServiceFailed, match=str(port)):
        asyncio.run(module.chute.initialize())


def test_the_health_check_responds_on_its_public_path(load_module: Loader, port: int) -> None:
    module = load_module(HEAD + f"register_health_check(chute, [{port}])\n")
    (cord,) = module.chute.cords
    assert (cord.public_api_path, cord._public_api_method, cord._passthrough) == ("/health", "GET", False)
    unhealthy = asyncio.run(cord._func(module.chute))
    assert unhealthy["status"] == "unhealthy"
    assert str(port) in unhealthy["errors"][0]
    with socket.create_server(("127.0.0.1", port)):
        assert asyncio.run(cord._func(module.chute)) == {"status": "healthy"}


def test_health_checks_have_internal_paths_of_their_own(load_module: Loader) -> None:
    source = """
from tools.chute_wrappers import register_passthrough_routes
for path in ("/health", "/a-b", "/a_d_b", "/a/b"):
    register_health_check(chute, [8020], path=path)
register_passthrough_routes(chute, [{"path": "/health", "method": "POST"}, {"path": "/cw_health", "method": "GET"}], 8020)
"""
    paths = [cord.path for cord in load_module(HEAD + source).chute.cords]
    assert len(set(paths)) == 6
    assert all(platform_rules.API_INTERNAL_PATH.match(path) for path in paths)
