from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.host.forwarding.address_mapping import map_call, map_head
from chutes_wrappers.runtime.tunnel_frames import Head, Header, TunnelCall
from tests.host.forwarding.test_local_names import NAMES

OWN = ["chat.localhost:18020", "CHAT.localhost:18020", "127.0.0.1:18020", "localhost:18020", "[::1]:18020"]
FOREIGN = ["box.example:18020", "mine.localhost:18020", "other.localhost:18020", "localhost:5173", "127.0.0.1:18021"]
SERVICE = "127.0.0.1:8020"


def map_request(host: str, *headers: Header) -> list[Header]:
    return list(
        map_call(NAMES, TunnelCall(port=8020, method="GET", target="/", headers=(("Host", host), *headers))).headers
    )


def map_response(host: str, *headers: Header, request: tuple[Header, ...] = ()) -> list[Header]:
    call = TunnelCall(port=8020, method="GET", target="/", headers=(("Host", host), *request))
    return list(map_head(NAMES, call, Head(status=200, headers=headers)).headers)


@pytest.mark.parametrize("host", [*OWN, "chat.localhost", "chat.localhost:9999"])
def test_the_service_sees_its_own_address_and_the_clients_in_forwarded_headers(host: str) -> None:
    assert map_request(host, ("X-A", f"http://{host}/")) == [
        ("Host", SERVICE),
        ("X-A", f"http://{host}/"),
        ("X-Forwarded-Host", host),
        ("X-Forwarded-Proto", "http"),
    ]


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_is_not_changed(host: str) -> None:
    headers = (("Origin", f"http://{host}"), ("Referer", f"http://{host}/a"))
    assert map_request(host, *headers) == [("Host", host), *headers]


@pytest.mark.parametrize("name", ["chat.localhost", "127.0.0.1", "localhost"])
def test_a_name_of_this_machine_is_not_changed_if_it_is_allowed(name: str) -> None:
    names = replace(NAMES, foreign=frozenset({name}))
    headers = (("Host", f"{name}:18020"), ("Origin", f"http://{name}:18020"), ("Referer", f"http://{name}:18020/"))
    call = TunnelCall(port=8020, method="GET", target="/", headers=headers)
    assert map_call(names, call) == call


def test_forwarded_headers_of_the_client_are_kept() -> None:
    forwarded = [("x-forwarded-host", "box.example"), ("x-forwarded-proto", "https")]
    assert map_request("localhost:18020", *forwarded) == [("Host", SERVICE), *forwarded]


@pytest.mark.parametrize("host", OWN)
@pytest.mark.parametrize("origin", [*OWN, "chat.localhost:18020"])
def test_our_addresses_become_the_services_in_origin_referrer_and_destination(host: str, origin: str) -> None:
    sent = (("origin", f"http://{origin}"), ("Referer", f"http://{origin}/a?b=http://{origin}/#c"), ("Destination", f"http://{origin}/d"))  # fmt: skip
    assert map_request(host, *sent)[1:4] == [
        ("origin", f"http://{SERVICE}"),
        ("Referer", f"http://{SERVICE}/a?b=http://{origin}/#c"),
        ("Destination", f"http://{SERVICE}/d"),
    ]


@pytest.mark.parametrize("name", ["chat.localhost", "localhost", "127.0.0.1", "[::1]"])
def test_a_page_of_the_chutes_other_port_is_that_ports(name: str) -> None:
    sent = map_request(
        "chat.localhost:18020", ("Origin", f"http://{name}:18080"), ("Referer", f"http://{name}:18080/x")
    )
    assert sent[1:3] == [("Origin", "http://127.0.0.1:8080"), ("Referer", "http://127.0.0.1:8080/x")]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["chat.localhost", "chat.localhost:9999"])
def test_the_chutes_name_is_own_behind_a_tunnel_or_proxy_with_another_port(host: str, scheme: str) -> None:
    assert map_request(host, ("Origin", f"{scheme}://{host}"))[1] == ("Origin", f"http://{SERVICE}")


@pytest.mark.parametrize(
    "origin",
    ["null", "http://localhost:5173", "https://app.example", "http://other.localhost:18020", "http://chat.localhost.evil:18020", "x", ""],
)  # fmt: skip
def test_foreign_origins_are_not_changed(origin: str) -> None:
    assert map_request("chat.localhost:18020", ("Origin", origin))[1] == ("Origin", origin)


@pytest.mark.parametrize("address", ["127.0.0.1:8020", "localhost:8080", "[::1]:8020"])
def test_another_programs_page_never_looks_like_the_services_own(address: str) -> None:
    sent = map_request("chat.localhost:18020", ("Origin", f"http://{address}"), ("Referer", f"http://{address}/"))
    assert sent[:2] == [("Host", SERVICE), ("Origin", "null")]
    assert "Referer" not in dict(sent)
    # Where the client names this server so, it is the same origin for both.
    assert map_request(address, ("Origin", f"http://{address}"))[1] == ("Origin", f"http://{address}")


@pytest.mark.parametrize("host", [*OWN, *FOREIGN, "chat.localhost"])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "LOCALHOST"])
def test_addresses_of_the_service_become_those_of_the_client(host: str, name: str) -> None:
    client = host.lower()
    own, other = f"http://{name}:8020", f"http://{name}:8080"
    assert map_response(
        host,
        ("Location", f"{own}/a?next={own}/b"),
        ("content-location", f"//{name}:8020/c"),
        ("Refresh", f"5; URL='{own}/d'"),
        ("Link", f"<{own}/e>; rel=next, <{other}/f>; rel=last, </g>"),
        ("Access-Control-Allow-Origin", own),
        ("X-Other", own),
    ) == [
        ("Location", f"http://{client}/a?next={own}/b"),
        ("content-location", f"//{client}/c"),
        ("Refresh", f"5; URL='http://{client}/d'"),
        ("Link", f"<http://{client}/e>; rel=next, <http://{client.rpartition(':')[0] if ':' in client else client}:18080/f>; rel=last, </g>"),
        ("Access-Control-Allow-Origin", f"http://{client}"),
        ("X-Other", own),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "location",
    ["/a", "", "a?b=http://127.0.0.1:8020/", "http://127.0.0.1:9/", "http://127.0.0.1:80201/", "http://127.0.0.1:8020@evil/",
     "http://chat.example:8020/", "mailto:x@127.0.0.1:8020", "https://app.example/?u=http://localhost:8020/"],
)  # fmt: skip
def test_other_urls_of_a_response_are_not_changed(location: str) -> None:
    assert map_response("chat.localhost:18020", ("Location", location)) == [("Location", location)]


def test_a_response_keeps_the_scheme_of_a_proxy_in_front() -> None:
    sent = map_response(
        "chat.localhost", ("Location", f"http://{SERVICE}/a"), request=(("X-Forwarded-Proto", "https"),)
    )
    assert sent == [("Location", "https://chat.localhost/a")]


@pytest.mark.parametrize(
    "origin",
    ["http://chat.localhost:18080", "http://localhost:18080", "http://127.0.0.1:8020", "http://localhost:5173"],
)
def test_a_service_that_allows_the_origin_allows_that_of_the_client(origin: str) -> None:
    request = (("Host", "chat.localhost:18020"), ("Origin", origin))
    allowed = dict(map_call(NAMES, TunnelCall(port=8020, method="GET", target="/", headers=request)).headers)["Origin"]
    response = map_response("chat.localhost:18020", ("Access-Control-Allow-Origin", allowed), request=request[1:])
    assert response == [("Access-Control-Allow-Origin", origin)]


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        ("a=1; Domain=127.0.0.1; Path=/", "a=1; Path=/"),
        ("a=1; path=/; DOMAIN = .localhost", "a=1; path=/"),
        ("a=1; Domain=app.example", "a=1; Domain=app.example"),
        ("domain=localhost; Path=/", "domain=localhost; Path=/"),
    ],
)
def test_a_cookie_of_the_services_address_belongs_to_the_clients(cookie: str, expected: str) -> None:
    assert map_response("chat.localhost:18020", ("Set-Cookie", cookie)) == [("Set-Cookie", expected)]


TEXT = st.one_of(
    st.text(max_size=40), st.from_regex(r"https?://(localhost|127\.0\.0\.1):(8020|18020)/?.{0,5}", fullmatch=True)
)
NAME = st.sampled_from(
    ["origin", "referer", "location", "link", "set-cookie", "x-forwarded-proto", "access-control-allow-origin"]
)
HEADERS = st.lists(st.tuples(NAME, TEXT), max_size=4).map(tuple)


@given(host=st.sampled_from([*OWN, *FOREIGN]), sent=HEADERS, received=HEADERS)
def test_any_headers_can_be_mapped_and_only_referrers_are_lost(
    host: str, sent: tuple[Header, ...], received: tuple[Header, ...]
) -> None:
    call = TunnelCall(port=8020, method="GET", target="/", headers=(("Host", host), *sent))
    names = [name for name, _ in map_call(NAMES, call).headers if not name.startswith("X-")]
    assert [name for name in names if name != "referer"] == ["Host", *(name for name, _ in sent if name != "referer")]
    assert [name for name, _ in map_head(NAMES, call, Head(status=200, headers=received)).headers] == [
        name for name, _ in received
    ]


@given(host=st.sampled_from([each for each in FOREIGN if "localhost:5" not in each]), sent=TEXT)
def test_no_origin_but_our_own_becomes_the_services(host: str, sent: str) -> None:
    (mapped,) = [value for name, value in map_request(host, ("Origin", sent)) if name == "Origin"]
    if mapped == f"http://{SERVICE}":
        assert ":18020" in sent
