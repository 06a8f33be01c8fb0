"""The version and the names of the commands: scripts in a checkout, commands of an installed package.

Every message that names a command uses the name from here.
"""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

VERSION = "0.2.0"
PACKAGE = Path(__file__).resolve().parents[1]
# A wheel contains the checkout's files from outside the package in a folder of the package (pyproject.toml).
_BUNDLED_FILES = PACKAGE / "project"
IS_INSTALLED = _BUNDLED_FILES.is_dir()
# The folder of deploy_example.py, examples/ and tools/. Read only: nothing is ever written below an installed package.
PROJECT_FILES = _BUNDLED_FILES if IS_INSTALLED else PACKAGE.parent


@dataclass(frozen=True, kw_only=True)
class CommandNames:
    """What a user types for each program, and how to repair the environment (``reinstall``, ``other_python``).

    ``sdk`` is the SDK's own command. Neither a checkout nor pipx has it on PATH.
    """

    deploy: str
    account: str
    discover: str
    emulator: str
    sdk: str
    reinstall: str
    other_python: str


CHECKOUT = CommandNames(
    deploy="./deploy.sh",
    account="./setup.sh --account",
    discover="tools/discover_routes.py",
    emulator="tools/emulator.py",
    sdk=".venv/bin/chutes",
    reinstall="run ./setup.sh, and use ./deploy.sh",
    other_python="./setup.sh --python python3.12",
)
INSTALLED = CommandNames(
    deploy="chutes-wrappers",
    account="chutes-wrappers-account",
    discover="chutes-wrappers-discover",
    emulator="chutes-wrappers-emulator",
    sdk=shlex.quote(str(Path(sys.executable).parent / "chutes")),
    reinstall="install chutes-wrappers again in a separate environment, for example with pipx reinstall chutes-wrappers",
    other_python="install chutes-wrappers with another Python, for example with pipx reinstall --python python3.12 chutes-wrappers",
)
NAMES = INSTALLED if IS_INSTALLED else CHECKOUT
_SCRIPTS = {
    r"\./deploy\.sh": "deploy",
    r"\./setup\.sh --account": "account",
    r"(?:\.venv/bin/python )?tools/discover_routes\.py": "discover",
    r"(?:\.venv/bin/python )?tools/emulator\.py": "emulator",
}


def find_source(path: str) -> Path:
    """Return the file or folder that a checkout has at ``path``, which starts with ``chutes_wrappers/`` or ``tools/``."""
    return PACKAGE.parent / path if path.startswith(f"{PACKAGE.name}/") else PROJECT_FILES / path


def find_executable() -> Path:
    """Return the file of the program that ``NAMES.deploy`` names, for example to complete its command lines."""
    if not IS_INSTALLED:
        return PACKAGE.parent / "deploy.sh"
    script = Path(sys.argv[0])
    is_our_script = script.name == INSTALLED.deploy and script.is_file()
    return script.absolute() if is_our_script else Path(sys.executable).parent / INSTALLED.deploy


def replace_command_names(text: str, names: CommandNames = NAMES) -> str:
    """Return a file of the project (a template, a page) with the checkout's commands replaced by ``names``."""
    if names == CHECKOUT:
        return text
    for pattern, name in _SCRIPTS.items():
        text = re.sub(pattern, getattr(names, name), text)
    return text
