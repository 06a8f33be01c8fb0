"""The module that called a helper: helpers read settings from its globals, so that they need few arguments."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

_OWN_MODULES = ("chutes_wrappers", "tools.chute_wrappers")


def find_caller_globals() -> Mapping[str, Any]:
    """Return the globals of the nearest calling frame outside this toolkit. Call it before the first ``await``."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith(_OWN_MODULES):
        frame = frame.f_back
    return frame.f_globals
