"""Requests of foreign web pages to the servers on this machine, in a real Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import Settings, run_platform
from chutes_wrappers.host.forwarding.server import ForwardingServer
from chutes_wrappers.host.forwarding.transport import ForwardedResponse
from chutes_wrappers.runtime.tunnel_frames import Head, TunnelCall
from tests.dev_chute import dev_chute
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.packages.chromium import chromium
from tests.upstreams.http_fixture import HttpFixture

pytestmark = pytest.mark.packages

NAME = "case.localhost"
# DNS rebinding: the page was loaded from its own server, and then its name resolves to this machine.
REBOUND = "MAP *.example 127.0.0.1"
PAGE = b"<!doctype html><title>A page</title><a id='link'>link</a><form id='form' method='post'></form>"
# Whether the page could read the response: only with the same origin, or with CORS headers.
FETCH = """
const [url, method, done] = arguments;
const options = method === "GET" ? {mode: "no-cors"} : {mode: "no-cors", method, body: "{}"};
fetch(url, options).then(r => r.text().then(text => done([r.type, r.status, text])), e => done(["error", 0, String(e)]));
"""
IMAGE = """
const [url, done] = arguments;
const image = new Image();
image.onload = image.onerror = () => done(true);
image.src = url;
"""
SOCKET = """
const [url, done] = arguments;
const socket = new WebSocket(url);
socket.onopen = () => done("open");
socket.onerror = () => done("error");
"""


class Recording:
    """A transport to a paid chute that records the calls."""

    def __init__(self) -> None:
        self.calls: list[TunnelCall] = []

    @contextlib.asynccontextmanager
    async def send(self, call: TunnelCall) -> AsyncIterator[ForwardedResponse]:
        self.calls.append(call)
        headers = (("Content-Type", "text/html"), ("Access-Control-Allow-Origin", "*"), ("Content-Length", "4"))
        yield ForwardedResponse(head=Head(status=200, reason="OK", headers=headers), pieces=self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        yield b"paid"


@dataclass
class Forwarder:
    port: int
    transport: Recording


@pytest.fixture
def forwarder() -> Iterator[Forwarder]:
    transport, ports, loop = Recording(), [], asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()

    async def serve() -> None:
        async with ForwardingServer(0, 8020, transport, lambda problem: None, browser_name=NAME) as server:
            ports.append(server.port)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(10)
    yield Forwarder(ports[0], transport)
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    """A web site that serves its page under every name. Yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Do nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile"), REBOUND) as page:
        page.set_script_timeout(30)
        yield page


def open_page(browser: Chrome, url: str) -> None:
    """Wait until the browser has opened ``url``."""
    WebDriverWait(browser, 20, 0.05).until(lambda page: page.current_url == url)


def send_attacks(browser: Chrome, site: int, port: int, path: str) -> list[Any]:
    """Send all requests of a page of evil.example to ``port``, and return what it could read."""
    browser.get(f"http://evil.example:{site}/")
    read = []
    for name in ("127.0.0.1", "localhost", "evil.example"):
        url = f"http://{name}:{port}{path}"
        for method in ("GET", "POST"):
            read.append(browser.execute_async_script(FETCH, url, method))
        browser.execute_async_script(IMAGE, url)
        assert browser.execute_async_script(SOCKET, url.replace("http", "ws")) == "error"
        browser.execute_script("const f = document.getElementById('form'); f.action = arguments[0]; f.submit()", url)
        open_page(browser, url)
        browser.get(f"http://evil.example:{site}/")
    # The page on the server's own port, as with DNS rebinding.
    browser.get(f"http://evil.example:{port}{path}")
    read.append(["page", 0, browser.find_element(By.TAG_NAME, "body").text])
    same_origin = [browser.execute_async_script(FETCH, path, method) for method in ("GET", "POST")]
    assert [(kind, status) for kind, status, _ in same_origin] == [("basic", 403)] * 2
    read += same_origin
    return read


def test_the_paid_chute_behind_the_forwarder_is_not_called(browser: Chrome, site: int, forwarder: Forwarder) -> None:
    read = send_attacks(browser, site, forwarder.port, "/paid")
    # The browser requests an icon for the error page that it shows.
    assert {call.target for call in forwarder.transport.calls} <= {"/favicon.ico"}
    assert not [text for _, _, text in read if text == "paid"]


def test_a_front_end_of_this_machine_and_a_link_call_the_forwarder(
    browser: Chrome, site: int, forwarder: Forwarder
) -> None:
    browser.get(f"http://localhost:{site}/")
    script = FETCH.replace('mode: "no-cors", method', 'mode: "cors", method')
    response = browser.execute_async_script(script, f"http://localhost:{forwarder.port}/a", "POST")
    assert response == ["cors", 200, "paid"]
    browser.get(f"http://evil.example:{site}/")
    link = f"http://{NAME}:{forwarder.port}/b"
    browser.execute_script("const a = document.getElementById('link'); a.href = arguments[0]; a.click()", link)
    open_page(browser, link)
    assert [call.target for call in forwarder.transport.calls][:2] == ["/a", "/b"]


def test_a_dev_run_is_not_called(browser: Chrome, site: int, service: HttpFixture, tmp_path: Path) -> None:
    routes = [{"path": "/echo"}, {"path": "/echo", "method": "GET"}]
    with dev_chute(tmp_path, routes, service.port) as chute:
        read = send_attacks(browser, site, int(chute.base_url.rpartition(":")[2]), "/echo")
        assert not any("headers" in text for _, _, text in read)
        assert not any("Received invocation" in line for line in chute.lines)


def test_a_foreign_page_cannot_register_or_use_the_emulators_page(browser: Chrome, site: int, tmp_path: Path) -> None:
    settings = Settings(registration_token=TOKEN, folder=tmp_path, docker=False)
    with run_platform(settings, HostLauncher()) as platform:
        user = Client.register(platform.url, "tester")
        user.build_and_wait()
        assert user.deploy().ok
        for path in (
            "/ping",
            "/emulator/call/tester-case/greet",
            "/emulator/status.json",
            f"/users/register?token={TOKEN}",
        ):
            read = send_attacks(browser, site, platform.port, path)
            assert not any(word in text for _, _, text in read for word in ("pong", "tester", "hello")), path
        assert platform.list_calls() == []
