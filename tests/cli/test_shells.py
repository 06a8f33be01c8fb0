"""``deploy.sh`` and ``setup.sh`` execute Python from every shell, also through links."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fork_server import TIMEOUT_S
from tests.scenario import ROOT

SHELLS = [[], ["sh"], ["dash"], ["bash"], ["bash", "--posix"], ["zsh"]]
ARGUMENTS = ["--call", "a b", "/x", "-d", "it's $HOME *"]
# Replaces Python: prints its arguments. setup.sh asks its candidates whether they are supported.
PYTHON = f"""#!{sys.executable}
import sys
if "-c" not in sys.argv:
    print(*sys.argv[1:], sep="\\n")
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a space in its name, with both scripts and an environment."""
    folder = tmp_path / "check out"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("deploy.sh", "setup.sh"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "requirements.txt").touch()
    os.utime(folder / "requirements.txt", (0, 0))
    (folder / ".venv" / ".complete").write_text(str(folder / ".venv"))
    python = folder / ".venv" / "bin" / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return folder


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: " ".join(shell) or "executed")
@pytest.mark.parametrize(
    ("name", "started"),
    [
        ("deploy.sh", ["{}/chutes_wrappers/start.py", "chutes_wrappers.cli.main:main"]),
        ("setup.sh", ["-I", "chutes_wrappers/start.py", "chutes_wrappers.cli.setup.bootstrap:run"]),
    ],
)
def test_every_shell_script_executes_python(
    name: str, started: list[str], shell: list[str], checkout: Path, tmp_path: Path
) -> None:
    if shell and shutil.which(shell[0]) is None and not os.environ.get("CI"):
        pytest.skip(f"{shell[0]} is not installed")
    link = tmp_path / "to it" / name
    link.parent.mkdir()
    link.symlink_to(Path("..") / "check out" / name)
    for script, folder in ((checkout / name, tmp_path), (link, tmp_path), (Path(f"./{name}"), link.parent)):
        done = subprocess.run(
            [*shell, str(script) if script.is_absolute() else f"./{name}", *ARGUMENTS],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "CHUTES_WRAPPERS_PYTHON": str(checkout / ".venv" / "bin" / "python")},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [*(part.format(checkout) for part in started), *ARGUMENTS]


@pytest.mark.parametrize("name", ["deploy.sh", "setup.sh"])
def test_the_scripts_stay_short(name: str) -> None:
    assert len((ROOT / name).read_text().splitlines()) < 40
