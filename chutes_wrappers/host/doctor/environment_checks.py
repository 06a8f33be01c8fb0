"""Whether this Python's environment is where it was made: what activates it and its scripts name that place."""

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
    """A failure for an environment that was moved or copied here; nothing for one that was not, or that is not setup.sh's."""
    prefix = Path(sys.prefix)
    original = read_creation_path(prefix)
    if original is not None and not is_same_folder(original, prefix):
        message = f"{prefix} was made at {original}: its scripts, chutes too, belong to that place"
        fix = NAMES.reinstall if IS_INSTALLED else f"run {shlex.quote(str(_SETUP))}, which makes it anew"
        yield Finding(group="environment", name="place", severity="failure", found=message, fix=fix)
