"""The outcomes of a rehearsal, as people and scripts read them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from chutes_wrappers.cli import output
from chutes_wrappers.host.parity.log_diagnosis import Diagnosis, diagnose
from chutes_wrappers.host.parity.parity_check import Outcome, PublicCall

_COLUMNS = ("route", "travels as", "status", "media type", "bytes", "ms", "verdict")


def report(outcomes: Sequence[Outcome], lines: Sequence[str], *, as_json: bool) -> int:
    """Print the table (or JSON) and what it means; how many verdicts are bad. ``lines`` are the instance's log."""
    bad = [outcome for outcome in outcomes if not outcome.verdict.good]
    found = diagnose(lines) if bad else []
    if as_json:
        output.result(json.dumps({"routes": [_as_data(each) for each in outcomes], "good": not bad}, indent=2))
    else:
        output.table(_COLUMNS, [_row(outcome) for outcome in outcomes])
    _explain(bad, found)
    if not bad:
        output.success(f"all {len(outcomes)} routes would work on Chutes")
    return len(bad)


def _explain(bad: Sequence[Outcome], found: Sequence[Diagnosis]) -> None:
    for outcome in bad:
        output.warning(f"{outcome.name} would fail on Chutes: {outcome.verdict.words}")
        for line in outcome.verdict.evidence.splitlines()[:5]:
            output.log(line)
        if outcome.fix:
            output.report(f"  Next: {outcome.fix}")
    for diagnosis in found:
        output.warning(diagnosis.reason)
        output.report(f"  Next: {diagnosis.fix}")


def _row(outcome: Outcome) -> tuple[str, ...]:
    answer = outcome.answer
    return (
        outcome.name,
        outcome.travels,
        str(answer.status or "-"),
        answer.kind or "-",
        str(len(answer.body)),
        f"{answer.seconds * 1000:.0f}",
        ("✓ " if outcome.verdict.good else "✗ ") + outcome.verdict.words,
    )


def _as_data(outcome: Outcome) -> Mapping[str, Any]:
    return {
        "route": outcome.name,
        "travels": outcome.travels,
        "status": outcome.answer.status,
        "media_type": outcome.answer.kind,
        "bytes": len(outcome.answer.body),
        "milliseconds": round(outcome.answer.seconds * 1000),
        "good": outcome.verdict.good,
        "verdict": outcome.verdict.words,
        "fix": outcome.fix,
    }


def curl(call: PublicCall, url: str, key: str) -> str:
    """A command that makes ``call`` of the chute at ``url``."""
    argv = ["curl", "-H", f"Authorization: Bearer {key}"]
    if call.method == "GET":
        query = f"?{urlencode(call.query)}" if call.query else ""
        return shlex.join([*argv, f"{url}{call.path}{query}"])
    body = json.dumps(call.example, ensure_ascii=False)
    return shlex.join([*argv, f"{url}{call.path}", "-H", "Content-Type: application/json", "-d", body])
