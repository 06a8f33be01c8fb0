"""The example's page in Chromium, through forwarder and tunnel, with Gradio 4, 5 and 6."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from chutes_wrappers.host.forwarding.tunnel_transport import TunnelTransport
from tests.dev_chute import dev_chute
from tests.host.forwarding.forwarders import BROWSER_NAME, forwarder_thread
from tests.packages.chromium import Request, exceptions, requests_of
from tests.packages.environments import create_environment
from tests.packages.test_gradio_versions import GRADIO, MAJORS, run_app, wav
from tests.scenario import ROOT

pytestmark = pytest.mark.packages

TUNNEL = "from tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, [{port}])\n"
# A field that a script sets fires no event, so the value is polled.
RECORD = """
const field = arguments[0];
window.seen = [];
const look = () => {
  if (field.value !== window.seen.at(-1)) window.seen.push(field.value);
  if (field.value !== "lift-off") setTimeout(look, 10);
};
look();
"""
TIMEOUT_S = 30
T = TypeVar("T")


@dataclass(frozen=True)
class Example:
    """The example: its own URL and its forwarded URL."""

    direct: str
    url: str


@pytest.fixture(scope="module", params=MAJORS)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    def started(port: int) -> dict[str, Any]:
        return {"environment": {"GRADIO_SERVER_PORT": str(port)}}

    python, script = create_environment(*GRADIO[request.param]), ROOT / "examples" / "gradio" / "app.py"
    with run_app(python, script, tmp_path_factory.mktemp("app"), started) as app:
        port = int(app.url.rpartition(":")[2])
        with (
            dev_chute(tmp_path_factory.mktemp("chute"), [], port, more=TUNNEL.format(port=port)) as chute,
            forwarder_thread(chute.base_url, port, TunnelTransport) as local,
        ):
            yield Example(app.url, f"http://{BROWSER_NAME}:{local}")


@pytest.fixture
def page(tab: Chrome) -> Chrome:
    return tab


def test_input_is_answered_in_the_page(example: Example, page: Chrome) -> None:
    page.get(example.url)
    write(page, field_path("Text", "textarea"), "hellö")
    click(page, button_path("Shout"))
    assert wait_for_value(page, field_path("Said", "textarea"), ".") == "HELLÖ!"
    assert_no_failed_requests(page, example)


def test_the_apps_error_is_shown(example: Example, page: Chrome) -> None:
    page.get(example.url)
    write(page, field_path("Text", "textarea"), " ")
    click(page, button_path("Shout"))
    wait_for_element(page, "//*[contains(text(), 'there is nothing to shout')]")
    assert_no_failed_requests(page, example)


def test_a_generators_progress_is_shown(example: Example, page: Chrome) -> None:
    page.get(example.url)
    click(page, tab("Countdown"))
    write(page, field_path("Start", "input"), "3")
    page.execute_script(RECORD, wait_for_element(page, field_path("Count", "textarea")))
    click(page, button_path("Start"))
    assert wait_for_value(page, field_path("Count", "textarea"), "lift-off") == "lift-off"
    values = page.execute_script("return window.seen")
    # A slow machine may render only some of them.
    assert len(values) > 2
    assert values == [text for text in ("", "3 …", "2 …", "1 …", "lift-off") if text in values]
    assert_no_failed_requests(page, example)


def test_a_file_is_uploaded_and_its_result_downloaded(example: Example, page: Chrome, tmp_path: Path) -> None:
    sound = tmp_path / "ünlike.wav"
    sound.write_bytes(wav())
    page.get(example.url)
    click(page, tab("Reverse"))
    wait_for(page, lambda: page.find_elements(By.XPATH, "//input[@type='file']"))[0].send_keys(str(sound))
    wait_for_element(page, "//*[contains(text(), '0:00')]")
    click(page, button_path("Reverse"))
    assert float(wait_for_value(page, field_path("Seconds", "input"), r"0\.")) == 100 / 8000
    assert_no_failed_requests(page, example)


def field_path(label: str, tag: str) -> str:
    return f"//*[@data-testid='block-info'][normalize-space()='{label}']/following::{tag}[1]"


def button_path(text: str) -> str:
    return f"//button[not(@role='tab')][normalize-space()='{text}']"


def tab(text: str) -> str:
    return f"//button[@role='tab'][normalize-space()='{text}']"


def wait_for(page: Chrome, find: Callable[[], T | None]) -> T:
    """Wait until ``find`` returns a result, and return it. The page may redraw itself meanwhile."""
    waiting: WebDriverWait[Chrome] = WebDriverWait(page, TIMEOUT_S, 0.05, ignored_exceptions=[WebDriverException])
    result = waiting.until(lambda _: find())
    assert result is not None
    return result


def wait_for_element(page: Chrome, path: str) -> WebElement:
    """Wait for the first visible element of an XPath."""
    return wait_for(page, lambda: next(filter(WebElement.is_displayed, page.find_elements(By.XPATH, path)), None))


def click(page: Chrome, path: str) -> None:
    """Click on the first clickable element: pages have hidden copies of buttons."""

    def clicked() -> bool:
        for element in page.find_elements(By.XPATH, path):
            with contextlib.suppress(WebDriverException):
                element.click()
                return True
        return False

    wait_for(page, clicked)


def write(page: Chrome, path: str, text: str) -> None:
    """Replace the text of a field by ``text``."""
    wait_for_element(page, path).send_keys(Keys.CONTROL, "a", Keys.NULL, text)


def wait_for_value(page: Chrome, path: str, pattern: str) -> str:
    """Wait until the value of a field matches ``pattern``, and return it."""

    def find() -> str | None:
        result = str(wait_for_element(page, path).get_property("value"))
        return result if re.search(pattern, result) else None

    return wait_for(page, find)


def assert_no_failed_requests(page: Chrome, example: Example) -> None:
    """Assert that every request of the page to the forwarder was complete, with the same status as at the app."""
    page_requests, sockets = requests_of(page)
    own = [request for request in page_requests if request.url.startswith(example.url)]
    assert own
    assert [request for request in own if request.problem or not is_same_at_the_app(request, example)] == []
    assert sockets == []
    assert exceptions(page) == []


def is_same_at_the_app(request: Request, example: Example) -> bool:
    if request.status < 400:
        return True
    # Gradio 5 refers to a manifest that it does not have.
    url = request.url.replace(example.url, example.direct)
    return request.method == "GET" and requests.get(url, timeout=30).status_code == request.status
