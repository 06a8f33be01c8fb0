"""The results of a parity check, as people and scripts read them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from chutes_wrappers.cli import output
from chutes_wrappers.cli.emulation.guarded_run import GuardedRun
from chutes_wrappers.cli.local_run import build_method_flags
from chutes_wrappers.core.overruled_rules import list_overruled
from chutes_wrappers.core.platform_rules import BODILESS_METHODS, NEWEST_PUBLIC_METHODS
from chutes_wrappers.emulator.pod_limits import PROBE_FAILURE
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.log_diagnosis import Diagnosis, diagnose
from chutes_wrappers.host.parity.parity_check import Outcome

# A call with a body is a better example than one without.
_NO_EXAMPLE_LENGTH = 1000
_COLUMNS = ("route", "encoding", "status", "media type", "bytes", "ms", "verdict")


def print_report(outcomes: Sequence[Outcome], lines: Sequence[str], *, has_table: bool) -> int:
    """Print the results for people and return the number of failures. ``lines`` are the instance's log."""
    failed = [outcome for outcome in outcomes if not outcome.verdict.is_good]
    diagnoses = diagnose(lines) if failed else []
    if has_table:
        output.print_table(_COLUMNS, [_build_row(outcome) for outcome in outcomes])
    _explain(failed, diagnoses)
    if not failed:
        output.success(f"all {len(outcomes)} routes would work on Chutes{_format_condition(outcomes)}")
    return len(failed)


def _format_condition(outcomes: Sequence[Outcome]) -> str:
    newest = sorted({outcome.call.method for outcome in outcomes} & {*NEWEST_PUBLIC_METHODS})
    conditions = [
        *(["it accepts what --allow overruled"] if list_overruled() else []),
        *([f"it runs the newest version, which accepts public {', '.join(newest)}"] if newest else []),
    ]
    return f", if {' and '.join(conditions)}" if conditions else ""


def print_json(outcomes: Sequence[Outcome], guarded: GuardedRun | None) -> None:
    """Print the results for scripts; ``guarded`` is None when nothing ran under the guard library."""
    is_good = all(outcome.verdict.is_good for outcome in outcomes)
    guard = guarded and {"good": not guarded.problem, "problem": guarded.problem, "fix": guarded.fix}
    output.print_json({"routes": [_to_json(each) for each in outcomes], "good": is_good, "guard": guard}, indent=2)


def choose_example(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Return the successful call with the shortest example body, else one without a body; None if all failed."""
    successes = [outcome for outcome in outcomes if outcome.verdict.is_good]

    def measure_example(outcome: Outcome) -> int:
        return len(str(outcome.call.example)) if outcome.call.example else _NO_EXAMPLE_LENGTH

    return min(successes, key=measure_example, default=None)


def _explain(failed: Sequence[Outcome], diagnoses: Sequence[Diagnosis]) -> None:
    for outcome in failed:
        output.warning(f"{outcome.name} would fail on Chutes: {outcome.verdict.message}")
        for line in outcome.verdict.evidence.splitlines()[:5]:
            output.log(line)
        if outcome.fix:
            output.report_next_step(outcome.fix)
    for diagnosis in diagnoses:
        output.warning(diagnosis.reason)
        output.report_next_step(diagnosis.fix)


def warn_about_probes(lines: Sequence[str]) -> None:
    """Warn about failures of the readiness probe that the emulator has logged in ``lines``."""
    _explain([], diagnose(line for line in lines if PROBE_FAILURE in line))


def _build_row(outcome: Outcome) -> tuple[str, ...]:
    response = outcome.response
    return (
        outcome.name,
        outcome.encoding,
        str(response.status or "-"),
        response.media_type or "-",
        str(len(response.body)),
        f"{response.seconds * 1000:.0f}",
        ("✓ " if outcome.verdict.is_good else "✗ ") + outcome.verdict.message,
    )


def _to_json(outcome: Outcome) -> Mapping[str, Any]:
    return {
        "route": outcome.name,
        "travels": outcome.encoding,
        "status": outcome.response.status,
        "media_type": outcome.response.media_type,
        "bytes": len(outcome.response.body),
        "milliseconds": round(outcome.response.seconds * 1000),
        "good": outcome.verdict.is_good,
        "verdict": outcome.verdict.message,
        "fix": outcome.fix,
    }


def build_curl_command(call: PublicCall, url: str, key: str) -> str:
    """Return a command that sends ``call`` to the chute at ``url``."""
    # curl sends a POST with -d.
    method = [] if call.method == "POST" else build_method_flags(call.method)
    argv = ["curl", *method, "-H", f"Authorization: Bearer {key}"]
    if call.method in BODILESS_METHODS:
        query = f"?{urlencode(call.query)}" if call.query else ""
        return shlex.join([*argv, f"{url}{call.path}{query}"])
    body = json.dumps(call.example, ensure_ascii=False)
    return shlex.join([*argv, f"{url}{call.path}", "-H", "Content-Type: application/json", "-d", body])
