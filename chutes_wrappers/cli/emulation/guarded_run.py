"""A short second run of the chute, under the platform's guard library: it only warns, since real hosts may differ."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chutes_wrappers.cli import output
from chutes_wrappers.cli.emulation.screen import Screen
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.emulator.deployed_chute import DeployedChute
from chutes_wrappers.emulator.records import InstanceRecord, InstanceState
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.guard_diagnosis import diagnose_guard, is_guard_missing
from chutes_wrappers.host.parity.log_diagnosis import diagnose
from chutes_wrappers.host.parity.outcomes import Outcome

# As the run without the library took, and more: the library costs time, and the machine may be busy.
_TIME_FACTOR = 2
_EXTRA_TIME_S = 30.0
_POLL_S = 0.1
# A line of the instance's log may come after the response of the call that it is about.
_LOG_DELAY_S = 0.5
_FALLBACK_FIX = (
    "read its last lines; a service that needs time to start may only be slower (--no-guard leaves this run out)"
)
_MEASURED = "measured without its launch token"
_END_REASON = "the run under the guard library comes next"


@dataclass(frozen=True, kw_only=True)
class GuardedRun:
    """The result of a run under the guard library. ``problem`` is empty when the service started and a call succeeded."""

    problem: str
    evidence: str = ""
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class GuardedRunTask:
    """What to run: the chute, a call that succeeded without the library (if any), and how to send it within seconds.

    ``longest_start_s`` is how many seconds the slowest start without the library took. ``has_engine`` returns whether the
    Docker engine is still reachable.
    """

    chute: DeployedChute
    proven: Outcome | None
    send_call: Callable[[PublicCall, float], HttpResponse]
    longest_start_s: float
    has_engine: Callable[[], bool]


def run_with_guard(task: GuardedRunTask, screen: Screen) -> GuardedRun | None:
    """Replace the chute's instance by one with the library, call it once, and print the result; None if nothing was measured.

    That instance keeps running. A failure is a result, never an error.
    """
    screen.clear()
    with screen.show_progress("Running it once more, under the platform's guard library") as progress:
        problem = _find_problem(task)
    if is_guard_missing(screen.lines):
        output.report(f"{platform_rules.GUARD_LIBRARY} is not in the image: nothing was measured under it")
        return None
    if not problem:
        output.success(f"it works under the guard library too, after {progress.seconds:.1f} s ({_MEASURED})")
        return GuardedRun(problem="")
    if not task.has_engine():
        output.warning("the Docker engine has stopped: nothing was measured under the platform's guard library")
        output.report_next_step("start Docker, and run the command again")
        return None
    result = _explain(problem, screen.lines)
    output.warning(f"the chute may fail under the platform's guard library, {_MEASURED}: {result.problem}")
    for line in result.evidence.splitlines():
        output.log(line)
    output.report_next_step(result.fix)
    return result


def _find_problem(task: GuardedRunTask) -> str:
    limit_s = task.longest_start_s * _TIME_FACTOR + _EXTRA_TIME_S
    try:
        task.chute.replace_instances(_END_REASON, {"LD_PRELOAD": platform_rules.GUARD_LIBRARY})
        instance = wait_until_settled(task.chute, limit_s)
    except WrapperError as failure:
        return str(failure)
    if instance.state is InstanceState.GONE:
        return instance.ended_because
    if instance.state is InstanceState.STARTING:
        return f"the service is not ready after {limit_s:.0f} s"
    return _find_call_problem(task) if task.proven is not None else ""


def wait_until_settled(chute: DeployedChute, limit_s: float) -> InstanceRecord:
    """Return the newest instance when it is active or gone, or after ``limit_s`` seconds."""
    deadline = time.monotonic() + limit_s
    while (instance := chute.get_newest_instance()).state is InstanceState.STARTING and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return instance


def _find_call_problem(task: GuardedRunTask) -> str:
    assert task.proven is not None
    response = task.send_call(task.proven.call, task.proven.response.seconds * _TIME_FACTOR + _EXTRA_TIME_S)
    if response.status == task.proven.response.status:
        return ""
    time.sleep(_LOG_DELAY_S)
    return f"{task.proven.name} fails: {response.problem or f'status {response.status}'}"


def _explain(problem: str, lines: Sequence[str]) -> GuardedRun:
    what, _, evidence = problem.partition("\n")
    if diagnosis := diagnose_guard([*lines, *problem.splitlines()]):
        return GuardedRun(problem=diagnosis.reason, evidence=diagnosis.line, fix=diagnosis.fix)
    others = "; ".join(map(str, diagnose([*lines, *problem.splitlines()])))
    return GuardedRun(problem=what, evidence=evidence, fix=others or _FALLBACK_FIX)
