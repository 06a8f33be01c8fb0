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
from chutes_wrappers.host.container_engine.engine import ContainerSpec, ExecResult
from chutes_wrappers.host.discovery import container as container_module
from chutes_wrappers.host.discovery.container import ContainerTask, check_ports, discover_container
from chutes_wrappers.host.discovery.probing import Bounds
from tests.host.discovery.engines import FakeContainer, FakeEngine, build_listener_table
from tests.scenario import find_free_port
from tests.upstreams.scripted import json_reply, serve_greeting, serve_script

LAUNCH = LaunchSpec(reference="base:1", entrypoint=("/serve",))


def build_document(*paths: str) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {path: {"get": {}} for path in paths}}


def build_task(
    ports: Sequence[int] = (8020,), *, timeout_s: float = 60, gpus: str | None = None, **options: Any
) -> ContainerTask:
    lines: list[str] = []
    fields: dict[str, Any] = {
        "container": ContainerSpec(image="base:1", ports=ports, gpus=gpus),
        "launch": LAUNCH,
        "bounds": Bounds(timeout_s=timeout_s, settle_s=0.05),
        "report": lines.append,
        "log": lambda line: None,
        **options,
    }
    return ContainerTask(**fields)


def fail_on_manifest(manifest: Manifest) -> None:
    raise AssertionError("a manifest was built")


def ignore_manifest(manifest: Manifest) -> None:
    """The test checks the returned manifest instead."""


def read_report(task: ContainerTask) -> str:
    owner = getattr(task.report, "__self__", [])
    return "\n".join(owner)


def discover_error(engine: FakeEngine, task: ContainerTask) -> WrapperError:
    with pytest.raises(WrapperError) as caught:
        discover_container(engine, task, fail_on_manifest)
    assert engine.container.stopped.is_set()
    return caught.value


def test_the_manifest_holds_routes_source_readiness_and_written_paths() -> None:
    with (
        serve_script({"/openapi.json": json_reply(build_document("/say", "/{x}")), "/health": json_reply(1)}) as first,
        serve_script({"/swagger.json": json_reply(build_document("/say", "/ocr"))}) as second,
    ):
        engine = FakeEngine(
            FakeContainer({8020: first.port, 8080: second.port}, changes=[("added", "/root/.cache/model.bin")])
        )
        saved_manifests: list[Manifest] = []
        manifest = discover_container(engine, build_task([8020, 8080]), saved_manifests.append)
    assert saved_manifests == [manifest]
    assert engine.container.stopped.is_set()
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


def test_changes_to_the_system_are_reported_and_not_made_possible() -> None:
    changes = [("changed", "/etc"), ("changed", "/etc/passwd"), ("added", "/root/state")]
    reports: list[str] = []
    with serve_script({"/openapi.json": json_reply(build_document("/say"))}) as service:
        engine = FakeEngine(FakeContainer({8020: service.port}, changes=changes))
        task = replace(build_task(), report=reports.append)
        manifest = discover_container(engine, task, lambda manifest: None)
    assert manifest.image is not None
    assert manifest.image.writes == ("/root/state",)
    assert [line for line in reports if "/etc/passwd: on an instance it cannot" in line]


def test_workers_by_spawn_are_reported_from_the_command_and_from_the_running_programs() -> None:
    spawned = "python\0-c\0from multiprocessing.spawn import spawn_main; spawn_main(3)\0\n"
    with serve_script({"/openapi.json": json_reply(build_document("/say"))}) as service:
        engine = FakeEngine(FakeContainer({8020: service.port}, listener_table=spawned))
        task = build_task(launch=LaunchSpec(entrypoint=("uvicorn", "a:b"), environment={"WEB_CONCURRENCY": "2"}))
        discover_container(engine, task, ignore_manifest)
    spawns = "starts workers by spawn, which may fail under the platform's guard library"
    assert f"uvicorn with WEB_CONCURRENCY {spawns}" in read_report(task)
    assert f"multiprocessing (spawn) {spawns}" in read_report(task)


def test_the_container_log_is_forwarded_line_by_line() -> None:
    lines: list[str] = []
    both_lines_logged = threading.Event()

    def log(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            both_lines_logged.set()

    def respond_after_log() -> Any:
        both_lines_logged.wait(60)
        return json_reply(build_document("/say"))

    with serve_script({"/openapi.json": respond_after_log}) as server:
        engine = FakeEngine(FakeContainer({8020: server.port}, lines=["loading", "ready"]))
        discover_container(engine, build_task(log=log), ignore_manifest)
    assert lines == ["loading", "ready"]


def test_a_container_exit_is_reported_immediately() -> None:
    lines = [f"line {number}" for number in range(60)]
    engine = FakeEngine(FakeContainer({8020: find_free_port()}, lines=lines, exit_code=127))
    started = time.monotonic()
    error = discover_error(engine, build_task(timeout_s=60))
    assert time.monotonic() - started < 30
    assert isinstance(error, ServiceFailed)
    assert "exit code 127" in error.what
    assert error.evidence == "\n".join(lines[-50:])
    assert "ENTRYPOINT" in str(error.next_step)


def test_a_container_exit_before_ports_are_published_is_the_same_error() -> None:
    engine = FakeEngine(FakeContainer({}, lines=["no MODEL_NAME"], exit_code=3))
    error = discover_error(engine, build_task())
    assert "exit code 3" in error.what
    assert error.evidence == "no MODEL_NAME"
    assert "CHUTE_ENV" in str(error.next_step)


def test_an_unpublished_port_is_named_in_the_error() -> None:
    assert "no loopback port for port 8020" in discover_error(FakeEngine(FakeContainer({})), build_task()).what


@pytest.mark.parametrize(
    ("listeners", "next_step"),
    [
        ([("0.0.0.0", 9000)], "the service listens on 9000, not on 8020: correct SERVICE_PORTS"),
        (
            [("0.0.0.0", 8002)],
            "the service listens on 8002, not on 8020, and port 8002 belongs to the chute's attestation server on an "
            "instance: move it to 8020 with its variable (CHUTE_ENV, often PORT) or argument (ENTRYPOINT)",
        ),
        ([("127.0.0.1", 8020)], "the service listens on 127.0.0.1:8020 only"),
        ([], "the service listens on no port yet"),
    ],
)
def test_the_error_of_an_unresponsive_port_names_where_the_service_listens(
    listeners: list[tuple[str, int]], next_step: str
) -> None:
    engine = FakeEngine(
        FakeContainer({8020: find_free_port()}, lines=["up"], listener_table=build_listener_table(*listeners))
    )
    error = discover_error(engine, build_task(timeout_s=0.2))
    assert "no response on port 8020" in error.what
    assert str(error.next_step).startswith(next_step)
    assert error.evidence == "up"


def test_one_unresponsive_port_of_two_is_an_error() -> None:
    with serve_script({"/openapi.json": json_reply(build_document("/say"))}) as server:
        engine = FakeEngine(FakeContainer({8020: server.port, 8080: find_free_port()}))
        assert "port 8080" in discover_error(engine, build_task([8020, 8080], timeout_s=0.3)).what


def test_a_wrong_port_is_reported_before_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_module, "_HINT_EVERY_S", 0.05)
    hint_reported = threading.Event()
    fake = FakeContainer({8020: find_free_port()}, listener_table=build_listener_table(("0.0.0.0", 9000)))

    def report(line: str) -> None:
        if line.startswith("so far: the service listens on 9000"):
            hint_reported.set()
            fake.exit_code = 1

    discover_error(FakeEngine(fake), build_task(timeout_s=10, report=report))
    assert hint_reported.is_set()


def test_a_port_of_another_protocol_gets_no_routes_and_raises_no_error() -> None:
    with (
        serve_script({"/openapi.json": json_reply(build_document("/say"))}) as server,
        serve_greeting(b"-ERR\r\n") as other,
    ):
        listening = build_listener_table(("0.0.0.0", 8080))
        engine = FakeEngine(FakeContainer({8020: server.port, 8080: other}, listener_table=listening))
        container_task = build_task([8020, 8080])
        assert len(discover_container(engine, container_task, ignore_manifest).routes) == 1
    assert "port 8080 is open but does not respond to HTTP" in read_report(container_task)


def test_no_routes_is_an_error_with_a_next_step() -> None:
    with serve_script({"/openapi.json": json_reply(build_document("/{id}"))}) as server:
        error = discover_error(FakeEngine(FakeContainer({8020: server.port})), build_task())
    assert error.what == "no routes were found"
    assert "skipped GET /{id}" in str(error.evidence)
    assert "CHUTE_STATIC_ROUTES" in str(error.next_step)


def test_static_routes_work_without_a_specification() -> None:
    with serve_script({"/health": json_reply(1)}) as server:
        container_task = build_task(has_static_routes=True)
        manifest = discover_container(FakeEngine(FakeContainer({8020: server.port})), container_task, ignore_manifest)
    assert manifest.routes == ()
    assert manifest.image is not None
    assert manifest.image.readiness == {8020: "/health"}
    report_text = read_report(container_task)
    assert (
        "port 8020 responds to HTTP but publishes no specification: its routes are those of CHUTE_STATIC_ROUTES"
        in report_text
    )
    assert "only those of CHUTE_STATIC_ROUTES are published" in report_text


def test_without_a_gpu_the_container_runs_without_one_and_reports_it() -> None:
    with serve_script({"/openapi.json": json_reply(build_document("/say"))}) as server:
        engine = FakeEngine(FakeContainer({8020: server.port}), has_gpu=False)
        container_task = build_task(gpus="all")
        discover_container(engine, container_task, ignore_manifest)
    assert [spec.gpus for spec in engine.started_specs] == ["all", None]
    assert "running without one" in read_report(container_task)


@pytest.mark.parametrize("has_failed", [False, True])
def test_many_files_in_a_folder_of_the_system_take_a_bounded_number_of_commands(has_failed: bool) -> None:
    class Counting(FakeContainer):
        asked = 0

        def execute(self, *arguments: Any, **options: Any) -> ExecResult:
            assert options["timeout_s"]
            self.asked += 1
            if has_failed:
                raise WrapperError("test in the container still runs")
            return ExecResult(exit_code=0, output="")

    with serve_script({"/openapi.json": json_reply(build_document("/say"))}) as server:
        changes = [("added", f"/usr/lib/folder{number}") for number in range(1000)]
        container = Counting({8020: server.port}, changes=changes)
        manifest = discover_container(FakeEngine(container), build_task(), ignore_manifest)
    assert container.asked == 1 + (1 if has_failed else 200)  # the first reads the running programs
    assert manifest.image is not None
    assert len(manifest.image.writes) == (0 if has_failed else 200)


def test_the_container_is_stopped_when_the_manifest_cannot_be_saved() -> None:
    def full_disk(manifest: Manifest) -> None:
        raise WrapperError("cannot be written (No space left on device)")

    with serve_script({"/openapi.json": json_reply(build_document("/say"))}) as server:
        engine = FakeEngine(FakeContainer({8020: server.port}))
        with pytest.raises(WrapperError, match="No space left"):
            discover_container(engine, build_task(), full_disk)
    assert engine.container.stopped.is_set()


def test_other_start_failures_are_not_retried() -> None:
    class BrokenEngine(FakeEngine):
        def run(self, spec: ContainerSpec) -> Any:
            self.started_specs.append(spec)
            raise WrapperError("no such image")

    engine = BrokenEngine(FakeContainer({}))
    with pytest.raises(WrapperError, match="no such image"):
        discover_container(engine, build_task(gpus="all"), fail_on_manifest)
    assert len(engine.started_specs) == 1


def test_the_container_is_stopped_on_ctrl_c() -> None:
    class Interrupted(FakeContainer):
        def execute(self, *arguments: Any, **options: Any) -> Any:
            raise KeyboardInterrupt

    engine = FakeEngine(Interrupted({8020: find_free_port()}))
    with pytest.raises(KeyboardInterrupt):
        discover_container(engine, build_task(timeout_s=0.1), fail_on_manifest)
    assert engine.container.stopped.is_set()


@pytest.mark.parametrize(
    ("port", "environment", "next_step"),
    [
        (
            8000,
            {"CHROMA_PORT": "8000", "OTHER_PORT": "9000"},
            'CHUTE_ENV = {"CHROMA_PORT": "18000"} and SERVICE_PORTS = [8020, 18000]',
        ),
        (8001, {}, "with the service's variable (CHUTE_ENV) or argument (ENTRYPOINT)"),
        (8002, {"PORT": "8002"}, 'CHUTE_ENV = {"PORT": "18002"} and SERVICE_PORTS = [8020, 18002]'),
        (80, {"PORT": "80"}, 'CHUTE_ENV = {"PORT": "8080"} and SERVICE_PORTS = [8020, 8080]'),
    ],
)
def test_a_reserved_port_is_rejected_before_anything_runs(
    port: int, environment: dict[str, str], next_step: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_ports([8020, port], LaunchSpec(environment=environment))
    assert f"port {port}" in caught.value.what
    assert next_step in str(caught.value.next_step)
    engine = FakeEngine(FakeContainer({}))
    container_task = build_task([port])
    with pytest.raises(ConfigurationError):
        discover_container(
            engine, replace(container_task, launch=LaunchSpec(environment=environment)), fail_on_manifest
        )
    assert engine.started_specs == []
