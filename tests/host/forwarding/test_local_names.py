from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.host.forwarding.local_names import (
    Authority,
    LocalNames,
    build_browser_name,
    parse_authority,
    parse_client_host,
)

NAMES = LocalNames(
    browser_name="chat.localhost",
    port=18020,
    service_ports={18020: 8020, 18080: 8080},
    foreign=frozenset({"box.example", "mine.localhost"}),
)


@pytest.mark.parametrize(
    ("chute_name", "name"),
    [("chat", "chat.localhost"), ("My-Chat", "my-chat.localhost"), ("7", "7.localhost"), ("a" * 63, f"{'a' * 63}.localhost")],
)  # fmt: skip
def test_a_chutes_name_that_is_a_label_is_its_name(chute_name: str, name: str) -> None:
    assert build_browser_name(chute_name) == name


def test_names_that_would_become_equal_stay_different() -> None:
    similar = ["my-chat", "my_chat", "my.chat", "my--chat", "-my-chat", "my-chat-", "my chat", "xn--my-chat", "my/chat"]
    assert len({*map(build_browser_name, similar)}) == len(similar)
    assert build_browser_name("my_chat") == build_browser_name("MY_CHAT")


@given(st.text(max_size=200))
def test_every_name_becomes_one_label_below_localhost(chute_name: str) -> None:
    label, _, parent = build_browser_name(chute_name).partition(".")
    assert parent == "localhost"
    assert len(label) <= 63
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", label)


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("LocalHost:8020", Authority(name="localhost", port=8020)),
        ("[::1]:1", Authority(name="[::1]", port=1)),
        ("localhost", Authority(name="localhost")),
        ("localhost:", Authority(name="localhost")),
        ("localhost:80", Authority(name="localhost")),
        ("user@localhost", None),
        ("localhost:8020:1", None),
        ("localhost/x", None),
        ("", None),
    ],
)
def test_an_authority_is_parsed(text: str, authority: Authority | None) -> None:
    assert parse_authority(text) == authority


@pytest.mark.parametrize(
    ("host", "is_own", "is_shared"),
    [
        ("chat.localhost:18020", True, False),
        ("chat.localhost", True, False),
        ("127.0.0.1:18020", True, True),
        ("localhost:18020", True, True),
        ("[::1]:18020", True, True),
        ("127.0.0.1:9999", False, True),
        ("localhost", False, True),
        ("other.localhost:18020", False, True),
        ("x.chat.localhost:18020", False, True),
        ("box.example:18020", False, False),
        ("mine.localhost:18020", False, False),
    ],
)
def test_only_the_chutes_name_and_allowed_hosts_have_cookies_of_their_own(
    host: str, is_own: bool, is_shared: bool
) -> None:
    authority = parse_client_host([("Host", host)])
    assert (NAMES.is_own_host(authority), NAMES.is_shared_host(authority)) == (is_own, is_shared)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_a_name_of_this_machine_stays_shared_although_it_is_allowed(name: str) -> None:
    names = LocalNames(browser_name="chat.localhost", port=1, service_ports={1: 2}, foreign=frozenset({name}))
    assert names.is_shared_host(Authority(name=name, port=1))
