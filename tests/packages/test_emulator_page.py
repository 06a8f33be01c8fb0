"""The emulator's page in Chromium: a call with an upload, a sound that comes back, what it shows of instances, calls and log."""

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
from chutes_wrappers.emulator.page.page_routes import page_router
from chutes_wrappers.emulator.records import CallRecord, ChuteRecord, InstanceRecord, InstanceState
from chutes_wrappers.host.parity.sample_files import sound
from tests.emulator.records import call_record, chute_record, cord_record
from tests.packages.chromium import exceptions
from tests.scenario import free_port

pytestmark = pytest.mark.packages

HEAR = {"type": "object", "properties": {"file": FILE, "times": {"type": "integer"}}, "required": ["file"]}
SECRET = "secret-of-the-page"
CHUTE = chute_record(
    cord_record(public_api_path="/hear", path="/hear", function="hear", input_schema=HEAR),
    cord_record(public_api_path="/speak", path="/speak", function="speak", output_content_type="audio/wav"),
)


@dataclass
class Source:
    """One chute with an instance; the calls that were made, and what the chute heard of them."""

    records: list[CallRecord] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def chutes(self) -> list[ChuteRecord]:
        return [CHUTE]

    def instances(self, chute_id: str) -> list[InstanceRecord]:
        active = InstanceState.ACTIVE
        return [InstanceRecord(instance_id="0123456789", chute_id=chute_id, version="v1", state=active, started_at=1.0)]

    def calls(self) -> list[CallRecord]:
        return self.records

    async def log(self) -> AsyncIterator[str]:
        yield "the instance is active"
        await asyncio.Event().wait()

    async def invoke(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        """Stands for the way to the instance, which has tests of its own."""
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self.bodies.append(json.loads(await _whole_body(receive) or b"{}"))
        kind, body = (b"audio/wav", sound()) if scope["path"] == "/speak" else (b"application/json", b'{"text":"SOS"}')
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})
        call = call_record(method=scope["method"], path=scope["path"])
        self.records.append(call)


async def _whole_body(receive: Callable[[], Awaitable[Any]]) -> bytes:
    """A large upload comes in more parts than one, as the server happens to read them."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


@dataclass(frozen=True)
class Shown:
    source: Source
    url: str


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    source, app, port = Source(), FastAPI(), free_port()
    app.include_router(page_router(source, source.invoke, "cpk_page", SECRET))
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Shown(source, f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def page(shown: Shown, tab: Chrome) -> Iterator[Chrome]:
    tab.get(f"{shown.url}/#{SECRET}")
    yield tab
    assert exceptions(tab) == []


def found(page: Chrome, path: str) -> WebElement:
    def look(_: Chrome) -> WebElement | None:
        return next(filter(WebElement.is_displayed, page.find_elements(By.XPATH, path)), None)

    # The page draws itself anew while it is looked at: an element that is gone by then is looked for again.
    gone = (StaleElementReferenceException,)
    element = WebDriverWait(page, 20, 0.05, ignored_exceptions=gone).until(look)
    assert element is not None
    return element


def opened(page: Chrome, path: str) -> str:
    """Opens an operation; the XPath of its block."""
    block = f"//div[contains(@class,'opblock-post')][.//*[@data-path='{path}']]"
    found(page, f"{block}//button[contains(@class,'opblock-summary-control')]").click()
    return block


def test_an_upload_reaches_the_chute_as_the_json_that_the_platform_takes(
    shown: Shown, page: Chrome, tmp_path: Path
) -> None:
    (tmp_path / "sos.wav").write_bytes(sound())
    block = opened(page, "/hear")
    found(page, f"{block}//input[@type='file']").send_keys(str(tmp_path / "sos.wav"))
    found(page, f"{block}//tr[@data-property-name='times']//input").send_keys(Keys.CONTROL, "a", Keys.NULL, "3")
    found(page, f"{block}//button[contains(@class,'execute')]").click()
    assert "SOS" in found(page, f"{block}//*[contains(@class,'live-responses-table')]//pre").text
    heard = shown.source.bodies[-1]
    assert base64.b64decode(heard["file"]["data"]) == sound()
    assert (heard["file"]["filename"], heard["file"]["content_type"], heard["times"]) == ("sos.wav", "audio/wav", 3)
    assert shown.source.headers[-1]["authorization"] == "Bearer cpk_page"
    assert shown.source.headers[-1]["host"].startswith(f"{CHUTE.slug}.localhost:")


def test_a_sound_that_comes_back_can_be_played(shown: Shown, page: Chrome) -> None:
    block = opened(page, "/speak")
    found(page, f"{block}//button[contains(@class,'execute')]").click()
    audio = found(page, f"{block}//*[contains(@class,'live-responses-table')]//audio")
    WebDriverWait(page, 20, 0.05).until(lambda _: audio.get_property("duration"))
    assert audio.get_property("duration") == pytest.approx(1.0, abs=0.01)


def test_instances_calls_and_the_log_are_shown(shown: Shown, page: Chrome) -> None:
    found(page, "//table[@id='instances']//td[.='01234567']")
    found(page, "//table[@id='instances']//td[.='active']")
    found(page, "//pre[@id='log'][contains(.,'the instance is active')]")
    shown.source.records.append(call_record(path="/bad", status=500, failure="it broke"))
    assert "it broke" in found(page, "//table[@id='calls']//tr[@class='bad'][contains(.,'/bad')]").text


@pytest.mark.parametrize("secret", [{}, {SECRET_HEADER: ""}, {SECRET_HEADER: "x" * len(SECRET)}])
def test_without_the_secret_nothing_is_called_or_shown(shown: Shown, secret: dict[str, str]) -> None:
    before = len(shown.source.bodies)
    headers = {"Origin": shown.url, "Sec-Fetch-Site": "same-origin", **secret}
    call = requests.post(f"{shown.url}/emulator/call/{CHUTE.slug}/hear", json={}, headers=headers, timeout=10)
    paths = ("status.json", "log", f"chutes/{CHUTE.slug}/openapi.json")
    reads = [requests.get(f"{shown.url}/emulator/{path}", headers=headers, timeout=10) for path in paths]
    assert [each.status_code for each in (call, *reads)] == [403] * 4
    assert len(shown.source.bodies) == before


def test_an_incomplete_address_is_explained(shown: Shown, tab: Chrome) -> None:
    tab.get(shown.url)
    assert "whole address" in found(tab, "//p[@id='locked']").text
    assert not tab.find_element(By.ID, "empty").is_displayed()
    assert tab.title == "Chutes on this machine"
