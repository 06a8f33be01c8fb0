"""The SDK's versions that this release was tested with. Pure, standard library only: the set-up reads it.

``requirements.txt`` accepts exactly these, and ``constraints/`` has a file for each.
"""

from __future__ import annotations

import re

# Oldest first. A pre-release is installed only by its own name. 0.6.10 cannot sign with bittensor-wallet 4.1 (PLATFORM.md,
# section 5).
TESTED_SDKS = ("0.6.9", "0.6.11rc2")
# The last one that depends on netifaces, which has no wheels; later ones depend on netifaces-plus, which has some.
_LAST_COMPILED_SDK = (0, 6, 9)


def get_default_sdk() -> str:
    """Return the version that an installation selects by itself: the newest tested one that is not a pre-release."""
    return [version for version in TESTED_SDKS if re.fullmatch(r"[\d.]+", version)][-1]


def is_compiled(version: str) -> bool:
    """Return whether the installation of an SDK compiles something, so that it needs a C compiler and Python's headers."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3]) <= _LAST_COMPILED_SDK
