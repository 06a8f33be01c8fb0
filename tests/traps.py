"""Modules that create a file when they are imported, with the names of modules that every program imports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

# Modules of Python (imported during its start, by runpy, by the first lines of a program), of packages, and ours.
FILES = (
    "__future__", "argparse", "calendar", "click", "contextlib", "dataclasses", "json", "runpy", "signal", "sitecustomize",
    "subprocess", "typing", "aiohttp", "dotenv", "fastapi", "loguru", "pydantic", "rich", "typer",
)  # fmt: skip
FOLDERS = ("encodings", "docker", "hypercorn", "pip", "requests", "venv")
OWN_FOLDERS = ("chutes", "chutes_wrappers", "tools")
# Uses only modules that exist before encodings, the first import of Python.
TRAP_SOURCE = (
    "import posix\nposix.close(posix.open({folder!r} + b'/' + __name__.encode(), posix.O_CREAT | posix.O_WRONLY))\n"
)


def spread_traps(folder: Path, triggered_folder: Path, folders: Sequence[str] = FOLDERS) -> None:
    """Write the traps to ``folder``; an imported trap creates a file with its name in ``triggered_folder``."""
    source = TRAP_SOURCE.format(folder=os.fsencode(triggered_folder))
    for name in FILES:
        (folder / f"{name}.py").write_text(source)
    for name in folders:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(source)
