"""Files that other tools and readers expect: changelog, security policy, hooks, issue forms."""

from __future__ import annotations

import datetime
import re
from itertools import pairwise
from pathlib import Path

import yaml

from chutes_wrappers.core.program import VERSION
from tests.scenario import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", re.MULTILINE)


def test_the_changelog_begins_with_this_version_and_goes_back_in_time() -> None:
    releases = [
        (tuple(map(int, version.split("."))), datetime.date.fromisoformat(day))
        for version, day in RELEASE.findall(CHANGELOG)
    ]
    assert ".".join(map(str, releases[0][0])) == VERSION
    assert all(newer[0] > older[0] and newer[1] >= older[1] for newer, older in pairwise(releases))
    assert re.findall(r"^## (?!\[)", CHANGELOG, re.MULTILINE) == []


def test_each_release_groups_its_changes_by_kind() -> None:
    for text in RELEASE.split(CHANGELOG)[3::3]:
        kinds = re.findall(r"^### (.+)$", text, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds]
        assert kinds


def test_hooks_are_local_and_run_what_the_environment_has() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    entries = [Path(hook["entry"].split()[0]) for hook in hooks[0]["hooks"]]
    assert {entry.name for entry in entries} == {"ruff", "mypy", "shellcheck"}
    assert {entry.parent for entry in entries} == {Path(".venv/bin")}


def test_an_issue_form_asks_for_what_a_report_needs() -> None:
    forms = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")}
    labels = {field["id"]: field["attributes"]["label"] for field in forms["bug"]["body"] if "id" in field}
    assert "--doctor --json" in labels["doctor"]
    assert "report" in labels
    assert "--version" in labels["version"]
    assert {"bug", "config", "feature"} == {*forms}


def test_every_threat_names_tests_that_exist() -> None:
    threats = [
        line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line.startswith("|") and ".py" in line
    ]
    assert len(threats) > 20
    for threat in threats:
        for path, name in re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", threat.rpartition(" | ")[2]):
            file = ROOT / "tests" / path
            assert file.is_file(), threat
            assert not name or f"def {name}(" in file.read_text(), threat


def test_the_files_name_no_address_to_write_to() -> None:
    for path in (ROOT / "SECURITY.md", *(ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")):
        assert not re.search(r"\S+@\S+\.\S+|https?://", path.read_text()), path


def test_the_tests_that_the_table_of_calls_names_exist() -> None:
    named = re.findall(r"`(tests/[^`:]+)::(\w+)`", (ROOT / "docs" / "calls.md").read_text())
    assert named
    assert [pair for pair in named if f"def {pair[1]}(" not in (ROOT / pair[0]).read_text()] == []
