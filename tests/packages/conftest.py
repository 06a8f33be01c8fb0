"""What the tests with third-party packages share: a browser, and what one process runs together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from tests.packages.chromium import chromium, new_tab


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file, whose fixtures are made once, or the tests of a group (``-n 2 --dist loadgroup``)."""
    for item in items:
        if item.get_closest_marker("packages") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser that sees nothing but this machine; tests use a ``tab`` of it."""
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def tab(browser: Chrome) -> Iterator[Chrome]:
    """The browser with a new tab, which knows nothing of earlier ones."""
    with new_tab(browser) as found:
        yield found
