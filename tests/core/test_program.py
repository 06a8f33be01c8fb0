from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from chutes_wrappers.core import layout, program
from chutes_wrappers.core.program import CHECKOUT, INSTALLED, NAMES, executable, renamed, source
from tests.scenario import ROOT


def test_the_checkout_is_no_installed_package_and_has_its_scripts() -> None:
    assert not program.IS_INSTALLED
    assert NAMES == CHECKOUT
    assert (ROOT / NAMES.deploy).is_file()
    assert (ROOT / NAMES.account.split()[0]).is_file()
    assert (ROOT / NAMES.discover).is_file()
    assert (ROOT / NAMES.emulator).is_file()
    assert executable() == ROOT / "deploy.sh"


def test_every_source_of_an_image_is_there() -> None:
    assert [path for path in (*layout.PACKAGE_SOURCES, layout.RECIPE_SOURCE) if not source(path).exists()] == []
    assert source("tools/__init__.py") == ROOT / "tools" / "__init__.py"


def test_the_installed_command_is_the_one_that_was_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(program, "IS_INSTALLED", True)
    started = tmp_path / "chutes-wrappers"
    started.touch()
    monkeypatch.setattr(sys, "argv", [str(started), "--completion", "bash"])
    assert executable() == started
    monkeypatch.setattr(sys, "argv", ["pytest"])
    assert executable() == Path(sys.executable).parent / "chutes-wrappers"


def test_files_of_the_project_name_the_installed_commands() -> None:
    text = "./setup.sh --account, ./deploy.sh --emulate M, .venv/bin/python tools/discover_routes.py, tools/emulator.py --config"
    assert renamed(text, INSTALLED) == (
        "chutes-wrappers-account, chutes-wrappers --emulate M, chutes-wrappers-discover, chutes-wrappers-emulator --config"
    )
    assert renamed(text, CHECKOUT) == text


def test_the_version_is_that_of_the_package_where_it_is_installed() -> None:
    try:
        assert version("chutes-wrappers") == program.VERSION
    except PackageNotFoundError:
        assert f'VERSION = "{program.VERSION}"' in (ROOT / "chutes_wrappers" / "core" / "program.py").read_text()
