from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from chutes_wrappers.core import layout, program
from chutes_wrappers.core.program import CHECKOUT, INSTALLED, NAMES, find_executable, find_source, replace_command_names
from tests.scenario import ROOT


def test_a_checkout_counts_as_not_installed_and_names_its_scripts() -> None:
    assert not program.IS_INSTALLED
    assert NAMES == CHECKOUT
    assert (ROOT / NAMES.deploy).is_file()
    assert (ROOT / NAMES.account.split()[0]).is_file()
    assert (ROOT / NAMES.discover).is_file()
    assert (ROOT / NAMES.emulator).is_file()
    assert ROOT / NAMES.sdk == ROOT / ".venv" / "bin" / "chutes"
    assert find_executable() == ROOT / "deploy.sh"


def test_every_source_of_an_image_exists() -> None:
    assert [path for path in (*layout.PACKAGE_SOURCES, layout.RECIPE_SOURCE) if not find_source(path).exists()] == []
    assert find_source("tools/__init__.py") == ROOT / "tools" / "__init__.py"


def test_the_installed_command_is_the_one_that_was_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(program, "IS_INSTALLED", True)
    started = tmp_path / "chutes-wrappers"
    started.touch()
    monkeypatch.setattr(sys, "argv", [str(started), "--completion", "bash"])
    assert find_executable() == started
    monkeypatch.setattr(sys, "argv", ["pytest"])
    assert find_executable() == Path(sys.executable).parent / "chutes-wrappers"


def test_messages_name_the_sdk_s_command_by_its_path() -> None:
    """Neither a checkout nor pipx has it on PATH: the printed command that deletes an old key would not be found."""
    assert INSTALLED.sdk == str(Path(sys.executable).parent / "chutes")
    assert Path(INSTALLED.sdk).is_file()
    bare = re.compile(r"(?:^|[:;,] |\b(?:run|with|first:) )chutes (?:keys|secrets|share) ")
    commands = {
        str(path.relative_to(program.PACKAGE))
        for path in program.PACKAGE.rglob("*.py")
        for text in _texts(ast.parse(path.read_text()))
        if bare.search(text)
    }
    assert commands == set()


def test_files_of_the_project_name_the_installed_commands() -> None:
    text = "./setup.sh --account, ./deploy.sh --emulate M, .venv/bin/python tools/discover_routes.py, tools/emulator.py --config"
    assert replace_command_names(text, INSTALLED) == (
        "chutes-wrappers-account, chutes-wrappers --emulate M, chutes-wrappers-discover, chutes-wrappers-emulator --config"
    )
    assert replace_command_names(text, CHECKOUT) == text
    page = (program.PACKAGE / "emulator" / "page" / "static" / "index.html").read_text()
    assert "<code>chutes-wrappers --emulate MODULE</code>" in replace_command_names(page, INSTALLED)
    assert "<code>chutes-wrappers-emulator --config</code>" in replace_command_names(page, INSTALLED)


def test_the_version_is_that_of_the_package_where_it_is_installed() -> None:
    try:
        assert version("chutes-wrappers") == program.VERSION
    except PackageNotFoundError:
        assert f'VERSION = "{program.VERSION}"' in (ROOT / "chutes_wrappers" / "core" / "program.py").read_text()


# The set-up of a checkout, and examples of --help, which are renamed when they are shown.
_MAY_NAME_SCRIPTS = (
    "cli/setup/bootstrap.py",
    "cli/setup/virtual_environment.py",
    "cli/verbs/",
    "core/program.py",
    "host/doctor/finding.py",
)


def test_messages_take_the_names_of_commands_from_here() -> None:
    names = {
        str(path.relative_to(program.PACKAGE))
        for path in program.PACKAGE.rglob("*.py")
        for text in _texts(ast.parse(path.read_text()))
        if re.search(r"\./(?:deploy|setup)\.sh|tools/(?:emulator|discover_routes)\.py", text)
    }
    assert {name for name in names if not name.startswith(_MAY_NAME_SCRIPTS)} == set()


def _texts(module: ast.Module) -> Iterator[str]:
    """Every string of a module but its docstrings."""
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value
