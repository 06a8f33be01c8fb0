"""An environment that is not where it was made is a finding."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chutes_wrappers.host.doctor.environment_checks import place_findings


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That of this process, without a stamp."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return tmp_path


def test_an_environment_that_was_moved_or_copied_is_a_failure_that_names_both_places(environment: Path) -> None:
    (environment / "original").mkdir()
    for place in ("/nowhere/.venv", str(environment / "original")):
        (environment / ".complete").write_text(place)
        (finding,) = place_findings()
        assert finding.severity == "failure"
        assert finding.found.startswith(f"{environment} was made at {place}:")
        assert finding.fix.endswith("setup.sh, which makes it anew")


@pytest.mark.parametrize("through_link", [False, True])
def test_one_at_its_place_is_none(
    environment: Path, tmp_path_factory: pytest.TempPathFactory, through_link: bool
) -> None:
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(environment)
    (environment / ".complete").write_text(str(link if through_link else environment))
    assert list(place_findings()) == []


@pytest.mark.parametrize("stamp", [None, ""])
def test_one_that_says_nothing_of_its_place_is_none(environment: Path, stamp: str | None) -> None:
    if stamp is not None:
        (environment / ".complete").write_text(stamp)
    assert list(place_findings()) == []
