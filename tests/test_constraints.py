"""The constraints files: the versions that the tests passed with, for each tested SDK."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from chutes_wrappers.core.sdk_versions import TESTED_SDKS, get_default_sdk
from constraints import renew

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "constraints").glob("*.txt"))


def read_pins(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def read_requirements(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]


def test_the_release_and_the_next_one_have_constraints() -> None:
    (following,) = read_requirements("requirements-next.txt")
    (pinned,) = [each.version for each in following.specifier]
    names = {path.stem for path in FILES}
    assert f"chutes-{pinned}" in names
    assert len(names) == 2


def test_the_tested_versions_are_those_with_constraints_and_the_only_ones_that_are_accepted() -> None:
    assert {path.stem for path in FILES} == {f"chutes-{version}" for version in TESTED_SDKS}
    (requirement,) = [each for each in read_requirements("requirements.txt") if each.name == "chutes"]
    others = (
        "0.6.8",
        "0.6.10",
        "0.6.10rc1",
        "0.6.10.post1",
        "0.6.11",
        "0.6.11.post1",
        "0.6.12",
        "0.6.12rc1",
        "0.7.0",
        "1.0",
    )
    assert [*requirement.specifier.filter([*TESTED_SDKS, *others], prereleases=True)] == [*TESTED_SDKS]
    # A pre-release only by its own name.
    assert [*requirement.specifier.filter([*TESTED_SDKS, *others])] == [get_default_sdk()] == ["0.6.9"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_constraints_satisfy_the_requirements(path: Path) -> None:
    pinned = read_pins(path)
    assert path.stem == f"chutes-{pinned['chutes']}"
    for name in ("requirements.txt", "requirements-dev.txt"):
        for each in read_requirements(name):
            held = pinned.get(canonicalize_name(each.name))
            assert held is not None, f"{each} is not in {path.name}: run {path.parent.name}/renew.py"
            assert each.specifier.contains(held, prereleases=True), f"{each}: {held}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_constraints_have_names_and_versions_only(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][\w.!+]*", line)] == []
    assert lines == sorted(lines, key=lambda line: line.partition("==")[0])


def test_renewing_writes_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renew, "FOLDER", tmp_path)
    assert renew.main() == 0
    (written,) = tmp_path.iterdir()
    assert written.name == f"chutes-{version('chutes')}.txt"
    assert f"on Python {sys.version_info[0]}.{sys.version_info[1]}" in written.read_text()
    assert read_pins(written)["click"] == version("click")
    assert "pip" not in read_pins(written)
