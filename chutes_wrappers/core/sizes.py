"""Sizes in GiB, as users write and read them. Pure."""

from __future__ import annotations

import math

_GIB = 1024**3


def parse_gib(text: str) -> int:
    """Return the bytes of a number of GiB, such as "10" or "0.5". Raises ValueError unless it is at least one byte."""
    size = float(text) * _GIB
    if not math.isfinite(size) or size < 1:
        raise ValueError(text)
    return int(size)


def format_gib(size: int) -> str:
    """Return a size as text, rounded to three digits: ``10.3 GiB``."""
    return f"{size / _GIB:.3g} GiB"
