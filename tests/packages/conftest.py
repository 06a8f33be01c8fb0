"""Shared fixtures of the tests with third-party packages: a browser, and the tests that one process runs together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from tests import scheduling
from tests.packages.chromium import chromium, new_tab


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> scheduling.GroupScheduling:
    return scheduling.GroupScheduling(config, log)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser that can reach only this machine. Tests use a ``tab`` of it."""
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def tab(browser: Chrome) -> Iterator[Chrome]:
    """The browser with a new tab, without data of earlier ones."""
    with new_tab(browser) as found:
        yield found
