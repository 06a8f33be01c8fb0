"""``--doctor``: what may be wrong, how bad it is, and the fix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from chutes_wrappers.cli import output
from chutes_wrappers.host.doctor.checks import Finding, run_checks


def run_doctor(*, as_json: bool) -> int:
    """Show every finding as it is made, or all as JSON ``{"ok", "findings": [{"group", "name", "severity", "found", "fix"}]}``.

    1 when something would fail.
    """
    findings: list[Finding] = []
    group = ""
    checks = run_checks(Path.cwd())
    while (finding := _next_finding(checks)) is not None:
        findings.append(finding)
        if not as_json:
            if finding.group != group:
                group = finding.group
                output.print_result(group)
            _print_finding(finding)
    failures = sum(finding.severity == "failure" for finding in findings)
    if as_json:
        output.print_result(
            json.dumps({"ok": not failures, "findings": [asdict(finding) for finding in findings]}, indent=2)
        )
    elif failures:
        output.warning(f"{failures} of {len(findings)} would fail: do what stands behind Fix, then look again")
    else:
        output.success("nothing here would fail")
    return 1 if failures else 0


def _next_finding(checks: Iterator[Finding]) -> Finding | None:
    with output.show_status("Looking further"):
        return next(checks, None)


def _print_finding(finding: Finding) -> None:
    mark = {"ok": "✓", "note": "·", "warning": "!", "failure": "✗"}[finding.severity]
    output.print_result(f"  {mark} {finding.name}: {finding.found}")
    if finding.fix:
        output.print_result(f"      Fix: {finding.fix}")
