"""Whether this Python's environment is where it was made: what activates it and its scripts name that place."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from chutes_wrappers.host.doctor_finding import Finding
from chutes_wrappers.host.modules import PROJECT_ROOT

_STAMP = ".complete"  # written by cli/virtual_environment.py


def place_findings() -> Iterator[Finding]:
    """A failure for an environment that was moved or copied here; nothing for one that was not, or that is not setup.sh's."""
    here = Path(sys.prefix)
    place = _made_at(here)
    if place is not None and not _is_same(place, here):
        found = f"{here} was made at {place}: its scripts, chutes too, belong to that place"
        fix = f"run {shlex.quote(str(PROJECT_ROOT / 'setup.sh'))}, which makes it anew"
        yield Finding(group="environment", name="place", severity="failure", found=found, fix=fix)


def _made_at(environment: Path) -> Path | None:
    with contextlib.suppress(OSError):
        if text := (environment / _STAMP).read_text(encoding="utf-8"):
            return Path(text)
    return None


def _is_same(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return one.samefile(other)
    return False
