"""The run under the guard library warns, and fails nothing. The instances are a fake chute's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from chutes_wrappers.cli.emulation import guarded_run
from chutes_wrappers.cli.emulation.guarded_run import GuardedRun, GuardedRunTask, run_with_guard
from chutes_wrappers.cli.emulation.screen import Screen
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_rules import GUARD_LIBRARY
from chutes_wrappers.emulator.deployed_chute import DeployedChute
from chutes_wrappers.emulator.records import InstanceRecord, InstanceState
from chutes_wrappers.host.parity.comparison import HttpResponse, Verdict
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.outcomes import Outcome

CALL = PublicCall(method="POST", path="/speak", example={"text": "SOS"})
PROVEN = Outcome(
    call=CALL,
    encoding="json",
    response=HttpResponse(status=200, seconds=1.0),
    verdict=Verdict(kind="proven", message=""),
)
MEASURED = "measured without its launch token"


@dataclass
class Chute:
    """A fake chute: its guarded instance prints ``lines`` and is in ``state``."""

    screen: Screen
    state: InstanceState = InstanceState.ACTIVE
    lines: tuple[str, ...] = ()
    ended_because: str = ""
    failure: WrapperError | None = None
    environments: list[Mapping[str, str]] = field(default_factory=list)

    def replace_instances(self, reason: str, environment: Mapping[str, str]) -> None:
        if self.failure:
            raise self.failure
        self.environments.append(environment)
        for line in self.lines:
            self.screen.add_line(line)

    def get_newest_instance(self) -> InstanceRecord:
        return InstanceRecord(
            instance_id="i", chute_id="c", version="1", state=self.state, started_at=0, ended_because=self.ended_because
        )


@pytest.fixture(autouse=True)
def shorten_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_run, "_EXTRA_TIME_S", 0.0)
    monkeypatch.setattr(guarded_run, "_LOG_DELAY_S", 0.0)


def run_guarded(
    respond: Callable[[PublicCall, float], HttpResponse] | None = None,
    *,
    proven: Outcome | None = PROVEN,
    has_engine: bool = True,
    **chute: Any,
) -> GuardedRun | None:
    screen = Screen()
    screen.add_line("Segmentation fault of the run before")
    fake = Chute(screen, **chute)
    task = GuardedRunTask(
        chute=cast(DeployedChute, fake),
        proven=proven,
        send_call=respond or (lambda call, timeout_s: HttpResponse(status=200)),
        longest_start_s=0.0,
        has_engine=lambda: has_engine,
    )
    result = run_with_guard(task, screen)
    assert fake.failure or fake.environments == [{"LD_PRELOAD": GUARD_LIBRARY}]
    return result


def test_a_service_that_starts_and_responds_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[tuple[PublicCall, float]] = []

    def respond(call: PublicCall, timeout_s: float) -> HttpResponse:
        sent.append((call, timeout_s))
        return HttpResponse(status=200)

    assert run_guarded(respond) == GuardedRun(problem="")
    assert sent == [(CALL, 2.0)]
    assert "it works under the guard library too" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ({"state": InstanceState.GONE, "ended_because": "it did not start: exit code 139\nlast line"}, "by vfork"),
        ({"state": InstanceState.GONE, "ended_because": "it did not start: exit code 3\nno model"}, "exit code 3"),
        ({"state": InstanceState.STARTING}, "the service is not ready after 0 s"),
        ({"lines": ("INFO: Child process [9] died",), "state": InstanceState.STARTING}, "uvicorn's workers"),
        ({"failure": WrapperError("the engine stopped")}, "the engine stopped"),
    ],
)
def test_a_start_that_fails_is_a_warning(
    case: dict[str, Any], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_guarded(**case)
    assert result is not None
    assert problem in result.problem
    assert result.fix
    printed = capsys.readouterr().err
    assert f"the chute may fail under the platform's guard library, {MEASURED}: {result.problem}" in printed
    assert f"Next: {result.fix}" in printed


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (HttpResponse(status=500), "POST /speak fails: status 500"),
        (HttpResponse(status=0, problem="ReadTimeout: 2 s"), "POST /speak fails: ReadTimeout: 2 s"),
    ],
)
def test_a_call_that_fails_only_there_is_a_warning(response: HttpResponse, problem: str) -> None:
    result = run_guarded(lambda call, timeout_s: response)
    assert result is not None
    assert result.problem == problem


def test_without_a_successful_call_only_the_start_counts() -> None:
    assert run_guarded(proven=None) == GuardedRun(problem="")


def test_an_image_without_the_library_is_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    missing = f"ERROR: ld.so: object '{GUARD_LIBRARY}' from LD_PRELOAD cannot be preloaded: ignored."
    assert run_guarded(lines=(missing,)) is None
    assert "nothing was measured under it" in capsys.readouterr().err


def test_without_an_engine_nothing_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(failure=WrapperError("the connection was refused"), has_engine=False) is None
    printed = capsys.readouterr().err
    assert "the Docker engine has stopped: nothing was measured" in printed
    assert "may fail" not in printed
