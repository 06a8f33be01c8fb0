"""Write the versions of this Python's environment as constraints of its SDK: ``python constraints/renew.py``.

Run it with ``.venv/bin/python`` and with ``.venv-next/bin/python`` after their tests have passed.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions, version
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# Packages of the environment itself, which depend on the tool that created it.
_ENVIRONMENT_PACKAGES = {"chutes-wrappers", "pip", "setuptools", "uv", "wheel"}


def list_installed_versions() -> list[str]:
    """Return ``name==version`` of every installed package, sorted, without their sources on this machine."""
    versions = {re.sub(r"[-_.]+", "-", each.name).lower(): each.version for each in distributions()}
    return [f"{name}=={versions[name]}" for name in sorted(versions.keys() - _ENVIRONMENT_PACKAGES)]


def main() -> int:
    """Write the constraints file of the installed SDK."""
    sdk, python = version("chutes"), f"{sys.version_info[0]}.{sys.version_info[1]}"
    head = f"# What the tests passed with under chutes {sdk} on Python {python}; constraints/renew.py writes this file."
    (FOLDER / f"chutes-{sdk}.txt").write_text("\n".join([head, *list_installed_versions()]) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
