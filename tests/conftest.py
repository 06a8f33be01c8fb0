"""Fixtures that every room's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loguru import logger


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """What loguru logs while the test runs, as ``LEVEL message`` lines."""
    lines: list[str] = []
    handler = logger.add(lambda message: lines.append(str(message).rstrip("\n")), format="{level} {message}")
    yield lines
    logger.remove(handler)
