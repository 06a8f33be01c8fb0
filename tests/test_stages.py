"""The summary at the end of ``./test.sh``."""

from __future__ import annotations

from pathlib import Path

from tests.stages import format_summary

REPORT = """<?xml version="1.0"?>
<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="2" tests="9" time="61.4">
<testcase classname="tests.core.test_a" name="test_quick" time="0.1"/>
<testcase classname="tests.core.test_a" name="test_slow[1.5]" time="12.0"/>
<testcase classname="tests.docker.test_b" name="test_one" time="0.0"><skipped message="no Docker engine: refused"/></testcase>
<testcase classname="tests.docker.test_b" name="test_two" time="0.0"><skipped message="no Docker engine: refused"/></testcase>
</testsuite></testsuites>"""


def test_each_stages_time_the_skips_with_their_reasons_and_the_slowest_are_shown(tmp_path: Path) -> None:
    (tmp_path / "1-fast.xml").write_text(REPORT)
    lines = [line.strip() for line in format_summary(tmp_path).splitlines()]
    assert "1-fast           61 s  9 tests, 3 failed, 2 skipped" in lines
    assert "2 of 1-fast: no Docker engine: refused" in lines
    slowest = lines[lines.index("the 10 slowest tests (set-up and clean-up included):") + 1 :]
    assert slowest[0] == "12.0 s  1-fast  tests/core/test_a.py::test_slow[1.5]"
    assert len(slowest) == 4


def test_without_a_report_nothing_is_shown(tmp_path: Path) -> None:
    assert format_summary(tmp_path) == ""


def test_reasons_that_are_not_listed_are_counted(tmp_path: Path) -> None:
    cases = "".join(f'<testcase name="t"><skipped message="reason {number}"/></testcase>' for number in range(22))
    (tmp_path / "1-fast.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    text = format_summary(tmp_path)
    assert text.count("of 1-fast: reason") == 20
    assert "  and 2 more reasons" in text.splitlines()
