"""Check that this Python environment is where it was created: its scripts contain that path."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from chutes_wrappers.core.environment_location import is_same_folder, read_creation_path
from chutes_wrappers.core.program import IS_INSTALLED, NAMES, PROJECT_FILES
from chutes_wrappers.host.doctor.finding import Finding

_SETUP = PROJECT_FILES / "setup.sh"


def check_location() -> Iterator[Finding]:
    """Yield a failure when an environment of setup.sh was moved or copied here, and nothing otherwise."""
    prefix = Path(sys.prefix)
    original = read_creation_path(prefix)
    if original is not None and not is_same_folder(original, prefix):
        message = f"{prefix} was created at {original}: its scripts, including chutes, use that path"
        fix = NAMES.reinstall if IS_INSTALLED else f"run {shlex.quote(str(_SETUP))}, which creates it again"
        yield Finding(group="environment", name="place", severity="failure", found=message, fix=fix)
