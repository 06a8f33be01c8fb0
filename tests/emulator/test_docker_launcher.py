from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.errors import ServiceFailed, WrapperError
from chutes_wrappers.emulator.docker_launcher import DockerInstance, DockerLauncher, build_relay_spec
from chutes_wrappers.host.container_engine.engine import ExecResult

MIB = 1024**2


class FakeContainer:
    """Returns ``result`` for every command; without one, each fails."""

    def __init__(self, result: ExecResult | None = None, *, root_bytes: int = 0, exit_code: int | None = None) -> None:
        self._result = result
        self._root_bytes = root_bytes
        self._exit_code = exit_code
        self.commands: list[tuple[str, ...]] = []

    def execute(self, argv: Any, *, timeout_s: float) -> ExecResult:
        self.commands.append(tuple(argv))
        if self._result is None:
            raise WrapperError("not running")
        return self._result

    def measure_written_bytes(self) -> int:
        return self._root_bytes

    def read_exit_code(self) -> int | None:
        return self._exit_code

    def read_tail(self) -> str:
        return "Killed"


def make_instance(container: Any, reports: list[str] | None = None, *, entry: Any = None) -> DockerInstance:
    report = [].append if reports is None else reports.append
    return DockerInstance(container, entry or container, None, None, report)  # type: ignore[arg-type]  # fakes


@pytest.mark.parametrize(
    ("exit_code", "output", "problem"),
    [
        (0, "", ""),
        (28, "curl: (28) timed out", "no response within 1 s: code that holds the interpreter for so long starves it"),
        (7, "curl: (7) Failed to connect", "curl: (7) Failed to connect"),
        (22, "", "curl exits with 22"),
        (126, "exec failed", "the image has no curl, which the platform's probe runs"),
    ],
)
def test_a_probe_is_the_platforms_command_and_its_failure_has_the_reason(
    exit_code: int, output: str, problem: str
) -> None:
    container = FakeContainer(ExecResult(exit_code=exit_code, output=output))
    assert make_instance(container).find_probe_problem() == problem
    ((program, *_, url),) = container.commands
    assert (program, url) == ("curl", "http://127.0.0.1:8001/_alive")


def test_an_instance_that_has_ended_has_no_failed_probe_and_nothing_in_tmp() -> None:
    instance = make_instance(FakeContainer(root_bytes=5, exit_code=1))
    assert (instance.find_probe_problem(), instance.measure_written_bytes()) == ("", 5)


@pytest.mark.parametrize(
    "output", ["2048\t/tmp\n", "du: cannot read directory '/tmp/x': Permission denied\n2048\t/tmp\n"]
)
def test_what_is_in_tmp_and_in_other_folders_is_added(output: str) -> None:
    container = FakeContainer(ExecResult(exit_code=1, output=output), root_bytes=MIB)
    assert make_instance(container).measure_written_bytes() == 3 * MIB


def test_an_image_without_du_is_reported_once() -> None:
    reports = list[str]()
    container = FakeContainer(ExecResult(exit_code=127, output='exec: "du": not found'), root_bytes=MIB)
    instance = make_instance(container, reports)
    assert [instance.measure_written_bytes() for _ in range(2)] == [MIB] * 2
    assert reports == ["the image has no du: what an instance writes to /tmp is not measured"]


def test_a_measurement_that_takes_too_long_is_reported_and_the_other_folders_still_count() -> None:
    reports = list[str]()
    container = FakeContainer(root_bytes=MIB)
    instance = make_instance(container, reports)
    assert [instance.measure_written_bytes() for _ in range(2)] == [MIB] * 2
    assert reports == ["from now on, what an instance writes to /tmp is not measured: not running"]
    assert len(container.commands) == 1


def test_an_instance_without_its_relay_has_failed() -> None:
    instance = make_instance(FakeContainer(), entry=FakeContainer(exit_code=137))
    with pytest.raises(ServiceFailed, match="its relay has ended") as caught:
        instance.poll_exit_code()
    assert caught.value.evidence == "Killed"
    assert make_instance(FakeContainer(exit_code=3), entry=FakeContainer(exit_code=137)).poll_exit_code() == 3


def test_a_relay_gets_nothing_of_the_chute_and_loads_nothing_of_the_image() -> None:
    spec = build_relay_spec("image:v1", "172.20.0.2")
    assert (spec.image, spec.user, [*spec.ports], [*(spec.capabilities or ())]) == ("image:v1", "1000:1000", [8000], [])
    assert [*(spec.entrypoint or ())][:3] == ["python", "-I", "-S"]
    assert ([*(spec.command or ())], spec.environment) == (["172.20.0.2", "8000", "8000"], {"LD_PRELOAD": ""})


class FakeEngine:
    def __init__(self) -> None:
        self.removed: list[str] = []

    def remove_volume(self, name: str) -> None:
        self.removed.append(name)


def test_the_cache_of_a_path_has_the_same_name_in_every_run_and_any_other_a_new_one(tmp_path: Path) -> None:
    engine: Any = FakeEngine()
    kept, again = (DockerLauncher(engine, cache_owner=tmp_path).build_cache_volume("c-1") for _ in range(2))
    assert kept == again
    assert (kept.target, kept.uid, kept.owner) == ("/cache", 1000, str(tmp_path))
    names = {DockerLauncher(engine).build_cache_volume("c-1").name for _ in range(2)}
    assert len(names | {kept.name, DockerLauncher(engine, cache_owner=tmp_path).build_cache_volume("c-2").name}) == 4


def test_a_deleted_chutes_cache_is_removed_and_the_user_can_do_it_too(tmp_path: Path) -> None:
    engine: Any = FakeEngine()
    launcher = DockerLauncher(engine, cache_owner=tmp_path)
    name = launcher.build_cache_volume("c-1").name
    assert launcher.describe_cache("c-1") == f"the Docker volume {name}. To remove it: docker volume rm {name}"
    launcher.close()
    assert engine.removed == []
    launcher.remove_cache("c-1")
    assert engine.removed == [name]
