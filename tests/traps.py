"""Modules that leave a mark when something imports them, named like those that every program imports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

# Of Python (imported while it starts, by runpy, by the first lines of a program), of packages, and our own.
FILES = (
    "__future__", "argparse", "calendar", "click", "contextlib", "dataclasses", "json", "runpy", "signal", "sitecustomize",
    "subprocess", "typing", "aiohttp", "dotenv", "fastapi", "loguru", "pydantic", "rich", "typer",
)  # fmt: skip
FOLDERS = ("encodings", "docker", "hypercorn", "pip", "requests", "venv")
OWN_FOLDERS = ("chutes", "chutes_wrappers", "tools")
# By what is there before encodings is, the first thing that Python imports.
TRAP_SOURCE = (
    "import posix\nposix.close(posix.open({folder!r} + b'/' + __name__.encode(), posix.O_CREAT | posix.O_WRONLY))\n"
)


def spread_traps(folder: Path, triggered_folder: Path, folders: Sequence[str] = FOLDERS) -> None:
    """Put them into ``folder``; each that is imported leaves a file of its name in ``sprung``."""
    source = TRAP_SOURCE.format(folder=os.fsencode(triggered_folder))
    for name in FILES:
        (folder / f"{name}.py").write_text(source)
    for name in folders:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(source)
