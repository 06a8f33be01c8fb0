"""Cookies of a chute and of other programs on this machine, in a real Chromium, through forwarder and tunnel."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from chutes_wrappers.host.forwarding.tunnel_transport import TunnelTransport
from tests.dev_chute import dev_chute
from tests.host.forwarding.forwarders import forwarder_thread

pytestmark = pytest.mark.packages

TUNNEL = "from tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, [{port}])\n"
TIMEOUT_S = 60
NAMES = ("127.0.0.1", "localhost")
PAGE = b"""<!doctype html><title>page</title><a id=link>link</a>
<form id=form method=post><input name=text value=hello><button>Send</button></form><iframe name=frame></iframe>"""
# One request of each kind that a page can make; the last line is true when all of them have ended.
REQUESTS = """
const [url, done] = arguments;
const load = (tag, name) => new Promise(resolve => {
  const element = document.createElement(tag);
  element.onload = element.onerror = resolve;
  element[name] = url + "/" + tag;
  document.body.append(element);
});
const event = (kind, source) => new Promise(resolve => { source.onopen = source.onerror = () => { source.close(); resolve() } });
const worker = new Worker(URL.createObjectURL(new Blob([
  `fetch("${url}/worker", {credentials: "include"}).catch(() => 0).then(() => postMessage(1))`])));
Promise.all([
  fetch(url + "/fetch", {credentials: "include"}).catch(() => 0),
  fetch(url + "/post", {credentials: "include", method: "POST", mode: "no-cors", body: "x"}).catch(() => 0),
  fetch(url + "/put", {credentials: "include", method: "PUT", body: "x"}).catch(() => 0),
  load("img", "src"), load("script", "src"), load("iframe", "src"), load("embed", "src"), load("object", "data"),
  event("source", new EventSource(url + "/events", {withCredentials: true})),
  event("socket", new WebSocket(url.replace("http", "ws") + "/socket")),
  new Promise(resolve => { worker.onmessage = resolve }),
  navigator.sendBeacon(url + "/beacon", "x"),
]).then(() => done(true));
"""


class Server(ThreadingHTTPServer):
    request_queue_size = 100  # a page sends many requests at once; a connection that is not accepted is a 503


@dataclass
class Seen:
    """A request that a server got."""

    method: str
    path: str
    headers: dict[str, str]
    body: str = ""


@dataclass
class Program:
    """A program with a web page, which sets a cookie at each response."""

    port: int
    cookie: str
    seen: list[Seen] = field(default_factory=list)

    def find(self, path: str) -> list[Seen]:
        """Return the requests for ``path``."""
        return [request for request in self.seen if request.path == path]

    def read_cookies(self) -> str:
        """Return all cookies that it got."""
        return "; ".join(request.headers.get("Cookie", "") for request in self.seen)


@dataclass
class Setup:
    """A service, its two forwarders under different names, and another program of this machine."""

    service: Program
    other: Program
    first: int
    second: int


def run_program(cookie: str) -> tuple[ThreadingHTTPServer, Program]:
    program = Program(port=0, cookie=cookie)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            program.seen.append(Seen(self.command, self.path, dict(self.headers.items()), body))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            for name in ("", "Domain=localhost; ", "Domain=127.0.0.1; "):
                self.send_header("Set-Cookie", f"{program.cookie}={len(name)}; {name}Path=/")
            self.send_header("Access-Control-Allow-Credentials", "true")
            self.send_header("Access-Control-Allow-Origin", self.headers.get("Origin", "*"))
            self.send_header("Access-Control-Allow-Methods", "PUT")
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        do_GET = do_POST = do_PUT = do_OPTIONS = respond

        def log_message(self, format: str, *arguments: Any) -> None:
            """Do nothing."""

    server = Server(("127.0.0.1", 0), Handler)
    program.port = server.server_port
    return server, program


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    (service_server, service), (other_server, other) = run_program("of_service"), run_program("of_other")
    threads = [threading.Thread(target=server.serve_forever) for server in (service_server, other_server)]
    for thread in threads:
        thread.start()
    try:
        more = TUNNEL.format(port=service.port)
        with (
            dev_chute(tmp_path_factory.mktemp("chute"), [], service.port, more=more) as chute,
            forwarder_thread(chute.base_url, service.port, TunnelTransport, "first.localhost") as first,
            forwarder_thread(chute.base_url, service.port, TunnelTransport, "second.localhost") as second,
        ):
            yield Setup(service, other, first, second)
    finally:
        for server in (service_server, other_server):
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join(TIMEOUT_S)


@pytest.fixture
def page(tab: Chrome, setup: Setup) -> Chrome:
    tab.set_script_timeout(TIMEOUT_S)
    setup.service.seen.clear()
    setup.other.seen.clear()
    return tab


def wait_for_url(page: Chrome, url: str) -> None:
    WebDriverWait(page, TIMEOUT_S, 0.05).until(lambda each: each.current_url == url)


def wait_for_requests(page: Chrome, program: Program, *paths: str) -> None:
    """Wait until ``program`` has a request for each of ``paths``: a page does not wait for all of them."""
    WebDriverWait(page, TIMEOUT_S, 0.05).until(lambda _: set(paths) <= {request.path for request in program.seen})


def read_jar(page: Chrome) -> set[tuple[str, str]]:
    """Return name and domain of every cookie of the browser."""
    cookies = page.execute_cdp_cmd("Network.getAllCookies", {})["cookies"]
    return {(cookie["name"], cookie["domain"]) for cookie in cookies}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page_name", NAMES)
def test_no_request_of_another_programs_page_has_its_cookies(
    setup: Setup, page: Chrome, name: str, page_name: str
) -> None:
    for each in NAMES:
        page.get(f"http://{each}:{setup.other.port}/")
    page.get(f"http://{page_name}:{setup.other.port}/")
    assert "of_other" in page.execute_script("return document.cookie")
    assert page.execute_async_script(REQUESTS, f"http://{name}:{setup.first}")
    wait_for_requests(page, setup.service, "/fetch", "/post", "/put", "/worker", "/beacon", "/iframe")
    assert "of_other" not in setup.service.read_cookies()
    assert "of_service" not in setup.other.read_cookies()
    assert {domain for cookie, domain in read_jar(page) if cookie == "of_service"} <= {"first.localhost"}


@pytest.mark.parametrize("name", NAMES)
def test_a_form_of_another_programs_page_is_sent_once_without_its_cookies(
    setup: Setup, page: Chrome, name: str
) -> None:
    page.get(f"http://{name}:{setup.other.port}/")
    script = "const f = document.getElementById('form'); f.action = arguments[0]; f.submit()"
    page.execute_script(script, f"http://{name}:{setup.first}/form?a=b%20c")
    wait_for_url(page, f"http://first.localhost:{setup.first}/form?a=b%20c")
    (request,) = setup.service.find("/form?a=b%20c")
    assert (request.method, request.body, request.headers.get("Cookie")) == ("POST", "text=hello", None)
    assert request.headers["Origin"] == f"http://{name}:{setup.other.port}"


def test_a_typed_address_leads_to_the_name_with_the_services_own_cookies(setup: Setup, page: Chrome) -> None:
    for name in NAMES:
        page.get(f"http://{name}:{setup.other.port}/")
        page.get(f"http://{name}:{setup.first}/a%2Fb?c=d")
        assert page.current_url == f"http://first.localhost:{setup.first}/a%2Fb?c=d"
    button = page.find_element(By.TAG_NAME, "button")
    button.click()
    WebDriverWait(page, TIMEOUT_S, 0.05).until(staleness_of(button))  # a script would end with the page that is left
    assert page.execute_async_script(REQUESTS, f"http://first.localhost:{setup.first}")
    wait_for_requests(page, setup.service, "/fetch", "/post", "/put", "/worker", "/beacon", "/iframe", "/img")
    later = [request for request in setup.service.seen if request.path not in ("/a%2Fb?c=d", "/favicon.ico")]
    assert all("of_service" in request.headers.get("Cookie", "") for request in later)
    assert {request.headers["Host"] for request in later} == {f"127.0.0.1:{setup.service.port}"}
    assert {request.headers.get("Origin") for request in later} == {None, f"http://127.0.0.1:{setup.service.port}"}
    assert "of_other" not in setup.service.read_cookies()
    for domain in ("localhost", "127.0.0.1", "second.localhost"):
        page.execute_script("document.cookie = `of_script=1; Domain=${arguments[0]}; Path=/`", domain)
    page.get(f"http://second.localhost:{setup.second}/second")
    (request,) = setup.service.find("/second")
    assert "Cookie" not in request.headers
    page.get(f"http://127.0.0.1:{setup.other.port}/")
    assert "of_script" not in setup.other.read_cookies() + setup.service.read_cookies()
    assert "of_service" not in setup.other.read_cookies()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "first.localhost", "second.localhost"])
def test_a_page_of_another_chute_sends_nothing_to_the_chute(setup: Setup, page: Chrome, name: str) -> None:
    page.get(f"http://second.localhost:{setup.second}/")
    setup.service.seen.clear()
    assert page.execute_async_script(REQUESTS, f"http://{name}:{setup.first}")
    assert page.execute_async_script("fetch('/last').then(() => arguments[0](true))")
    wait_for_requests(page, setup.service, "/last")
    assert {request.path for request in setup.service.seen} <= {"/last", "/favicon.ico"}


def test_a_page_in_a_frame_cannot_read_other_programs_cookies(setup: Setup, page: Chrome) -> None:
    page.get(f"http://127.0.0.1:{setup.other.port}/")
    page.execute_script("document.querySelector('iframe').src = arguments[0]", f"http://127.0.0.1:{setup.first}/framed")
    page.switch_to.frame(page.find_element(By.TAG_NAME, "iframe"))
    WebDriverWait(page, TIMEOUT_S, 0.05).until(lambda each: each.execute_script("return location.host") != "")
    assert page.execute_script("return location.host") == f"first.localhost:{setup.first}"
    assert "of_other" not in page.execute_script("return document.cookie")
    page.switch_to.default_content()
