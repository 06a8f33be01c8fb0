from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.layout import LAUNCH_SETTINGS_VARIABLE
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.runtime import startup, supervision
from chutes_wrappers.runtime.startup import has_been_ready, parse_service_ports, probe_services, wait_for_services
from tests.scenario import find_free_port
from tests.upstreams.recording import RecordedReply, serve_recorder

from .conftest import FAMILY
from .test_launcher import wait_until

CHUTE_ENV: dict[str, str] = {}
ENTRYPOINT: list[str] = []


@pytest.fixture
def wrapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A baked manifest whose image listens on the port in PORT; the services that it starts are stopped afterwards."""
    path = tmp_path / "baked.json"
    spec = LaunchSpec(reference="x", entrypoint=(sys.executable, str(FAMILY)), working_dir=str(tmp_path))
    write_manifest(Manifest(image=spec), path)
    monkeypatch.setattr(startup, "BAKED_MANIFEST", str(path))
    monkeypatch.setattr(supervision, "_install_sigterm_handler", lambda: None)
    yield path
    supervision.stop_all()


@pytest.mark.parametrize(
    ("text", "ports"), [("8020", [8020]), ("8020,8080", [8020, 8080]), (" 1 , 65535 ", [1, 65535])]
)
def test_ports_are_parsed(text: str, ports: list[int]) -> None:
    assert parse_service_ports(text) == ports


def test_the_variable_is_the_default_and_then_8020_and_8080(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHUTE_PORTS", raising=False)
    assert parse_service_ports() == [8020, 8080]
    monkeypatch.setenv("CHUTE_PORTS", "9000")
    assert parse_service_ports() == [9000]
    monkeypatch.setenv("CHUTE_PORTS", " ")
    assert parse_service_ports() == [8020, 8080]


@pytest.mark.parametrize("part", ["", "x", "0", "65536", "-1", "80 80", "8.0", "٣", "000080200"])
def test_a_bad_part_is_named(part: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_service_ports(f"8020,{part}")
    assert repr(part) in str(caught.value)
    assert "CHUTE_PORTS" in str(caught.value)


@given(st.lists(st.integers(1, 65535), min_size=1))
def test_any_list_of_ports_survives_the_text(ports: list[int]) -> None:
    assert parse_service_ports(",".join(map(str, ports))) == ports


@given(st.text(max_size=20))
def test_any_text_is_ports_or_a_configuration_error(text: str) -> None:
    try:
        ports = parse_service_ports(text)
    except ConfigurationError:
        return
    assert ports
    assert all(1 <= port <= 65535 for port in ports)


async def test_outside_a_wrapped_image_it_only_waits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await wait_for_services([server.getsockname()[1]], timeout=60) is True
    assert supervision.get_services() == ()


async def test_readiness_and_health_checks_send_the_headers_of_the_module(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    baked = tmp_path / "baked.json"
    monkeypatch.setattr(startup, "BAKED_MANIFEST", str(baked))
    monkeypatch.setattr(startup, "_headers", None)
    monkeypatch.setitem(globals(), "CHUTE_HEADERS", {"X-Key": "Key ${PROBE_KEY}"})
    with serve_recorder(lambda request: RecordedReply(status=200 if "x-key" in request.headers else 401)) as recorder:
        write_manifest(Manifest(image=LaunchSpec(reference="x", readiness={recorder.port: "/ready"})), baked)
        with pytest.raises(ConfigurationError, match="PROBE_KEY is not set"):
            await wait_for_services([recorder.port], timeout=60, soft_fail=True)
        monkeypatch.setenv("PROBE_KEY", "k1")
        assert await wait_for_services([recorder.port], timeout=60) is True
        assert await probe_services([recorder.port]) == []
        assert {request.headers["x-key"] for request in recorder.requests if request.method == "GET"} == {"Key k1"}


async def test_ready_ports_are_remembered() -> None:
    missing = find_free_port()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        await wait_for_services([port, missing], timeout=0.1, soft_fail=True)
        assert not has_been_ready(port)
        await wait_for_services([port], timeout=5)
    assert (has_been_ready(port), has_been_ready(missing)) == (True, False)


async def test_a_timeout_raises_and_with_soft_fail_is_false(log_lines: list[str]) -> None:
    port = find_free_port()
    with pytest.raises(ServiceFailed, match=str(port)):
        await wait_for_services([port], timeout=0.1)
    assert await wait_for_services([port], timeout=0.1, soft_fail=True) is False
    assert any("ERROR" in line and str(port) in line for line in log_lines)


@pytest.mark.parametrize("port", [0, 65536, "8020", True, None])
def test_a_wrong_port_is_refused_at_the_call(port: object) -> None:
    with pytest.raises(ConfigurationError, match=repr(port)):
        wait_for_services([port])  # type: ignore[list-item]  # what a module may really pass


@pytest.mark.parametrize("ports", [[], "8020", 8020, None])
def test_an_invalid_list_of_ports_is_rejected(ports: object) -> None:
    with pytest.raises(ConfigurationError, match="SERVICE_PORTS"):
        wait_for_services(ports)  # type: ignore[arg-type]  # what a module may really pass


@pytest.mark.parametrize(
    ("port", "owner"), [(8000, "the chute itself"), (8001, "logging server"), (8002, "attestation server")]
)
async def test_in_a_wrapped_image_the_platforms_ports_are_rejected(wrapped: Path, port: int, owner: str) -> None:
    with pytest.raises(ConfigurationError, match=owner):
        await wait_for_services([port], timeout=1)
    assert supervision.get_services() == ()


async def test_in_a_wrapped_image_it_starts_the_service_with_the_modules_settings(
    wrapped: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = find_free_port()
    monkeypatch.setitem(globals(), "ENTRYPOINT", [sys.executable, str(FAMILY), "listen", "127.0.0.1", str(port)])
    monkeypatch.setitem(globals(), "CHUTE_ENV", {"FROM_MODULE": "yes"})
    assert await wait_for_services([port], timeout=60)
    (process,) = supervision.get_services()
    assert process._environment["FROM_MODULE"] == "yes"
    assert process._directory == str(tmp_path)
    assert await wait_for_services([port], timeout=60)
    assert supervision.get_services() == (process,)


async def test_the_settings_baked_by_build_wrapper_image_count(wrapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = find_free_port()
    settings = {"entrypoint": [sys.executable, str(FAMILY), "listen", "127.0.0.1", str(port)], "env": ["HOME"]}
    monkeypatch.setenv(LAUNCH_SETTINGS_VARIABLE, json.dumps(settings))
    monkeypatch.setenv("HOME", "/kept")
    assert await wait_for_services([port], timeout=60)
    assert supervision.get_services()[0]._environment["HOME"] == "/kept"


async def test_autostart_off_leaves_starting_to_the_module(wrapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LAUNCH_SETTINGS_VARIABLE, '{"autostart": false}')
    assert await wait_for_services([find_free_port()], timeout=0.2, soft_fail=True) is False
    assert supervision.get_services() == ()


async def test_a_service_that_already_answers_is_not_started_again(wrapped: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await wait_for_services([server.getsockname()[1]], timeout=60)
    assert supervision.get_services() == ()


async def test_the_services_own_exit_ends_the_start_up_with_its_reason(
    wrapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ENTRYPOINT", [sys.executable, str(FAMILY), "fail", "7", "3"])
    started = time.monotonic()
    with pytest.raises(ServiceFailed, match="exit code 7") as caught:
        await wait_for_services([find_free_port()], timeout=60)
    assert "line 2" in str(caught.value)
    assert time.monotonic() - started < 30


async def test_waiting_again_after_the_service_ended_does_not_start_it_again(
    wrapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ENTRYPOINT", [sys.executable, str(FAMILY), "fail", "7", "3"])
    for _ in range(2):
        assert await wait_for_services([find_free_port()], timeout=60, soft_fail=True) is False
    (process,) = supervision.get_services()
    assert process.tail == "line 0\nline 1\nline 2"


async def test_an_exit_during_the_wait_is_logged_once(
    wrapped: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    monkeypatch.setitem(globals(), "ENTRYPOINT", [sys.executable, str(FAMILY), "fail", "7", "3"])
    await wait_for_services([find_free_port()], timeout=60, soft_fail=True)
    assert len([line for line in log_lines if line.startswith("ERROR")]) == 1


async def test_an_exit_after_the_wait_is_logged_immediately(
    wrapped: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    port = find_free_port()
    monkeypatch.setitem(globals(), "ENTRYPOINT", [sys.executable, str(FAMILY), "listen", "127.0.0.1", str(port)])
    assert await wait_for_services([port], timeout=60)
    supervision.get_services()[0].find_processes()[0].kill()
    wait_until(lambda: any("ERROR" in line and "SIGKILL" in line and "listening on" in line for line in log_lines))


async def test_a_service_that_a_script_left_in_the_background_is_waited_for(
    wrapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = find_free_port()
    monkeypatch.setitem(globals(), "ENTRYPOINT", [sys.executable, str(FAMILY), "background", str(port)])
    assert await wait_for_services([port], timeout=60)


async def test_a_command_that_cannot_be_run_fails_softly_too(wrapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ENTRYPOINT", ["no-such-command"])
    assert await wait_for_services([find_free_port()], timeout=60, soft_fail=True) is False


async def test_the_shell_form_of_entrypoint_is_run_by_the_shell(wrapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = find_free_port()
    monkeypatch.setitem(globals(), "ENTRYPOINT", f"exec {sys.executable} {FAMILY} listen 127.0.0.1 $PORT")
    monkeypatch.setitem(globals(), "CHUTE_ENV", {"PORT": port})
    assert await wait_for_services([port], timeout=60)


async def test_the_error_for_an_image_without_a_command_names_entrypoint(wrapped: Path) -> None:
    write_manifest(Manifest(image=LaunchSpec(reference="x")), wrapped)
    with pytest.raises(ServiceFailed, match="ENTRYPOINT"):
        await wait_for_services([find_free_port()], timeout=1)


async def test_probing_names_dead_ports_in_parallel_and_raises_for_none() -> None:
    dead = [find_free_port(), find_free_port()]
    with socket.create_server(("127.0.0.1", 0)) as server:
        problems = await probe_services([dead[0], server.getsockname()[1], dead[1]], timeout=2)
    assert [str(port) in problem for port, problem in zip(dead, problems, strict=True)] == [True, True]


async def test_probing_requests_the_known_path(wrapped: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert await probe_services([port], timeout=60) == []
        write_manifest(Manifest(image=LaunchSpec(reference="x", readiness={port: "/health"})), wrapped)
        (problem,) = await probe_services([port], timeout=0.2)
        assert str(port) in problem


async def test_a_manifest_may_stand_in_for_the_baked_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert startup.load_launch_spec() is None
    path = tmp_path / "stand-in.json"
    path.write_text(Manifest(image=LaunchSpec(reference="host", cmd=("true",))).to_json())
    monkeypatch.setenv("CHUTES_WRAPPERS_MANIFEST", str(path))
    spec = startup.load_launch_spec()
    assert spec is not None
    assert spec.argv == ("true",)
