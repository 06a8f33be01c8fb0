"""Silent streams of a real server: what ends them, and what does not."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.http_adapters import split_lines

ROOT = Path(__file__).resolve().parents[3]
# Head, line, and line after the pause. http.client keeps the socket of the second kind as a file only.
KINDS = pytest.mark.parametrize(
    ("framing", "first", "second"),
    [
        (b"Transfer-Encoding: chunked", b"2\r\na\n\r\n", b"2\r\nb\n\r\n0\r\n\r\n"),
        (b"Connection: close", b"a\n", b"b\n"),
    ],
    ids=["chunked", "until-the-connection-closes"],
)


class Pausing:
    """A server that sends a head and a line, and another line when ``go_on`` is called."""

    def __init__(self, framing: bytes, first: bytes, second: bytes, *, start: bytes = b"200 OK") -> None:
        self._greeting = b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (start, framing, first)
        self._second = second
        self._may_go_on = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Pausing:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.go_on()
        self._thread.join()
        self._listener.close()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def is_silent(self) -> bool:
        return not self._may_go_on.is_set()

    def go_on(self) -> None:
        self._may_go_on.set()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, contextlib.suppress(OSError):  # the client has had enough
            connection.recv(65536)
            connection.sendall(self._greeting)
            self._may_go_on.wait()
            connection.sendall(self._second)


def api(server: Pausing, timeout_s: float) -> PlatformApi:
    return PlatformApi(server.root, KeyCredentials(key="cpk_x"), timeout_s=timeout_s)


@KINDS
def test_a_stream_ends_after_a_read_timeout_below_the_request_timeout(
    framing: bytes, first: bytes, second: bytes
) -> None:
    with Pausing(framing, first, second) as server, api(server, timeout_s=60) as platform:
        start = time.monotonic()
        assert list(platform.stream_lines("/x", "reading", purpose="x", silence_s=0.2)) == ["a"]
        assert time.monotonic() - start < 30
        assert server.is_silent


@KINDS
def test_a_stream_without_a_limit_outlasts_the_timeout(framing: bytes, first: bytes, second: bytes) -> None:
    with Pausing(framing, first, second) as server, api(server, timeout_s=0.2) as platform:
        lines = platform.stream_lines("/x", "reading", purpose="x")
        assert next(lines) == "a"
        timer = threading.Timer(0.6, server.go_on)
        timer.start()
        assert list(lines) == ["b"]
        timer.join()


@pytest.mark.parametrize("framing", [b"Content-Length: 0\r\nConnection: close", b"Content-Length: 0"])
def test_a_stream_that_has_ended_with_its_head_has_no_lines(framing: bytes) -> None:
    with Pausing(framing, b"", b"") as server, api(server, timeout_s=60) as platform:
        assert list(platform.stream_lines("/x", "reading", purpose="x", silence_s=60)) == []


@KINDS
@pytest.mark.parametrize("start", [b"500 No", b"200 OK\r\nContent-Type: text/html"])
def test_other_responses_are_read_within_the_timeout(framing: bytes, first: bytes, second: bytes, start: bytes) -> None:
    with (
        Pausing(framing, first, second, start=start) as server,
        api(server, timeout_s=0.2) as platform,
        pytest.raises(WrapperError),
    ):
        list(platform.stream_lines("/x", "reading", purpose="x"))


@KINDS
def test_ctrl_c_ends_a_stream_that_is_silent(framing: bytes, first: bytes, second: bytes) -> None:
    with Pausing(framing, first, second) as server:
        script = f"""
from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.platform_api.api_client import PlatformApi
with PlatformApi({server.root!r}, KeyCredentials(key="cpk_x")) as platform:
    for line in platform.stream_lines("/x", "reading", purpose="x"):
        print(line, flush=True)
"""
        with subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "a\n"
            reader.send_signal(signal.SIGINT)
            assert reader.wait(60) == -signal.SIGINT
        assert server.is_silent


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"a", b"\n", b"b"], [b"a", b"b"]),
        ([b"one\r\ntw", b"o\rthree\n"], [b"one", b"two", b"three"]),
        ([b"\n", b"", b"\n"], [b"", b""]),
        ([], []),
    ],
)
def test_lines_are_put_together_from_pieces(pieces: list[bytes], lines: list[bytes]) -> None:
    assert list(split_lines(pieces)) == lines


def test_a_line_is_yielded_as_soon_as_it_is_complete() -> None:
    pieces = iter([b"a\n", b"b"])
    assert next(split_lines(pieces)) == b"a"
    assert next(pieces) == b"b"


def test_a_long_line_takes_seconds() -> None:
    """A copy for each of its bytes would be 80 GB: minutes."""
    line = b"x" * 400_000
    with Pausing(b"Connection: close", line, b"\n") as server, api(server, timeout_s=60) as platform:
        server.go_on()
        start = time.monotonic()
        assert list(platform.stream_lines("/x", "reading", purpose="x")) == [line.decode()]
        assert time.monotonic() - start < 60


def test_a_line_without_an_end_comes_in_parts() -> None:
    pieces = (b"x" * 65_536 for _ in range(10_000))  # 655 MB, if it were one line
    assert 1024**2 < len(next(split_lines(pieces))) < 2 * 1024**2
