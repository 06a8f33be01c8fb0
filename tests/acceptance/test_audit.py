"""The output of pip-audit: only audited packages count."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from acceptance import audit
from tests.scenario import ROOT

# As pip-audit 2.10 prints them.
CLEAN = {"name": "click", "version": "8.1.8", "vulns": []}
VULNERABLE = {
    "name": "requests",
    "version": "2.19.0",
    "vulns": [{"id": "PYSEC-2023-74", "fix_versions": ["2.31.0"]}, {"id": "PYSEC-2018-28", "fix_versions": []}],
}
SKIPPED = {
    "name": "chutes",
    "skip_reason": "Dependency not found on PyPI and could not be audited: chutes (0.6.9)",
}
UNREACHABLE = "Traceback (most recent call last):\nrequests.exceptions.ProxyError: Max retries exceeded"


def parsed(*dependencies: object, pinned: int | None = None) -> audit.Audit:
    output = json.dumps({"dependencies": dependencies, "fixes": []})
    count = len(dependencies) if pinned is None else pinned
    return audit.parse_audit(output, "No known vulnerabilities found", pinned=count)


def test_a_complete_audit_without_vulnerabilities_passes() -> None:
    assert parsed(CLEAN).is_good
    assert parsed(CLEAN).lines() == ["1 of 1 packages audited, 0 with known vulnerabilities"]


def test_a_vulnerability_is_named_with_the_version_that_fixes_it() -> None:
    assert not parsed(CLEAN, VULNERABLE).is_good
    assert parsed(CLEAN, VULNERABLE).lines() == [
        "2 of 2 packages audited, 1 with known vulnerabilities",
        "requests 2.19.0: PYSEC-2023-74 (fixed in 2.31.0), PYSEC-2018-28 (fixed in no version)",
    ]


def test_an_audit_of_no_package_is_reported_as_not_run() -> None:
    assert not parsed(SKIPPED).is_good
    assert parsed(SKIPPED).lines()[0] == "not run: 0 of 1 packages were audited"


def test_a_skipped_package_fails_the_audit() -> None:
    assert not parsed(CLEAN, SKIPPED).is_good
    assert parsed(CLEAN, SKIPPED).lines() == [
        "1 of 2 packages audited, 0 with known vulnerabilities",
        "not audited: chutes: Dependency not found on PyPI and could not be audited: chutes (0.6.9)",
    ]


def test_a_package_that_pip_audit_omits_fails_the_audit() -> None:
    assert not parsed(CLEAN, pinned=2).is_good
    assert parsed(CLEAN, pinned=2).lines() == [
        "1 of 1 packages audited, 0 with known vulnerabilities",
        "pip-audit omitted 1 of 2 packages",
    ]


def test_the_pins_of_the_file_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = json.dumps({"dependencies": [CLEAN]})
    monkeypatch.setattr(subprocess, "run", lambda argv, **_: subprocess.CompletedProcess(argv, 0, output, ""))
    file = tmp_path / "two.txt"
    file.write_text("# a==1\nclick==8.1.8\n")
    assert audit.audit(file).is_good
    file.write_text('click==8.1.8\nrich==13.0.0 ; python_version < "3"\n')
    assert not audit.audit(file).is_good


def test_without_arguments_every_file_of_constraints_is_audited(monkeypatch: pytest.MonkeyPatch) -> None:
    good = dict.fromkeys((ROOT / "constraints").glob("*.txt"), parsed(CLEAN))
    monkeypatch.setattr(audit, "audit", good.pop)
    assert audit.main([]) == 0
    assert good == {}
    monkeypatch.setattr(audit, "CONSTRAINTS", ROOT / "nowhere")
    assert audit.main([]) == 1


@pytest.mark.parametrize(("output", "errors"), [("", UNREACHABLE), ("[]", UNREACHABLE), ('{"dependencies": []}', "")])
def test_missing_output_is_reported_as_not_run(output: str, errors: str) -> None:
    result = audit.parse_audit(output, errors, pinned=0)
    assert not result.is_good
    assert result.lines()[0] == "not run: 0 of 0 packages were audited"
    assert "Max retries exceeded" in result.failure or not errors


def test_one_failed_file_fails_the_whole_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    results = {good: parsed(CLEAN), bad: parsed(SKIPPED)}
    monkeypatch.setattr(audit, "audit", results.__getitem__)
    assert audit.main([str(good)]) == 0
    assert audit.main([str(good), str(bad)]) == 1
    assert "bad.txt: not run" in capsys.readouterr().out


def test_an_unreachable_registry_is_reported_as_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real pip-audit, with a proxy that is not reachable."""
    (tmp_path / "one.txt").write_text("click==8.1.8\n")
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert audit.main([str(tmp_path / "one.txt")]) == 1
    assert "not run" in capsys.readouterr().out
