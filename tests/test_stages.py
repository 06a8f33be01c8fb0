"""The summary at the end of ``./test.sh``, and its exit code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stages import format_summary

ROOT = Path(__file__).resolve().parent.parent

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


# A tool that succeeds, and writes a report where one is asked for; the one named in FAILING exits 7.
# The types are checked for longer than the tests are compiled in the background.
TOOL = f"""#!/bin/sh
name=$(basename "$0")
case "$name $*" in
*--collect-only*) echo $$ >compiling && exit 0 ;;
mypy*) until [ -s compiling ] && ! kill -0 "$(cat compiling)" 2>/dev/null; do sleep 0.01; done ;;
"python -c"* | "python tests/stages.py"*) exec {sys.executable} "$@" ;;
esac
for argument; do
    case "$argument" in --junitxml=*) echo '<testsuites><testsuite tests="1"/></testsuites>' >"${{argument#*=}}" ;; esac
done
[ "$name" != "$FAILING" ] || exit 7
"""


@pytest.mark.parametrize(("failing", "code", "stages"), [("", 0, 4), ("mypy", 7, 0), ("pytest", 7, 1)])
def test_the_exit_code_is_that_of_the_checks_and_the_summary_is_shown(
    tmp_path: Path, failing: str, code: int, stages: int
) -> None:
    tools = tmp_path / ".venv/bin"
    for folder in (tools, tmp_path / "tests"):
        folder.mkdir(parents=True)
    shutil.copy(ROOT / "test.sh", tmp_path)
    shutil.copy(ROOT / "tests/stages.py", tmp_path / "tests")
    names = ["ruff", "mypy", "pytest", "git", "shellcheck", "python"]
    for path in [tools / name for name in names] + [tmp_path / "setup.sh", tmp_path / "tests/next_environment.sh"]:
        path.write_text(TOOL)
        path.chmod(0o755)
    (tmp_path / "tests/next_environment.sh").write_text(f"#!/bin/sh\necho {tools}\n")
    environment = os.environ | {"FAILING": failing, "TMPDIR": str(tmp_path)}
    run = subprocess.run([tmp_path / "test.sh"], env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == code, run.stderr
    assert run.stderr.count("1 tests, 0 failed") == stages
    assert not [*tmp_path.glob("tmp.*")]
