"""Where an environment (``.venv``) was made. Standard library only: it is asked before any dependency is there.

The stamp ``.complete`` holds the environment's path. Activation and console scripts name that path too. In a moved checkout
they fail, and in a copy they use the original. ``deploy.sh`` compares it as well.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

STAMP = ".complete"
_ACTIVATED = r"VIRTUAL_ENV=[\"']?(/[^\"'\n]+)"


def read_creation_path(environment: Path) -> Path | None:
    """The path that ``environment`` was made at; None where nothing says so.

    The stamp says it; the shells' script does where there is no stamp, or an empty one of earlier versions.
    """
    for path, pattern in ((environment / STAMP, r"(/.+)"), (environment / "bin" / "activate", _ACTIVATED)):
        with contextlib.suppress(OSError):
            if match := re.search(pattern, os.fsdecode(path.read_bytes())):
                return Path(match[1])
    return None


def is_same_folder(one: Path, other: Path) -> bool:
    """Whether both paths lead to one folder; False where one of them does not exist."""
    try:
        return one.samefile(other)
    except OSError:
        return False
