"""Findings about the location of the environment, and the parsed version of the SDK."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from chutes_wrappers.host.doctor import environment_checks
from chutes_wrappers.host.doctor.environment_checks import check_environment, check_location


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That of this process, without a stamp."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return tmp_path


def test_a_moved_environment_is_a_failure_that_names_both_locations(environment: Path) -> None:
    (environment / "original").mkdir()
    for place in ("/nowhere/.venv", str(environment / "original")):
        (environment / ".complete").write_text(place)
        (finding,) = check_location()
        assert finding.severity == "failure"
        assert finding.found.startswith(f"{environment} was created at {place}:")
        assert finding.fix.endswith("setup.sh, which creates it again")


@pytest.mark.parametrize("through_link", [False, True])
def test_an_environment_at_its_location_has_no_finding(
    environment: Path, tmp_path_factory: pytest.TempPathFactory, through_link: bool
) -> None:
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(environment)
    (environment / ".complete").write_text(str(link if through_link else environment))
    assert list(check_location()) == []


@pytest.mark.parametrize("stamp", [None, ""])
def test_an_environment_without_a_location_has_no_finding(environment: Path, stamp: str | None) -> None:
    if stamp is not None:
        (environment / ".complete").write_text(stamp)
    assert list(check_location()) == []


@pytest.mark.parametrize(
    ("version", "severity"),
    [("0.6.9", "ok"), ("0.6.11rc2", "ok"), ("0.6.10", "warning"), ("0.6.11", "warning"), ("0.7.0", "warning")],
)
def test_an_sdk_that_was_not_tested_is_a_warning_with_those_that_were(
    version: str, severity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version)
    monkeypatch.setattr(environment_checks, "check_imports", lambda: iter(()))
    (finding,) = [finding for finding in check_environment() if finding.name == "SDK"]
    assert finding.severity == severity
    assert finding.found.startswith(f"chutes {version}")
    if severity == "warning":
        assert finding.found.endswith("is not tested; tested are 0.6.9 and 0.6.11rc2")
        assert finding.fix
