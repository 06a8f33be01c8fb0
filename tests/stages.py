"""What the stages of ``./test.sh`` came to: ``python tests/stages.py FOLDER``, in which each has left its JUnit report.

Prints each stage's time, what was skipped and why, and the ten slowest tests of all stages together.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

_SLOWEST = 10
_MOST_REASONS = 20


def summary(folder: Path) -> str:
    """The text; empty without a report."""
    reports = sorted(folder.glob("*.xml"))
    if not reports:
        return ""
    cases = [(report.stem, case) for report in reports for case in ElementTree.parse(report).iter("testcase")]
    slowest = sorted(cases, key=lambda found: _seconds(found[1]), reverse=True)[:_SLOWEST]
    lines = ["", "stages:", *map(_stage, reports), "skipped:", *_skipped(cases)]
    lines += [f"the {_SLOWEST} slowest tests (set-up and clean-up included):"]
    lines += [f"  {_seconds(case):6.1f} s  {stage}  {_name(case)}" for stage, case in slowest]
    return "\n".join(lines)


def _stage(report: Path) -> str:
    suites = [*ElementTree.parse(report).iter("testsuite")]
    tests, bad, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites for name in names)
        for names in (("tests",), ("failures", "errors"), ("skipped",))
    )
    seconds = sum(float(suite.get("time", 0)) for suite in suites)
    return f"  {report.stem:<12} {seconds:6.0f} s  {tests} tests, {bad} not good, {skipped} skipped"


def _skipped(cases: list[tuple[str, ElementTree.Element]]) -> list[str]:
    reasons = Counter(
        (stage, " ".join(str(skip.get("message")).split())) for stage, case in cases for skip in case.iter("skipped")
    )
    if not reasons:
        return ["  nothing"]
    lines = [f"  {count:4} of {stage}: {reason}" for (stage, reason), count in reasons.most_common(_MOST_REASONS)]
    left = len(reasons) - len(lines)
    return [*lines, f"  and {left} more reasons"] if left > 0 else lines


def _seconds(case: ElementTree.Element) -> float:
    return float(case.get("time", 0))


def _name(case: ElementTree.Element) -> str:
    path = re.sub(r"\.", "/", str(case.get("classname")))
    return f"{path}.py::{case.get('name')}"


if __name__ == "__main__":
    if text := summary(Path(sys.argv[1])):
        print(text, file=sys.stderr)  # noqa: T201
