"""Every package that commands import is checked, and each import error is a finding."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from chutes_wrappers.host.doctor.import_checks import REQUIRED_MODULES, check_imports

PACKAGE = Path(__file__).resolve().parents[3] / "chutes_wrappers"
BROKEN = {
    "ends_python": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
    "exits": "raise SystemExit('not here')\n",
    "lacks": "import a_library_of_another_version\n",
    "prints": "import sys\nprint('hello')\nsys.stdout.write('no line')\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with modules that cannot be imported, and one that can."""
    for name, source in BROKEN.items():
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def list_imported_packages(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


def test_every_imported_package_is_checked() -> None:
    used = {name for path in PACKAGE.rglob("*.py") for name in list_imported_packages(path)}
    own = {"_chutes_wrappers_tools", "chutes_wrappers", "tools", "sitecustomize"}  # the last is an image's own
    assert used - sys.stdlib_module_names - own <= {name.split(".")[0] for name in REQUIRED_MODULES}


def test_all_of_them_can_be_imported_here() -> None:
    assert [finding.severity for finding in check_imports()] == ["ok"]


def test_each_module_that_cannot_be_imported_is_named_with_the_fix(folder: Path) -> None:
    findings = list(check_imports(["json", "lacks", "ends_python", "prints", "exits", "ast"]))
    assert {finding.severity for finding in findings} == {"failure"}
    assert [finding.found for finding in findings] == [
        "lacks: No module named 'a_library_of_another_version' (ModuleNotFoundError)",
        "ends_python: importing it crashes Python (SIGSEGV)",
        "exits: not here (SystemExit)",
    ]
    assert all("./setup.sh" in finding.fix for finding in findings)
