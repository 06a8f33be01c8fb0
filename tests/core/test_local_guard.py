from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.local_guard import (
    AllowList,
    LocalGuard,
    allow_list_from_environment,
    environment_from_allow_list,
    parse_allow_list,
)

NEAR = LocalGuard(loopback_origins=True)
OWN = LocalGuard(loopback_origins=False)
ALLOWED = parse_allow_list(["Box.Example", "[fd00::1]"], ["https://App.example", "http://box.example:8080"])
BOTH = [NEAR, OWN]
LOCAL = ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:8000", "x.localhost:80", "a-b.c.localhost", "localhost:"]
FOREIGN = [
    *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evillocalhost", "localhost@evil.example"),
    *(
        "127.0.0.2",
        "0.0.0.0",
        "10.0.0.1:8000",
        "[::2]",
        "::1",
        "localhost.",
        ".localhost",
        "",
        "*",
        "localhost:x",
        "localhost:1:2",
    ),
    *("localhost evil.example", "localhost,evil.example", "xn--localhost-", "2130706433", "127.1"),
]


def headers(host: str = "localhost:8000", **more: str) -> list[tuple[str, str]]:
    return [("Host", host), *((name.replace("_", "-"), value) for name, value in more.items())]


@pytest.mark.parametrize("guard", BOTH)
@pytest.mark.parametrize("host", LOCAL)
def test_names_of_this_machine_are_accepted_with_any_port(guard: LocalGuard, host: str) -> None:
    assert guard.find_refusal("POST", headers(host)) is None


@pytest.mark.parametrize("guard", BOTH)
@pytest.mark.parametrize("host", FOREIGN)
def test_other_names_are_rejected(guard: LocalGuard, host: str) -> None:
    refusal = guard.find_refusal("GET", headers(host, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document"))
    assert refusal is not None
    assert "--allow-host" in refusal


def test_one_host_is_needed() -> None:
    assert NEAR.find_refusal("GET", []) is not None
    assert NEAR.find_refusal("GET", [("Host", "localhost"), ("host", "localhost")]) is not None


@given(st.text(max_size=30))
def test_only_this_machines_names_are_valid_hosts(text: str) -> None:
    name = text.strip().lower().rpartition(":")[0] or text.strip().lower()
    is_local = name in ("127.0.0.1", "[::1]", "localhost") or name.endswith(".localhost")
    assert is_local or NEAR.find_refusal("GET", headers(text)) is not None


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1", "https://[::1]:1"])
def test_loopback_pages_may_call_a_server_that_allows_them(origin: str) -> None:
    assert NEAR.find_refusal("POST", headers(Origin=origin)) is None
    assert OWN.find_refusal("POST", headers(Origin=origin)) is not None


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "own.localhost:1", "other.localhost:8000"])
def test_a_name_below_localhost_may_be_another_chutes_and_only_the_own_has_local_pages(host: str) -> None:
    own = LocalGuard(loopback_origins=True, is_own_host=lambda name: name == "own.localhost")
    allowed = LocalGuard(loopback_origins=True, allowed=AllowList(hosts=frozenset({"own.localhost"})))
    for guard in (own, allowed):
        for name, is_accepted in (("own.localhost", True), ("other.localhost", False), ("x.own.localhost", False)):
            refusal = guard.find_refusal("POST", headers(host, Origin=f"http://{name}:5173"))
            assert (refusal is None) == is_accepted, (name, refusal)
            frame = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}
            refusal = guard.find_refusal("GET", headers(host, Referer=f"http://{name}:5173/", **frame))
            assert (refusal is None) == is_accepted, (name, refusal)
        image = headers(host, Sec_Fetch_Site="same-site", Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image")
        assert (guard.find_refusal("GET", image) is None) == (not host.startswith("other."))


@pytest.mark.parametrize("guard", BOTH)
@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:9", "[::1]:1", "x.localhost"])
def test_a_servers_own_pages_may_call_it_under_their_host_name(guard: LocalGuard, host: str) -> None:
    assert guard.find_refusal("POST", headers(host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin")) is None


@pytest.mark.parametrize("guard", BOTH)
@pytest.mark.parametrize(
    "origin",
    [
        *("null", "", "*", "https://evil.example", "http://localhost.evil.example", "http://localhost@evil.example"),
        *("http://evil.example:8000", "file://", "chrome-extension://abc", "localhost:8000", "http://localhost:5173/x"),
        *("http://localhost http://evil.example", "http://*.localhost"),
    ],
)
def test_the_origin_decides(guard: LocalGuard, origin: str) -> None:
    refusal = guard.find_refusal("POST", headers(Origin=origin, Sec_Fetch_Site="same-origin"))
    assert refusal is not None
    assert ("--allow-origin" in refusal) == (origin != "null")


def test_two_origins_are_rejected() -> None:
    both = [("Origin", "http://localhost:8000"), ("Origin", "http://localhost:8000")]
    assert NEAR.find_refusal("POST", [("Host", "localhost:8000"), *both]) is not None


@pytest.mark.parametrize(
    ("site", "near", "own"),
    [
        ("same-origin", True, True),
        ("none", True, True),
        ("same-site", True, False),
        ("cross-site", False, False),
        ("something-new", False, False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_an_origin_the_site_decides(site: str, near: bool, own: bool, method: str) -> None:
    sent = headers(Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image")
    assert (NEAR.find_refusal(method, sent) is None, OWN.find_refusal(method, sent) is None) == (near, own)


@pytest.mark.parametrize("guard", BOTH)
@pytest.mark.parametrize(
    ("method", "mode", "destination", "accepted"),
    [
        ("GET", "navigate", "document", True),
        ("POST", "navigate", "document", False),
        ("GET", "navigate", "iframe", False),
        ("GET", "cors", "document", False),
        ("GET", "websocket", "websocket", False),
    ],
)
def test_a_link_of_another_site_may_be_followed(
    guard: LocalGuard, method: str, mode: str, destination: str, accepted: bool
) -> None:
    sent = headers(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode=mode, Sec_Fetch_Dest=destination)
    assert (guard.find_refusal(method, sent) is None) == accepted


@pytest.mark.parametrize("destination", ["iframe", "frame", "embed", "object"])
@pytest.mark.parametrize(
    ("referrer", "is_local"),
    [
        ("http://localhost:5173/", True),
        ("http://127.0.0.1/a?b", True),
        ("https://x.localhost", False),
        ("http://evil.example/", False),
        ("http://localhost.evil.example/", False),
        ("http://localhost@evil.example/", False),
        ("http://localhost*", False),
        ("about:client", False),
        ("", False),
    ],
)
def test_a_frame_of_a_page_of_this_machine_may_show_a_server_that_allows_them(
    destination: str, referrer: str, is_local: bool
) -> None:
    # Two names of this machine are two sites for a browser.
    sent = headers(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest=destination, Referer=referrer)
    assert (NEAR.find_refusal("GET", sent) is None) == is_local
    assert OWN.find_refusal("GET", sent) is not None
    assert NEAR.find_refusal("POST", sent) is not None
    assert NEAR.find_refusal("GET", [*sent, ("Sec-Purpose", "prefetch")]) is not None


def test_a_referrer_does_not_admit_what_a_page_of_this_machine_loads_from_another_site() -> None:
    # An image of another site in a local page, whose server redirects to this server.
    sent = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "image", "Referer": "http://localhost:5173/"}
    assert NEAR.find_refusal("GET", headers(Sec_Fetch_Mode="no-cors", **sent)) is not None


@pytest.mark.parametrize("guard", BOTH)
def test_nothing_is_fetched_in_advance_for_a_page_of_another_site(guard: LocalGuard) -> None:
    # For speculation rules of a foreign page Chromium hides the site as "none"; a browser may also say it.
    for site in ("none", "cross-site"):
        sent = headers(Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
        assert guard.find_refusal("GET", sent) is None
        for purpose in ("prefetch", "prefetch;prerender", "Prefetch"):
            assert guard.find_refusal("GET", [*sent, ("Sec-Purpose", purpose)]) is not None
    assert guard.find_refusal("GET", [*headers(Sec_Fetch_Site="same-origin"), ("Sec-Purpose", "prefetch")]) is None


@pytest.mark.parametrize("loopback", [True, False])
def test_only_allowed_hosts_and_origins_are_accepted(loopback: bool) -> None:
    guard = LocalGuard(loopback_origins=loopback, allowed=ALLOWED)
    for host in ("box.example", "BOX.example:8000", "[fd00::1]:1"):
        assert guard.find_refusal("POST", headers(host)) is None
    assert guard.find_refusal("POST", headers("x.box.example")) is not None
    assert guard.find_refusal("POST", headers("box.example:1", Origin="http://box.example:1")) is None
    for origin in ("https://app.example", "https://APP.example", "http://box.example:8080"):
        assert guard.find_refusal("POST", headers(Origin=origin)) is None
    for origin in ("http://app.example", "https://app.example:444", "https://x.app.example", "http://box.example"):
        assert guard.find_refusal("POST", headers(Origin=origin)) is not None


def test_a_servers_own_hosts_are_accepted() -> None:
    guard = LocalGuard(loopback_origins=False, is_own_host=lambda name: name == "me-chat.chutes.ai")
    assert guard.find_refusal("POST", headers("ME-chat.chutes.ai:1")) is None
    assert guard.find_refusal("POST", headers("other.chutes.ai")) is not None


@pytest.mark.parametrize("host", ["*", "*.example", "box:8000", "http://box", "box/", "", "a b"])
def test_hosts_that_cannot_be_allowed(host: str) -> None:
    with pytest.raises(ConfigurationError, match="--allow-host"):
        parse_allow_list([host], [])


@pytest.mark.parametrize(
    "origin", ["*", "null", "app.example", "https://app.example/", "https://*.example", "ftp://x", ""]
)
def test_origins_that_cannot_be_allowed(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="--allow-origin"):
        parse_allow_list([], [origin])


@pytest.mark.parametrize("allowed", [AllowList(), ALLOWED])
def test_an_allow_list_round_trips_through_the_environment(allowed: AllowList) -> None:
    assert allow_list_from_environment(environment_from_allow_list(allowed)) == allowed
