"""Discovery of the sample on this machine, started as on an instance without an image."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed, WrapperError
from chutes_wrappers.core.module_headers import ModuleHeaders
from chutes_wrappers.host.discovery.on_host import HostTask, build_host_launch, discover_on_host, discover_running
from chutes_wrappers.host.discovery.probing import Bounds
from tests.scenario import ROOT, find_free_port
from tests.upstreams.scripted import json_reply, serve_script


def build_task(entrypoint: str, ports: tuple[int, ...], folder: Path = ROOT, **environment: str) -> HostTask:
    return HostTask(
        launch=build_host_launch(entrypoint, folder),
        ports=ports,
        bounds=Bounds(timeout_s=60),
        report=lambda line: None,
        log=lambda line: None,
        environment=environment,
    )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_sample_is_started_in_its_folder_probed_and_stopped() -> None:
    speak, listen = find_free_port(), find_free_port()
    command = f"exec {sys.executable} -m morse"
    manifest = discover_on_host(
        build_task(command, (speak, listen), ROOT / "examples/morse", PORT_SPEAK=str(speak), PORT_LISTEN=str(listen))
    )
    assert {(route.method, route.path, route.port) for route in manifest.routes} >= {("POST", "/speak", speak)}
    assert manifest.image is not None
    assert manifest.image.argv == ("/bin/sh", "-c", command)
    assert manifest.image.readiness[listen] == "/health"
    assert is_free(speak)
    assert is_free(listen)


def test_a_service_exit_is_reported_with_its_last_output() -> None:
    with pytest.raises(ServiceFailed) as caught:
        discover_on_host(build_task("echo no model; exit 3", (find_free_port(),)))
    assert "exit code 3" in str(caught.value)
    assert "no model" in str(caught.value)


def test_a_port_in_use_is_reported_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} is in use"):
            discover_on_host(build_task("touch started", (port,), tmp_path))
    assert not (tmp_path / "started").exists()


def test_a_service_without_routes_is_an_error_with_a_next_step() -> None:
    port = find_free_port()
    with pytest.raises(WrapperError, match="CHUTE_STATIC_ROUTES"):
        discover_on_host(
            build_task(f"exec {sys.executable} -m http.server --bind 127.0.0.1 {port}", (port,), ROOT / "tests")
        )


def test_services_that_run_already_are_discovered_and_ports_without_one_have_no_routes() -> None:
    document = {"openapi": "3.1.0", "paths": {"/greet": {"get": {"responses": {"200": {"description": "ok"}}}}}}
    with serve_script({"/openapi.json": json_reply(document)}) as server:
        port = int(server.root.rpartition(":")[2])
        manifest = discover_running(
            (port, find_free_port()), headers=ModuleHeaders(), expose=frozenset(), report=lambda line: None
        )
    assert [(route.method, route.path, route.port) for route in manifest.routes] == [("GET", "/greet", port)]
