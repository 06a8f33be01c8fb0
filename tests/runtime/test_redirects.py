from __future__ import annotations

import pytest

from chutes_wrappers.runtime.redirects import find_redirect_target, is_own_host

URL = "http://127.0.0.1:8020/a/b?c"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/x?y#z", "/x?y"),
        ("x", "/a/x"),
        ("?q", "/a/b?q"),
        ("", "/a/b?c"),
        ("//localhost:8020//x", "//x"),
        ("http://localhost/x", "/x"),
        ("http://0.0.0.0/x", "/x"),
        ("HTTP://App.LocalHost./x", "/x"),
        ("//127.1.2.3/x", "/x"),
        ("http://[::ffff:127.0.0.1]:8020/x", "/x"),
        ("http://[::1]/x", "/x"),
        ("http://user@localhost:32768/x", "/x"),
    ],
)
def test_a_redirect_within_the_service(location: str, target: str) -> None:
    assert find_redirect_target(URL, location, (8020, 32768)) == target


@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:80/x", "http://localhost:8021/x", "https://localhost:8020/x", "https://localhost/x", "//example.com/x",
        "http://localhost.example.com/x", "ftp://localhost/x", "mailto:x", "//[bad", "http://localhost:99999/x",
    ],
)  # fmt: skip
def test_a_redirect_elsewhere(location: str) -> None:
    assert find_redirect_target(URL, location, (8020, 32768)) is None


def test_a_service_on_another_machine_is_known_by_its_name() -> None:
    assert find_redirect_target("http://gpu:8020/a", "http://gpu/x", (8020,)) == "/x"
    assert find_redirect_target("http://gpu:8020/a", "http://localhost:8020/x", (8020,)) is None


@pytest.mark.parametrize("host", ["", "192.0.2.1", "localhost.example", "[::1]"])
def test_other_names_are_not_this_machines(host: str) -> None:
    assert not is_own_host(host)
