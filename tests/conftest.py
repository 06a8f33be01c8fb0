"""Fixtures for the tests of all layers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from loguru import logger

from tests import forked_processes
from tests.fork_server import get_fork_server
from tests.upstreams.http_fixture import HttpFixture, serve_http_fixture

# In CI the same examples in each run; with ./test.sh --all more, and random ones. No deadline, because machines differ.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("all", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session", autouse=True)
def _forked_processes() -> None:
    forked_processes.install(get_fork_server)


@pytest.fixture(scope="module")
def real_processes() -> Iterator[None]:
    """Start each Python as the product does, instead of forking a process that has loaded the libraries."""
    forked_processes.uninstall()
    yield
    forked_processes.install(get_fork_server)


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """Collect loguru's messages during the test, as ``LEVEL message`` lines."""
    lines: list[str] = []
    handler = logger.add(lambda message: lines.append(str(message).rstrip("\n")), format="{level} {message}")
    yield lines
    logger.remove(handler)


@pytest.fixture(scope="module")
def service() -> Iterator[HttpFixture]:
    """Run the HTTP fixture: a service with all features of HTTP."""
    with serve_http_fixture() as running:
        yield running
