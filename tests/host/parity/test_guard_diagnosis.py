"""The log of a run under the guard library shows what the library ended (PLATFORM.md, section 1)."""

from __future__ import annotations

import pytest

from chutes_wrappers.core.platform_rules import GUARD_LIBRARY
from chutes_wrappers.host.parity.guard_diagnosis import diagnose_guard, is_guard_missing


@pytest.mark.parametrize(
    ("line", "reason", "fix"),
    [
        ("Fatal Python error: Segmentation fault", "faulthandler", "-X faulthandler"),
        ("INFO:     Child process [31] died", "uvicorn's workers", "--workers 1"),
        (
            "multiprocessing/resource_tracker.py:116: UserWarning: resource_tracker: process died unexpectedly",
            "processes of multiprocessing",
            'get_context("fork")',
        ),
        (
            "concurrent.futures.process.BrokenProcessPool: A process in the process pool was",
            "of multiprocessing",
            "fork",
        ),
        (
            "subprocess.CalledProcessError: Command died with <Signals.SIGSEGV: 11>.",
            "a child process",
            "os.posix_spawn",
        ),
        ("[service] run.sh: line 3:    12 Segmentation fault      (core dumped) serve", "a child process", "fork"),
        ("the service ended with signal SIGSEGV", "a child process", "_USE_VFORK"),
        ("worker exited with code -11", "a child process", "_USE_VFORK"),
        ("child: exit status 139", "a child process", "_USE_VFORK"),
        ("Error: ffmpeg exited with exit code -11", "a child process", "_USE_VFORK"),
    ],
)
def test_a_line_names_the_cause_and_the_fix(line: str, reason: str, fix: str) -> None:
    found = diagnose_guard(["starting", line, "stopping"])
    assert found is not None
    assert reason in found.reason
    assert fix in found.fix
    assert found.line == line


@pytest.mark.parametrize(
    "line",
    [
        "worker exited with code 1",
        "GET /items/139 200",
        "faulthandler is enabled",
        "took -11.4 s",
        "exit code 1390",
        "",
    ],
)
def test_other_lines_are_not_the_guards(line: str) -> None:
    assert diagnose_guard([line]) is None


def test_a_more_exact_cause_wins() -> None:
    found = diagnose_guard(["exit code -11", "INFO: Child process [7] died"])
    assert found is not None
    assert "uvicorn" in found.reason


def test_an_image_without_the_library_is_recognised() -> None:
    line = f"ERROR: ld.so: object '{GUARD_LIBRARY}' from LD_PRELOAD cannot be preloaded (cannot open shared object file): ignored."
    assert is_guard_missing(["starting", line])
    assert not is_guard_missing(["ERROR: ld.so: object '/lib/x.so' from LD_PRELOAD cannot be preloaded: ignored."])
