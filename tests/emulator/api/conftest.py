"""A running API and its users."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from tests.emulator.tokens import TOKEN

from .client import Client


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[RunningPlatform]:
    """A platform that builds nothing and runs nothing."""
    with run_platform(Settings(registration_token=TOKEN, folder=tmp_path / "state", docker=False)) as running:
        yield running


@pytest.fixture
def user(platform: RunningPlatform) -> Client:
    """The first user."""
    return Client.register(platform.url, "tester")
