"""The emulator's page in Chromium: a call with an upload, a returned sound, the lists of instances and calls, the log."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from fastapi import FastAPI
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from chutes_wrappers.core.body_schemas import FILE
from chutes_wrappers.emulator.page.page_access import SECRET_HEADER
from chutes_wrappers.emulator.page.page_routes import build_page_router
from chutes_wrappers.emulator.records import CallRecord, ChuteRecord, InstanceRecord, InstanceState
from chutes_wrappers.host.parity.sample_files import make_sound
from tests.emulator.records import make_call_record, make_chute_record, make_cord_record
from tests.packages.chromium import exceptions
from tests.scenario import find_free_port

pytestmark = pytest.mark.packages

HEAR = {"type": "object", "properties": {"file": FILE, "times": {"type": "integer"}}, "required": ["file"]}
SECRET = "secret-of-the-page"
CHUTE = make_chute_record(
    make_cord_record(public_api_path="/hear", path="/hear", function="hear", input_schema=HEAR),
    make_cord_record(public_api_path="/speak", path="/speak", function="speak", output_content_type="audio/wav"),
)


@dataclass
class Source:
    """One chute with an instance, its calls, and the requests that the chute received."""

    records: list[CallRecord] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def list_chutes(self) -> list[ChuteRecord]:
        return [CHUTE]

    def list_instances(self, chute_id: str) -> list[InstanceRecord]:
        active = InstanceState.ACTIVE
        return [InstanceRecord(instance_id="0123456789", chute_id=chute_id, version="v1", state=active, started_at=1.0)]

    def list_calls(self) -> list[CallRecord]:
        return self.records

    async def follow_log(self) -> AsyncIterator[str]:
        yield "the instance is active"
        await asyncio.Event().wait()

    async def invoke(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        """Replaces the path to the instance, which has its own tests."""
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self.bodies.append(json.loads(await _read_body(receive) or b"{}"))
        kind, body = (
            (b"audio/wav", make_sound()) if scope["path"] == "/speak" else (b"application/json", b'{"text":"SOS"}')
        )
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})
        call = make_call_record(method=scope["method"], path=scope["path"])
        self.records.append(call)


async def _read_body(receive: Callable[[], Awaitable[Any]]) -> bytes:
    """Read the whole body: a large upload comes in several messages."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


@dataclass(frozen=True)
class PageFixture:
    source: Source
    url: str


@pytest.fixture(scope="module")
def page_fixture() -> Iterator[PageFixture]:
    source, app, port = Source(), FastAPI(), find_free_port()
    app.include_router(build_page_router(source, source.invoke, "cpk_page", SECRET))
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield PageFixture(source, f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def page(page_fixture: PageFixture, tab: Chrome) -> Iterator[Chrome]:
    tab.get(f"{page_fixture.url}/#{SECRET}")
    yield tab
    assert exceptions(tab) == []


def wait_for_element(page: Chrome, path: str) -> WebElement:
    def find(_: Chrome) -> WebElement | None:
        return next(filter(WebElement.is_displayed, page.find_elements(By.XPATH, path)), None)

    # The page may redraw itself meanwhile: an element that is gone is searched again.
    gone = (StaleElementReferenceException,)
    element = WebDriverWait(page, 20, 0.05, ignored_exceptions=gone).until(find)
    assert element is not None
    return element


def open_operation(page: Chrome, path: str) -> str:
    """Open an operation, and return the XPath of its block."""
    block = f"//div[contains(@class,'opblock-post')][.//*[@data-path='{path}']]"
    wait_for_element(page, f"{block}//button[contains(@class,'opblock-summary-control')]").click()
    return block


def test_an_upload_reaches_the_chute_as_the_json_that_the_platform_accepts(
    page_fixture: PageFixture, page: Chrome, tmp_path: Path
) -> None:
    (tmp_path / "sos.wav").write_bytes(make_sound())
    block = open_operation(page, "/hear")
    wait_for_element(page, f"{block}//input[@type='file']").send_keys(str(tmp_path / "sos.wav"))
    wait_for_element(page, f"{block}//tr[@data-property-name='times']//input").send_keys(
        Keys.CONTROL, "a", Keys.NULL, "3"
    )
    wait_for_element(page, f"{block}//button[contains(@class,'execute')]").click()
    assert "SOS" in wait_for_element(page, f"{block}//*[contains(@class,'live-responses-table')]//pre").text
    received = page_fixture.source.bodies[-1]
    assert base64.b64decode(received["file"]["data"]) == make_sound()
    assert (received["file"]["filename"], received["file"]["content_type"], received["times"]) == (
        "sos.wav",
        "audio/wav",
        3,
    )
    assert page_fixture.source.headers[-1]["authorization"] == "Bearer cpk_page"
    assert page_fixture.source.headers[-1]["host"].startswith(f"{CHUTE.slug}.localhost:")


def test_a_returned_sound_can_be_played(page_fixture: PageFixture, page: Chrome) -> None:
    block = open_operation(page, "/speak")
    wait_for_element(page, f"{block}//button[contains(@class,'execute')]").click()
    audio = wait_for_element(page, f"{block}//*[contains(@class,'live-responses-table')]//audio")
    WebDriverWait(page, 20, 0.05).until(lambda _: audio.get_property("duration"))
    assert audio.get_property("duration") == pytest.approx(1.0, abs=0.01)


def test_instances_calls_and_the_log_are_shown(page_fixture: PageFixture, page: Chrome) -> None:
    wait_for_element(page, "//table[@id='instances']//td[.='01234567']")
    wait_for_element(page, "//table[@id='instances']//td[.='active']")
    wait_for_element(page, "//pre[@id='log'][contains(.,'the instance is active')]")
    page_fixture.source.records.append(make_call_record(path="/bad", status=500, failure="it broke"))
    assert "it broke" in wait_for_element(page, "//table[@id='calls']//tr[@class='bad'][contains(.,'/bad')]").text


@pytest.mark.parametrize("secret", [{}, {SECRET_HEADER: ""}, {SECRET_HEADER: "x" * len(SECRET)}])
def test_without_the_secret_nothing_is_called_or_shown(page_fixture: PageFixture, secret: dict[str, str]) -> None:
    before = len(page_fixture.source.bodies)
    headers = {"Origin": page_fixture.url, "Sec-Fetch-Site": "same-origin", **secret}
    call = requests.post(f"{page_fixture.url}/emulator/call/{CHUTE.slug}/hear", json={}, headers=headers, timeout=10)
    paths = ("status.json", "log", f"chutes/{CHUTE.slug}/openapi.json")
    reads = [requests.get(f"{page_fixture.url}/emulator/{path}", headers=headers, timeout=10) for path in paths]
    assert [each.status_code for each in (call, *reads)] == [403] * 4
    assert len(page_fixture.source.bodies) == before


def test_an_incomplete_address_is_explained(page_fixture: PageFixture, tab: Chrome) -> None:
    tab.get(page_fixture.url)
    assert "whole address" in wait_for_element(tab, "//p[@id='locked']").text
    assert not tab.find_element(By.ID, "empty").is_displayed()
    assert tab.title == "Chutes on this machine"
