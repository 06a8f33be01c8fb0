"""What the launcher adds to each Python of a service changes nothing except how subprocess starts children."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chutes_wrappers.runtime.launcher import SERVICE_PYTHON_FOLDER

SOURCE = SERVICE_PYTHON_FOLDER / "sitecustomize.py"
REPORT = """
import json, sys
before = sorted(sys.modules)
import subprocess
print(json.dumps({
    "path": sys.path, "modules": before, "uses_vfork": subprocess._USE_VFORK, "own": getattr(sys, "own", None),
    "code": subprocess.run(["/bin/true"]).returncode,
}))
"""


def run_python(*arguments: str, folders: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": ":".join(map(str, (*folders,))), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, *arguments, "-c", REPORT]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_service_notices_nothing_but_the_switch() -> None:
    plain, changed = (json.loads(run_python(folders=folders).stdout) for folders in ((), (SERVICE_PYTHON_FOLDER,)))
    assert (plain.pop("uses_vfork"), changed.pop("uses_vfork")) == (True, False)
    assert changed == plain  # no other path, no module more: not even ``sitecustomize``


@pytest.mark.parametrize(
    ("source", "error"),
    [("import sys; sys.own = 7", ""), ("import not_installed", "not_installed"), ("1 / 0", "division")],
)
def test_the_images_own_sitecustomize_behaves_as_without_ours(tmp_path: Path, source: str, error: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(source)
    plain, changed = (run_python(folders=folders) for folders in ((tmp_path,), (SERVICE_PYTHON_FOLDER, tmp_path)))
    assert error in changed.stderr
    assert changed.stderr.splitlines()[-1:] == plain.stderr.splitlines()[-1:]
    assert json.loads(changed.stdout) == {**json.loads(plain.stdout), "uses_vfork": False}


def test_its_syntax_is_that_of_the_oldest_pythons() -> None:
    ast.parse(SOURCE.read_text(), feature_version=(3, 6))
    names = {type(node).__name__ for node in ast.walk(ast.parse(SOURCE.read_text()))}
    assert not names & {"AnnAssign", "JoinedStr", "NamedExpr", "AsyncFunctionDef", "Nonlocal", "Starred"}  # Python 2.7


def test_its_folder_has_nothing_else_to_import() -> None:
    assert [path.name for path in SERVICE_PYTHON_FOLDER.iterdir() if path.name != "__pycache__"] == [SOURCE.name]
