from __future__ import annotations

import pytest

from chutes_wrappers.cli.emulation.report import warn_about_probes

PROBE = "instance 1a2b3c4d of case: the readiness probe failed (1 in a row): no response within 1 s: code that holds"


def test_failed_probes_are_one_warning_with_the_fix(capsys: pytest.CaptureFixture[str]) -> None:
    warn_about_probes([PROBE, "PermissionError: [Errno 13] Permission denied: '/data/x'", PROBE.replace("(1", "(2")])
    shown = " ".join(capsys.readouterr().err.split())
    assert shown.count("the readiness probe failed: nothing on the logging port responded within 1 s") == 1
    assert "move code that holds the interpreter" in shown
    assert "/data" not in shown


def test_without_a_failed_probe_there_is_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    warn_about_probes(["the service responds"])
    assert capsys.readouterr().err == ""
