"""The sample, started on this machine as an instance without an image would start it."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed, WrapperError
from chutes_wrappers.host.discovery.on_host import HostTask, discover_on_host, host_launch
from chutes_wrappers.host.discovery.probing import Bounds
from tests.scenario import ROOT, free_port


def task(entrypoint: str, ports: tuple[int, ...], folder: Path = ROOT, **environment: str) -> HostTask:
    return HostTask(
        launch=host_launch(entrypoint, folder),
        ports=ports,
        bounds=Bounds(timeout_s=60),
        report=lambda line: None,
        log=lambda line: None,
        environment=environment,
    )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_sample_is_started_in_its_folder_asked_and_stopped() -> None:
    speak, listen = free_port(), free_port()
    command = f"exec {sys.executable} -m morse"
    manifest = discover_on_host(
        task(command, (speak, listen), ROOT / "examples/morse", PORT_SPEAK=str(speak), PORT_LISTEN=str(listen))
    )
    assert {(route.method, route.path, route.port) for route in manifest.routes} >= {("POST", "/speak", speak)}
    assert manifest.image is not None
    assert manifest.image.argv == ("/bin/sh", "-c", command)
    assert manifest.image.readiness[listen] == "/health"
    assert is_free(speak)
    assert is_free(listen)


def test_a_service_that_ends_is_told_with_its_last_words() -> None:
    with pytest.raises(ServiceFailed) as caught:
        discover_on_host(task("echo no model; exit 3", (free_port(),)))
    assert "exit code 3" in str(caught.value)
    assert "no model" in str(caught.value)


def test_a_port_that_something_else_holds_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} is in use"):
            discover_on_host(task("touch started", (port,), tmp_path))
    assert not (tmp_path / "started").exists()


def test_a_service_without_routes_is_told_what_to_write() -> None:
    port = free_port()
    with pytest.raises(WrapperError, match="CHUTE_STATIC_ROUTES"):
        discover_on_host(task(f"exec {sys.executable} -m http.server --bind 127.0.0.1 {port}", (port,), ROOT / "tests"))
