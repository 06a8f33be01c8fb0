"""The path where an environment (``.venv``) was created. Standard library only: it runs before any dependency is installed.

The stamp ``.complete`` contains the environment's path. Activation and console scripts contain it too. In a moved checkout
they fail, and in a copy they use the original. ``deploy.sh`` compares the path as well.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

STAMP = ".complete"
_ACTIVATED = r"VIRTUAL_ENV=[\"']?(/[^\"'\n]+)"


def read_creation_path(environment: Path) -> Path | None:
    """Return the path where ``environment`` was created; None if it is unknown.

    It is read from the stamp. Without a stamp, or with an empty one of an earlier version, it is read from the activation
    script.
    """
    for path, pattern in ((environment / STAMP, r"(/.+)"), (environment / "bin" / "activate", _ACTIVATED)):
        with contextlib.suppress(OSError):
            if match := re.search(pattern, os.fsdecode(path.read_bytes())):
                return Path(match[1])
    return None


def is_same_folder(one: Path, other: Path) -> bool:
    """Return whether both paths are the same folder; False if one of them does not exist."""
    try:
        return one.samefile(other)
    except OSError:
        return False
