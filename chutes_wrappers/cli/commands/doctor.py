"""``--doctor``: possible problems of this machine, their severity and their fixes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from chutes_wrappers.cli import output
from chutes_wrappers.core.platform_rules import FACTS
from chutes_wrappers.host.doctor.checks import Finding, run_checks
from chutes_wrappers.host.doctor.fact_table import describe_facts, format_long_fact, format_short_facts
from chutes_wrappers.host.modules.module_files import resolve_module

_WIDTH = 76
_FIXED_SPACE = "\N{NO-BREAK SPACE}"


def run_doctor(modules: Sequence[str], *, as_json: bool) -> int:
    """Check this machine, the account and ``modules``, which are run; without any, what is readable of those in this folder.

    Print each finding as it is made, or all as JSON ``{"ok", "findings": [{"group", "name", "severity", "found", "fix"}],
    "facts"}``. The facts about the platform follow in a short form.

    Returns 1 if a check failed, else 0.
    """
    findings: list[Finding] = []
    group = ""
    checks = run_checks(Path.cwd(), [resolve_module(each) for each in modules])
    while (finding := _next_finding(checks)) is not None:
        findings.append(finding)
        if not as_json:
            if finding.group != group:
                group = finding.group
                output.print_line(group)
            _print_finding(finding)
    failures = sum(finding.severity == "failure" for finding in findings)
    if as_json:
        listed = [asdict(finding) for finding in findings]
        output.print_json({"ok": not failures, "findings": listed, "facts": describe_facts()}, indent=2)
        return 1 if failures else 0
    _print_short_facts()
    if failures:
        output.warning(f"{failures} of {len(findings)} checks failed. Apply the fixes above, then run --doctor again")
    else:
        output.success("no check failed")
    return 1 if failures else 0


def print_facts(*, as_json: bool) -> int:
    """Print every fact about the platform with its values, date and sureness, or all as JSON ``{"facts"}``; return 0."""
    if as_json:
        output.print_json({"facts": describe_facts()}, indent=2)
        return 0
    for fact in FACTS:
        output.print_line(fact.name)
        for line in format_long_fact(fact):
            output.print_line(f"    {line}")
    return 0


def _print_short_facts() -> None:
    output.print_line("platform facts (--doctor --facts explains them; --allow overrules those with *)")
    for heading, facts in format_short_facts():
        # A name and its values stay in one line.
        text = f"{heading}: {', '.join(fact.replace(' ', _FIXED_SPACE) for fact in facts)}"
        for line in textwrap.wrap(text, _WIDTH, subsequent_indent="    ", break_on_hyphens=False):
            output.print_line(f"  {line.replace(_FIXED_SPACE, ' ')}")


def _next_finding(checks: Iterator[Finding]) -> Finding | None:
    with output.show_status("Checking"):
        return next(checks, None)


def _print_finding(finding: Finding) -> None:
    mark = {"ok": "✓", "note": "·", "warning": "!", "failure": "✗"}[finding.severity]
    _print_indented(f"  {mark} {finding.name}: {finding.found}", "      ")
    if finding.fix:
        _print_indented(f"      Fix: {finding.fix}", "           ")


def _print_indented(text: str, indent: str) -> None:
    """Print the first line of ``text`` as it is, and indent the others, which may be data."""
    first, *others = text.splitlines()
    for line in (first, *(f"{indent}{other}" for other in others)):
        output.print_line(line)
