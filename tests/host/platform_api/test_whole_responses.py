"""A response that never ends, although each of its bytes arrives in time: the timeout limits the whole response."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.platform_api import api_client, http_adapters
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformUnreachable
from tests.upstreams.scripted import json_reply, serve_script

TIMEOUT_S = 0.3
HEAD = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: 1000000\r\n\r\n"
# What is sent first, and what is sent again and again after that.
DRIPS = {
    "head": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (HEAD % (b"200 OK", b"application/json"), b" "),
    "error": (HEAD % (b"502 Bad", b"text/html"), b"x"),
}
STREAM_DRIPS = {
    **DRIPS,
    "page": (HEAD % (b"200 OK", b"text/html"), b"x"),
}
REQUESTS: dict[str, Callable[[PlatformApi], object]] = {
    "get": lambda api: api.get("/x", "asking", purpose="x"),
    "text": lambda api: api.get_text("/x", "asking", purpose="x"),
    "post": lambda api: api.post("/x", "asking", {}),
    "delete": lambda api: api.delete("/x", "asking", purpose="x"),
    "date": lambda api: api.fetch_date("/x", "asking"),
}


def start_stream(api: PlatformApi) -> object:
    return api.get_or_start_stream("/x", "asking", purpose="x", params={})


STREAM_REQUESTS: dict[str, Callable[[PlatformApi], object]] = {
    "lines": lambda api: list(api.stream_lines("/x", "asking", purpose="x")),
    "warmup": start_stream,
}


@contextlib.contextmanager
def serve_drips(first: bytes, drip: bytes) -> Iterator[str]:
    """Yield the URL of a server that sends ``first``, and then ``drip`` again and again until its client leaves."""
    has_ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(first)
            while not has_ended.wait(0.02):
                connection.sendall(drip)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            has_ended.set()


CASES = [
    *((request, drip) for request in REQUESTS for drip in DRIPS if request == "get" or drip == "body"),
    *((request, drip) for request in STREAM_REQUESTS for drip in STREAM_DRIPS if drip != "continue"),
]


@pytest.mark.parametrize(("request_name", "drip"), CASES)
def test_a_response_without_an_end_is_an_error_after_the_timeout(request_name: str, drip: str) -> None:
    send = {**REQUESTS, **STREAM_REQUESTS}[request_name]
    with (
        serve_drips(*STREAM_DRIPS[drip]) as url,
        PlatformApi(url, KeyCredentials(key="cpk_x"), timeout_s=TIMEOUT_S) as api,
        pytest.raises(PlatformUnreachable) as caught,
    ):
        send(api)
    assert "no complete response within 0.3 s" in str(caught.value)
    assert "CHUTES_API_TIMEOUT" in str(caught.value)


def test_a_first_event_without_an_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "_FIRST_EVENT_S", TIMEOUT_S)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: "
    with serve_drips(head, b"x") as url, PlatformApi(url, KeyCredentials(key="cpk_x")) as api:
        assert start_stream(api) == {}


def test_a_client_can_send_requests_after_one_that_had_no_end() -> None:
    with (
        serve_drips(*DRIPS["body"]) as url,
        serve_script({"/x": json_reply({"a": 1})}) as server,
        PlatformApi(url, KeyCredentials(key="cpk_x")) as api,
    ):
        api.limit_time(TIMEOUT_S)
        with pytest.raises(PlatformUnreachable):
            api.get("/x", "asking", purpose="x")
        api.url = server.root
        api.limit_time(60)
        assert api.get("/x", "asking", purpose="x") == {"a": 1}


def test_a_response_that_is_too_large_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_adapters, "MAX_RESPONSE_BYTES", 1000)
    with (
        serve_script({"/small": json_reply("x" * 900), "/large": json_reply({"a": "x" * 1000})}) as server,
        PlatformApi(server.root, KeyCredentials(key="cpk_x")) as api,
    ):
        with pytest.raises(WrapperError, match="not from the platform"):
            api.get("/small", "asking", purpose="x")
        with pytest.raises(PlatformUnreachable, match="larger than"):
            api.get("/large", "asking", purpose="x")
