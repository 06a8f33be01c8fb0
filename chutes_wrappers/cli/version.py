"""The versions of the program, the SDK and Python."""

from __future__ import annotations

import platform
from importlib import metadata

from chutes_wrappers.core.program import VERSION


def collect_versions() -> list[tuple[str, str]]:
    """Return names and versions, without importing the packages."""
    try:
        sdk = metadata.version("chutes")
    except metadata.PackageNotFoundError:
        sdk = "not installed"
    return [("chutes-wrappers", VERSION), ("chutes (SDK)", sdk), ("Python", platform.python_version())]
