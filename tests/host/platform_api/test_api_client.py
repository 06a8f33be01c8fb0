"""Requests to the API, their pages and streams, and the key of a request."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from tests.scenario import find_free_port
from tests.upstreams.scripted import Reply, ScriptedServer, html_reply, json_reply, serve_script

KEY = "cpk_secret"
PATH = "/chutes/my-chute"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account, no key."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CHUTES_API_KEY", "CHUTES_API_URL", "CHUTES_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)


@contextlib.contextmanager
def platform(monkeypatch: pytest.MonkeyPatch, reply: Reply) -> Iterator[ScriptedServer]:
    with serve_script({PATH: reply}) as server:
        monkeypatch.setenv("CHUTES_API_URL", server.root + "/")
        yield server


def test_a_list_without_an_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "_MOST_PAGES", 3)
    reply = json_reply({"items": [1], "total": 10**18})
    with (
        serve_script({}, otherwise=reply) as server,
        PlatformApi(server.root, KeyCredentials(key=KEY)) as api,
        pytest.raises(WrapperError, match="more than 3 pages"),
    ):
        list(api.list_items("/chutes/", "listing the chutes", purpose="chutes"))
    assert len(server.received) == 3


def test_a_list_without_a_total_ends_with_a_page_that_is_not_full() -> None:
    pages = {"/secrets/?limit=100&page=0": [*range(100)], "/secrets/?limit=100&page=1": [100]}
    with (
        serve_script({path: json_reply({"items": items, "total": None}) for path, items in pages.items()}) as server,
        PlatformApi(server.root, KeyCredentials(key=KEY)) as api,
    ):
        assert list(api.list_items("/secrets/", "listing the secrets", purpose="secrets")) == [*range(101)]


def request_chute() -> None:
    with api_client.connect(KeyCredentials(key=KEY)) as api:
        api.get(PATH, "requesting the chute 'my-chute'", purpose="chutes")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(status=401, body=b'{"detail": "no"}'), "API key"),
        (Reply(status=403, body=b"{}"), "API key"),
        (Reply(status=404, body=b'{"detail": "not found"}'), "--list-chutes"),
        (Reply(status=502, body=b"bad gateway"), "502"),
        (Reply(status=307, headers={"Location": "http://elsewhere.invalid/"}), "307"),
        (json_reply([]), "CHUTES_API_URL"),
        (Reply(body=b"[" * 100_000), "CHUTES_API_URL"),
        (html_reply("<html>"), "base_url"),
    ],
)
def test_the_error_names_the_reason_without_the_key(
    reply: Reply, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with platform(monkeypatch, reply), pytest.raises(WrapperError) as caught:
        request_chute()
    assert expected in str(caught.value)
    assert KEY not in str(caught.value)


def stream_until_closed(is_closed: threading.Event) -> Iterator[bytes]:
    yield b'data: {"status": "cold", "log": "waiting for instances ..."}\n\n'
    assert is_closed.wait(60)


def test_a_warm_up_does_not_wait_for_the_end_of_an_older_apis_stream() -> None:
    is_closed = threading.Event()
    stream = Reply(body=stream_until_closed(is_closed), content_type="text/event-stream")
    with (
        serve_script({"/stream": stream, "/json": json_reply({"status": "hot"})}) as server,
        PlatformApi(server.root, KeyCredentials(key=KEY)) as api,
    ):
        replies = [
            api.get_or_start_stream(path, "warming up", purpose="chutes", params={}) for path in ("/stream", "/json")
        ]
        is_closed.set()
    assert replies == [{"status": "cold", "log": "waiting for instances ..."}, {"status": "hot"}]


def test_an_unreachable_platform_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTES_API_URL", f"http://127.0.0.1:{find_free_port()}")
    with pytest.raises(WrapperError, match="no response from the platform"):
        request_chute()
