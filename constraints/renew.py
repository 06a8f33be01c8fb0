"""Write what this Python's environment holds, as constraints of its SDK: ``python constraints/renew.py``.

Run it with ``.venv/bin/python`` and with ``.venv-next/bin/python`` after their tests have passed.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions, version
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# What makes an environment, and differs with what made it.
_ENVIRONMENT_PACKAGES = {"chutes-wrappers", "pip", "setuptools", "uv", "wheel"}


def list_installed_versions() -> list[str]:
    """``name==version`` of every package here, sorted. Only names and versions: where they came from is of this machine."""
    versions = {re.sub(r"[-_.]+", "-", each.name).lower(): each.version for each in distributions()}
    return [f"{name}=={versions[name]}" for name in sorted(versions.keys() - _ENVIRONMENT_PACKAGES)]


def main() -> int:
    """Write the file of the SDK that is installed here."""
    sdk, python = version("chutes"), f"{sys.version_info[0]}.{sys.version_info[1]}"
    head = f"# What the tests passed with under chutes {sdk} on Python {python}; constraints/renew.py writes this file."
    (FOLDER / f"chutes-{sdk}.txt").write_text("\n".join([head, *list_installed_versions()]) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
