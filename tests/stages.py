"""Summary of the stages of ``./test.sh``: ``python tests/stages.py FOLDER``, with the JUnit report of each stage.

Prints each stage's time, skipped tests with the reason, and the ten slowest tests of all stages.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

_SLOWEST_COUNT = 10
_MAX_REASONS = 20


def format_summary(folder: Path) -> str:
    """Format the summary; empty without a report."""
    reports = sorted(folder.glob("*.xml"))
    if not reports:
        return ""
    cases = [(report.stem, case) for report in reports for case in ElementTree.parse(report).iter("testcase")]
    slowest = sorted(cases, key=lambda found: _seconds_of(found[1]), reverse=True)[:_SLOWEST_COUNT]
    lines = ["", "stages:", *map(_format_stage, reports), "skipped:", *_format_skipped(cases)]
    lines += [f"the {_SLOWEST_COUNT} slowest tests (set-up and clean-up included):"]
    lines += [f"  {_seconds_of(case):6.1f} s  {stage}  {_name_of(case)}" for stage, case in slowest]
    return "\n".join(lines)


def _format_stage(report: Path) -> str:
    suites = [*ElementTree.parse(report).iter("testsuite")]
    tests, bad, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites for name in names)
        for names in (("tests",), ("failures", "errors"), ("skipped",))
    )
    seconds = sum(float(suite.get("time", 0)) for suite in suites)
    return f"  {report.stem:<12} {seconds:6.0f} s  {tests} tests, {bad} failed, {skipped} skipped"


def _format_skipped(cases: list[tuple[str, ElementTree.Element]]) -> list[str]:
    reasons = Counter(
        (stage, " ".join(str(skip.get("message")).split())) for stage, case in cases for skip in case.iter("skipped")
    )
    if not reasons:
        return ["  nothing"]
    lines = [f"  {count:4} of {stage}: {reason}" for (stage, reason), count in reasons.most_common(_MAX_REASONS)]
    left = len(reasons) - len(lines)
    return [*lines, f"  and {left} more reasons"] if left > 0 else lines


def _seconds_of(case: ElementTree.Element) -> float:
    return float(case.get("time", 0))


def _name_of(case: ElementTree.Element) -> str:
    path = re.sub(r"\.", "/", str(case.get("classname")))
    return f"{path}.py::{case.get('name')}"


if __name__ == "__main__":
    if text := format_summary(Path(sys.argv[1])):
        print(text, file=sys.stderr)  # noqa: T201
