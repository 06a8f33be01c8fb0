from __future__ import annotations

import pytest

from chutes_wrappers.host.forwarding.browser_cookies import (
    find_redirect,
    has_shared_cookies,
    remove_cookie_changes,
    remove_cookies,
)
from chutes_wrappers.runtime.tunnel_frames import Header, TunnelCall
from tests.host.forwarding.test_local_names import NAMES

CHROMIUM = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
SAFARI_15 = {
    "User-Agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 Safari/605.1.15"
}
PROGRAMS: list[dict[str, str]] = [
    {},
    {"User-Agent": "curl/8.5.0"},
    {"User-Agent": "python-requests/2.32", "Upgrade-Insecure-Requests": "1"},
    {"User-Agent": "node", "Sec-Fetch-Mode": "cors"},
    {"User-Agent": "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1"},
    {"User-Agent": "Mozilla/5.0 (linux) AppleWebKit/537.36 (KHTML, like Gecko) jsdom/22.1.0"},
    {"User-Agent": "Mozilla/5.0 (compatible; Checker/2.0)"},
]
SHARED = ["127.0.0.1:18020", "localhost:18020", "[::1]:18020", "other.localhost:18020", "LOCALHOST:5", "a.b.localhost"]
SEPARATE = ["chat.localhost:18020", "CHAT.localhost:9", "chat.localhost", "box.example:1", "mine.localhost"]


def make_headers(host: str, more: dict[str, str]) -> tuple[Header, ...]:
    return (("Host", host), *more.items())


def make_call(host: str, more: dict[str, str], method: str = "GET", target: str = "/a%2Fb?c=%20&d") -> TunnelCall:
    return TunnelCall(port=8020, method=method, target=target, headers=make_headers(host, more))


@pytest.mark.parametrize("host", SHARED)
@pytest.mark.parametrize("more", [CHROMIUM, SAFARI_15, {"sec-fetch-site": "same-site"}, {"SEC-FETCH-SITE": "x"}])
def test_a_browser_has_other_programs_cookies_under_every_name_but_its_own(host: str, more: dict[str, str]) -> None:
    assert has_shared_cookies(NAMES, make_headers(host, more))


@pytest.mark.parametrize("host", SEPARATE)
@pytest.mark.parametrize("more", [CHROMIUM, SAFARI_15])
def test_cookies_of_the_chutes_name_and_of_foreign_names_are_the_chutes(host: str, more: dict[str, str]) -> None:
    assert not has_shared_cookies(NAMES, make_headers(host, more))
    assert find_redirect(NAMES, make_call(host, more)) is None


@pytest.mark.parametrize("host", [*SHARED, *SEPARATE])
@pytest.mark.parametrize("more", PROGRAMS)
def test_other_clients_are_not_changed(host: str, more: dict[str, str]) -> None:
    assert not has_shared_cookies(NAMES, make_headers(host, more))
    assert find_redirect(NAMES, make_call(host, more)) is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
@pytest.mark.parametrize("destination", ["document", "iframe", "frame", "embed", "object"])
def test_a_navigation_is_redirected_with_path_query_and_port(method: str, destination: str) -> None:
    more = {**CHROMIUM, "Sec-Fetch-Dest": destination}
    for host, authority in [("127.0.0.1:18020", "chat.localhost:18020"), ("localhost:9", "chat.localhost:9"), ("[::1]", "chat.localhost")]:  # fmt: skip
        assert find_redirect(NAMES, make_call(host, more, method)) == f"http://{authority}/a%2Fb?c=%20&d"


def test_a_redirect_never_leaves_the_name() -> None:
    call = make_call("localhost:18020", CHROMIUM, target="//evil.example/x")
    assert find_redirect(NAMES, call) == "http://chat.localhost:18020//evil.example/x"
    assert find_redirect(NAMES, make_call("localhost:18020", CHROMIUM, "OPTIONS", "*")) is None
    assert find_redirect(NAMES, make_call("localhost:18020", CHROMIUM, target="http://evil.example/")) is None


def test_a_redirect_keeps_the_scheme_of_a_proxy_in_front() -> None:
    call = make_call("localhost", {**CHROMIUM, "X-Forwarded-Proto": "https"})
    assert find_redirect(NAMES, call) == "https://chat.localhost/a%2Fb?c=%20&d"


@pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin", "websocket"])
def test_other_requests_of_a_browser_are_not_redirected(mode: str) -> None:
    assert find_redirect(NAMES, make_call("localhost:18020", {**CHROMIUM, "Sec-Fetch-Mode": mode})) is None
    assert find_redirect(NAMES, make_call("localhost:18020", SAFARI_15)) is None


def test_an_old_browser_shows_its_navigation_by_another_header() -> None:
    call = make_call("localhost:18020", {**SAFARI_15, "Upgrade-Insecure-Requests": "1"}, target="/")
    assert find_redirect(NAMES, call) == "http://chat.localhost:18020/"


def test_only_headers_of_cookies_are_removed() -> None:
    request = (("Host", "x"), ("cookie", "a"), ("Cookie", "b"), ("X-Cookie", "c"))
    assert remove_cookies(request) == (("Host", "x"), ("X-Cookie", "c"))
    response = (("Set-Cookie", "a"), ("X-A", "1"), ("set-cookie", "b"), ("Clear-Site-Data", '"cookies"'))
    assert remove_cookie_changes(response) == (("X-A", "1"),)
