from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed, WrapperError
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.host.container_engine.engine import ContainerSpec
from chutes_wrappers.host.discovery import container as container_module
from chutes_wrappers.host.discovery.container import Task, check_ports, discover_container
from chutes_wrappers.host.discovery.probing import Bounds
from tests.host.discovery.engines import FakeContainer, FakeEngine, listening_on
from tests.upstreams.scripted import json_reply, serving, speaking, unused_port

LAUNCH = LaunchSpec(reference="base:1", entrypoint=("/serve",))


def openapi(*paths: str) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {path: {"get": {}} for path in paths}}


def task(ports: Sequence[int] = (8020,), *, timeout_s: float = 60, gpus: str | None = None, **options: Any) -> Task:
    lines: list[str] = []
    fields: dict[str, Any] = {
        "container": ContainerSpec(image="base:1", ports=ports, gpus=gpus),
        "launch": LAUNCH,
        "bounds": Bounds(timeout_s=timeout_s, settle_s=0.05),
        "report": lines.append,
        "log": lambda line: None,
        **options,
    }
    return Task(**fields)


def fail(manifest: Manifest) -> None:
    raise AssertionError("there is no manifest")


def ignore(manifest: Manifest) -> None:
    """The test looks at what is returned."""


def reported(task: Task) -> str:
    owner = getattr(task.report, "__self__", [])
    return "\n".join(owner)


def failure(engine: FakeEngine, task: Task) -> WrapperError:
    with pytest.raises(WrapperError) as caught:
        discover_container(engine, task, fail)
    assert engine.container.gone.is_set()
    return caught.value


def test_the_manifest_holds_routes_source_readiness_and_written_paths() -> None:
    with (
        serving({"/openapi.json": json_reply(openapi("/say", "/{x}")), "/health": json_reply(1)}) as first,
        serving({"/swagger.json": json_reply(openapi("/say", "/ocr"))}) as second,
    ):
        engine = FakeEngine(
            FakeContainer({8020: first.port, 8080: second.port}, changes=[("added", "/root/.cache/model.bin")])
        )
        kept: list[Manifest] = []
        manifest = discover_container(engine, task([8020, 8080]), kept.append)
    assert kept == [manifest]
    assert engine.container.gone.is_set()
    assert [(route.path, route.port, route.target_path) for route in manifest.routes] == [
        ("/say", 8020, "/say"),
        ("/p8080/say", 8080, "/say"),
        ("/ocr", 8080, "/ocr"),
    ]
    assert manifest.source == {
        "8020": "http://127.0.0.1:8020/openapi.json",
        "8080": "http://127.0.0.1:8080/swagger.json",
    }
    assert [entry.path for entry in manifest.skipped] == ["/{x}"]
    assert manifest.image is not None
    assert manifest.image.readiness == {8020: "/health"}
    assert any(path.startswith("/root") for path in manifest.image.writes)
    assert manifest.image.entrypoint == ("/serve",)


def test_the_log_is_shown_line_by_line() -> None:
    seen: list[str] = []
    shown = threading.Event()

    def log(line: str) -> None:
        seen.append(line)
        if len(seen) == 2:
            shown.set()

    def once_shown() -> Any:
        shown.wait(60)
        return json_reply(openapi("/say"))

    with serving({"/openapi.json": once_shown}) as server:
        engine = FakeEngine(FakeContainer({8020: server.port}, lines=["loading", "ready"]))
        discover_container(engine, task(log=log), ignore)
    assert seen == ["loading", "ready"]


def test_a_container_that_exits_is_the_error_at_once() -> None:
    lines = [f"line {number}" for number in range(60)]
    engine = FakeEngine(FakeContainer({8020: unused_port()}, lines=lines, exits_with=127))
    started = time.monotonic()
    error = failure(engine, task(timeout_s=60))
    assert time.monotonic() - started < 30
    assert isinstance(error, ServiceFailed)
    assert "exit code 127" in error.what
    assert error.evidence == "\n".join(lines[-50:])
    assert "ENTRYPOINT" in str(error.next_step)


def test_a_container_that_exits_before_its_ports_are_published_is_the_same_error() -> None:
    engine = FakeEngine(FakeContainer({}, lines=["no MODEL_NAME"], exits_with=3))
    error = failure(engine, task())
    assert "exit code 3" in error.what
    assert error.evidence == "no MODEL_NAME"
    assert "CHUTE_ENV" in str(error.next_step)


def test_a_port_that_the_engine_does_not_publish_is_named() -> None:
    assert "no loopback port for port 8020" in failure(FakeEngine(FakeContainer({})), task()).what


@pytest.mark.parametrize(
    ("listeners", "next_step"),
    [
        ([("0.0.0.0", 9000)], "the service listens on 9000, not on 8020: correct SERVICE_PORTS"),
        ([("127.0.0.1", 8020)], "the service listens on 127.0.0.1:8020 only"),
        ([], "the service listens on no port yet"),
    ],
)
def test_a_silent_port_names_where_the_service_listens(listeners: list[tuple[str, int]], next_step: str) -> None:
    engine = FakeEngine(FakeContainer({8020: unused_port()}, lines=["up"], listening=listening_on(*listeners)))
    error = failure(engine, task(timeout_s=0.2))
    assert "nothing answers on port 8020" in error.what
    assert str(error.next_step).startswith(next_step)
    assert error.evidence == "up"


def test_one_silent_port_of_two_is_an_error_too() -> None:
    with serving({"/openapi.json": json_reply(openapi("/say"))}) as server:
        engine = FakeEngine(FakeContainer({8020: server.port, 8080: unused_port()}))
        assert "port 8080" in failure(engine, task([8020, 8080], timeout_s=0.3)).what


def test_a_wrong_port_is_hinted_at_long_before_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_module, "_HINT_EVERY_S", 0.05)
    hinted = threading.Event()
    fake = FakeContainer({8020: unused_port()}, listening=listening_on(("0.0.0.0", 9000)))

    def report(line: str) -> None:
        if line.startswith("so far: the service listens on 9000"):
            hinted.set()
            fake.exits_with = 1

    failure(FakeEngine(fake), task(timeout_s=10, report=report))
    assert hinted.is_set()


def test_a_port_of_another_protocol_gets_no_routes_and_is_no_error() -> None:
    with serving({"/openapi.json": json_reply(openapi("/say"))}) as server, speaking(b"-ERR\r\n") as other:
        listening = listening_on(("0.0.0.0", 8080))
        engine = FakeEngine(FakeContainer({8020: server.port, 8080: other}, listening=listening))
        work = task([8020, 8080])
        assert len(discover_container(engine, work, ignore).routes) == 1
    assert "port 8080 listens but answers no HTTP" in reported(work)


def test_no_routes_at_all_is_an_error_with_the_next_step() -> None:
    with serving({"/openapi.json": json_reply(openapi("/{id}"))}) as server:
        error = failure(FakeEngine(FakeContainer({8020: server.port})), task())
    assert error.what == "no routes were found"
    assert "skipped GET /{id}" in str(error.evidence)
    assert "CHUTE_STATIC_ROUTES" in str(error.next_step)


def test_static_routes_make_do_without_a_specification() -> None:
    with serving({"/health": json_reply(1)}) as server:
        work = task(has_static_routes=True)
        manifest = discover_container(FakeEngine(FakeContainer({8020: server.port})), work, ignore)
    assert manifest.routes == ()
    assert manifest.image is not None
    assert manifest.image.readiness == {8020: "/health"}
    said = reported(work)
    assert "port 8020 answers HTTP but publishes no specification: its routes are those of CHUTE_STATIC_ROUTES" in said
    assert "those of CHUTE_STATIC_ROUTES are all" in said


def test_without_a_gpu_the_container_runs_without_and_says_so() -> None:
    with serving({"/openapi.json": json_reply(openapi("/say"))}) as server:
        engine = FakeEngine(FakeContainer({8020: server.port}), has_gpu=False)
        work = task(gpus="all")
        discover_container(engine, work, ignore)
    assert [spec.gpus for spec in engine.started] == ["all", None]
    assert "running without one" in reported(work)


def test_a_manifest_that_cannot_be_kept_leaves_nothing_running() -> None:
    def full_disk(manifest: Manifest) -> None:
        raise WrapperError("cannot be written (No space left on device)")

    with serving({"/openapi.json": json_reply(openapi("/say"))}) as server:
        engine = FakeEngine(FakeContainer({8020: server.port}))
        with pytest.raises(WrapperError, match="No space left"):
            discover_container(engine, task(), full_disk)
    assert engine.container.gone.is_set()


def test_another_failure_to_start_is_not_tried_again() -> None:
    class BrokenEngine(FakeEngine):
        def run(self, spec: ContainerSpec) -> Any:
            self.started.append(spec)
            raise WrapperError("no such image")

    engine = BrokenEngine(FakeContainer({}))
    with pytest.raises(WrapperError, match="no such image"):
        discover_container(engine, task(gpus="all"), fail)
    assert len(engine.started) == 1


def test_ctrl_c_leaves_nothing_running() -> None:
    class Interrupted(FakeContainer):
        def execute(self, *arguments: Any, **options: Any) -> Any:
            raise KeyboardInterrupt

    engine = FakeEngine(Interrupted({8020: unused_port()}))
    with pytest.raises(KeyboardInterrupt):
        discover_container(engine, task(timeout_s=0.1), fail)
    assert engine.container.gone.is_set()


@pytest.mark.parametrize(
    ("port", "environment", "next_step"),
    [
        (
            8000,
            {"CHROMA_PORT": "8000", "OTHER_PORT": "9000"},
            'CHUTE_ENV = {"CHROMA_PORT": "18000"} and SERVICE_PORTS = [8020, 18000]',
        ),
        (8001, {}, "by its own variable (CHUTE_ENV) or argument (ENTRYPOINT)"),
        (8002, {"PORT": "8002"}, 'CHUTE_ENV = {"PORT": "18002"} and SERVICE_PORTS = [8020, 18002]'),
        (80, {"PORT": "80"}, 'CHUTE_ENV = {"PORT": "8080"} and SERVICE_PORTS = [8020, 8080]'),
    ],
)
def test_a_port_that_no_instance_has_is_refused_before_anything_runs(
    port: int, environment: dict[str, str], next_step: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_ports([8020, port], LaunchSpec(environment=environment))
    assert f"port {port}" in caught.value.what
    assert next_step in str(caught.value.next_step)
    engine = FakeEngine(FakeContainer({}))
    work = task([port])
    with pytest.raises(ConfigurationError):
        discover_container(engine, replace(work, launch=LaunchSpec(environment=environment)), fail)
    assert engine.started == []
