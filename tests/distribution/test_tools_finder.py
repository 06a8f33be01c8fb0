"""What makes ``tools.chute_wrappers`` importable where the wheel is installed, without a wheel; test_wheel.py has the real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scenario import ROOT

HOOK = ROOT / "distribution" / "chutes_wrappers_tools.pth"
FACADE = "chutes_wrappers/facade.py"
SHOW = """
import importlib.util, json, sys
hook = open(sys.argv[1]).read()
for _ in range(2):
    exec(hook)
shown = {"hooks": [type(finder).__name__ for finder in sys.meta_path].count("ToolsFinder")}
try:
    found = importlib.util.find_spec("tools.chute_wrappers")
    shown["origin"] = found and found.origin
    import tools
    shown["tools"] = getattr(tools, "__file__", None)
    shown["own"] = getattr(tools, "X", None)
    import tools.own
    shown["own"] = tools.own.X
except ImportError as error:
    shown["missing"] = error.name
shown["loaded"] = sorted(name for name in sys.modules if name.split(".")[0] in ("chutes", "chutes_wrappers"))
print(json.dumps(shown))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The folder of an environment's packages: with ours, and the finder."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "chutes_wrappers").symlink_to(ROOT / "chutes_wrappers")
    (site / "_chutes_wrappers_tools.py").symlink_to(ROOT / "distribution" / "_chutes_wrappers_tools.py")
    return site


def shown(site: Path, files: dict[str, str]) -> Any:
    """What a Python of that environment finds in a folder with ``files``."""
    folder = site.parent / "folder"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    done = subprocess.run(
        [sys.executable, "-c", SHOW, str(HOOK)],
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{site}"},
        cwd=site.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("files", "own"),
    [
        ({}, None),
        ({"tools/__init__.py": "X = 1", "tools/own.py": "X = 2"}, 2),
        ({"tools/own.py": "X = 2"}, 2),
        ({"tools.py": "X = 1"}, 1),
    ],
    ids=["nothing", "a package", "a folder", "a module"],
)
def test_the_facade_is_found_beside_what_the_user_has(site: Path, files: dict[str, str], own: int | None) -> None:
    result = shown(site, files)
    assert Path(result["origin"]).resolve() == ROOT / FACADE
    assert result["own"] == own
    assert result["hooks"] == 1
    # To find is not to load: the SDK is loaded when a helper is.
    assert result["loaded"] == ["chutes_wrappers"]


def test_a_file_of_the_users_own_comes_first(site: Path) -> None:
    result = shown(site, {"tools/__init__.py": "", "tools/chute_wrappers.py": ""})
    assert result["origin"] == str(site.parent / "folder" / "tools" / "chute_wrappers.py")


def test_without_the_package_nothing_is_found(site: Path) -> None:
    (site / "chutes_wrappers").unlink()
    assert shown(site, {}) == {"hooks": 1, "missing": "tools", "loaded": []}


def test_without_the_finder_python_starts_in_silence(site: Path) -> None:
    (site / "_chutes_wrappers_tools.py").unlink()
    assert shown(site, {})["hooks"] == 0


def test_the_hook_is_one_line_that_site_runs() -> None:
    (line,) = HOOK.read_text().splitlines()
    assert line.startswith("import ")
