"""A page in a real headless Chromium, and its requests."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from tests.packages.environments import skip_or_fail

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # it does not run as root with a sandbox; it loads only our own pages
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--window-size=1200,1600",
    "--disable-background-networking",
)
# Pages refer to fonts and scripts of other hosts, and must work without them.
_THIS_MACHINE_ONLY = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost"


@dataclass
class Request:
    """A request of a page. When the response is missing or incomplete, ``status`` is 0 and ``problem`` is the reason."""

    method: str
    url: str
    status: int = 0
    problem: str = ""


@contextlib.contextmanager
def chromium(profile: Path, resolver_rules: str = _THIS_MACHINE_ONLY) -> Iterator[Chrome]:
    """Run a browser until the context ends. Without Chromium the test skips, and fails in CI."""
    driver, browser = shutil.which("chromedriver"), next(filter(None, map(shutil.which, _NAMES)), None)
    if driver is None or browser is None:
        skip_or_fail("no Chromium: install the packages chromium and chromium-driver")
    options = ChromeOptions()
    options.binary_location = browser
    for argument in (*_ARGUMENTS, f"--host-resolver-rules={resolver_rules}", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    page = Chrome(options=options, service=ChromeService(driver))
    try:
        yield page
    finally:
        page.quit()


@contextlib.contextmanager
def new_tab(browser: Chrome) -> Iterator[Chrome]:
    """Open a tab until the context ends, after the data of other tabs is cleared."""
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    for forget in ("Network.clearBrowserCache", "Network.clearBrowserCookies"):
        browser.execute_cdp_cmd(forget, {})
    for kind in ("browser", "performance"):
        _log(browser, kind)
    try:
        yield browser
    finally:
        browser.close()
        browser.switch_to.window(first)


def exceptions(page: Chrome) -> list[str]:
    """Return the uncaught exceptions of the page's scripts since the last call."""
    return [str(entry["message"]) for entry in _log(page, "browser") if entry["source"] == "javascript"]


def requests_of(page: Chrome) -> tuple[list[Request], list[str]]:
    """Return the page's requests, and the URLs of its WebSockets, since the last call."""
    requests: dict[str, Request] = {}
    sockets: list[str] = []
    for entry in _log(page, "performance"):
        message = json.loads(entry["message"])["message"]
        method, params = message["method"], message["params"]
        if method == "Network.webSocketCreated":
            sockets.append(params["url"])
        elif method == "Network.requestWillBeSent":
            requests[params["requestId"]] = Request(params["request"]["method"], params["request"]["url"])
        elif request := requests.get(params.get("requestId", "")):
            if method == "Network.responseReceived":
                request.status = params["response"]["status"]
            # Pages close their own event streams.
            elif method == "Network.loadingFailed" and not params.get("canceled"):
                request.problem = params["errorText"]
    return list(requests.values()), sockets


def _log(page: Chrome, kind: str) -> list[dict[str, Any]]:
    return list(page.get_log(kind))  # type: ignore[no-untyped-call]  # Selenium leaves it without types
