"""Requests to a service itself, and through forwarder, tunnel and ``chutes run --dev`` have equal responses."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from chutes_wrappers.host.forwarding.tunnel_transport import TunnelTransport
from tests.dev_chute import DevChute, dev_chute
from tests.host.forwarding.forwarders import forwarder_thread
from tests.upstreams.http_fixture import EVERY_BYTE, HttpFixture
from tests.upstreams.httpbin_service import serve_httpbin

TUNNEL = "from tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, {ports})\n"
# Headers of a single connection, and the time of day.
_CONNECTION_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "date"})
HOST = ("Host", "localhost:8020")


@dataclass(frozen=True)
class Servers:
    """The port of a service, and the forwarder's port for it."""

    direct: int
    forwarded: int


@pytest.fixture(scope="module")
def httpbin_port() -> Iterator[int]:
    with serve_httpbin() as port:
        yield port


@pytest.fixture(scope="module")
def chute(service: HttpFixture, httpbin_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevChute]:
    more = TUNNEL.format(ports=[service.port, httpbin_port])
    with dev_chute(tmp_path_factory.mktemp("chute"), [], service.port, more=more) as running:
        yield running


@pytest.fixture(scope="module")
def httpbin_servers(chute: DevChute, httpbin_port: int) -> Iterator[Servers]:
    with forwarder_thread(chute.base_url, httpbin_port, TunnelTransport) as port:
        yield Servers(httpbin_port, port)


@pytest.fixture(scope="module")
def servers(chute: DevChute, service: HttpFixture) -> Iterator[Servers]:
    with forwarder_thread(chute.base_url, service.port, TunnelTransport) as port:
        yield Servers(service.port, port)


def exchange(
    port: int,
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | list[bytes] | None = None,
) -> tuple[int, str, list[tuple[str, str]], bytes]:
    """Send one request with exactly this head, and return the whole response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    framing: list[tuple[str, str]] = []
    if isinstance(body, list):
        framing = [("Transfer-Encoding", "chunked")]
    elif body is not None:
        framing = [("Content-Length", str(len(body)))]
    for name, value in [HOST, *headers, *framing, ("Connection", "close")]:
        connection.putheader(name, value)
    connection.endheaders(body, encode_chunked=isinstance(body, list))
    response = connection.getresponse()
    data = response.read()
    connection.close()
    if data.startswith(b"\x1f\x8b"):
        data = data[:4] + data[8:]  # gzip's time of compression: two answers may be of two seconds
    headers_to_compare = [
        (name, value) for name, value in response.getheaders() if name.lower() not in _CONNECTION_HEADERS
    ]
    return response.status, response.reason, headers_to_compare, data


def assert_equal(servers: Servers, method: str, target: str, *rest: Any) -> None:
    assert exchange(servers.forwarded, method, target, *rest) == exchange(servers.direct, method, target, *rest)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("body", [None, b"", b"{}", EVERY_BYTE, [b"one", b"", b"two" * 1000]], ids=repr)
def test_every_method_with_every_kind_of_body(
    httpbin_servers: Servers, method: str, body: bytes | list[bytes] | None
) -> None:
    if method == "HEAD" and body is None:
        assert_equal(httpbin_servers, method, "/get")
    assert_equal(httpbin_servers, method, "/anything/a%2Fb/C?x=1&x=2&y=%20", [("X-Mine", "1"), ("X-Mine", "2")], body)


@pytest.mark.parametrize(
    "status", [200, 201, 202, 204, 206, 300, 304, 307, 400, 401, 404, 409, 418, 422, 426, 429, 500, 503]
)
def test_every_status(httpbin_servers: Servers, status: int) -> None:
    for method in ("GET", "POST"):
        assert_equal(httpbin_servers, method, f"/status/{status}")


@pytest.mark.parametrize(
    "target",
    [
        "/", "/html", "/xml", "/robots.txt", "/deny", "/encoding/utf8", "/image/png", "/image/svg", "/headers", "/ip", "/gzip",
        "/deflate", "/brotli", "/stream/20", "/stream-bytes/50000?seed=1&chunk_size=999", "/bytes/10000?seed=1", "/bytes/0",
        "/drip?duration=0.2&numbytes=5", "/drip?duration=0.1&numbytes=3&code=500", "/range/5000?chunk_size=100",
        "/redirect/3", "/relative-redirect/2", "/absolute-redirect/2", "/redirect-to?url=http%3A%2F%2Fexample.invalid%2F",
        "/cookies/set?a=1&b=2", "/cookies/delete?a", "/response-headers?A=1&A=2&Content-Type=x%2Fy", "/cache/60",
        "/basic-auth/u/p", "/bearer", "/links/3/1", "/etag/abc", "/nowhere", "//html", "/html?", "/anything?q=%zz&&=",
    ],
)  # fmt: skip
def test_every_response_of_httpbin(httpbin_servers: Servers, target: str) -> None:
    assert_equal(httpbin_servers, "GET", target, [("Accept-Encoding", "identity")])


@pytest.mark.parametrize(
    ("target", "header"),
    [
        ("/range/1000", ("Range", "bytes=10-19")),
        ("/range/1000", ("Range", "bytes=5000-")),
        ("/etag/abc", ("If-None-Match", "abc")),
        ("/cache", ("If-Modified-Since", "Mon, 23 Nov 2026 00:00:00 GMT")),
        ("/cookies", ("Cookie", "a=1; b=\xe9")),
        ("/basic-auth/u/p", ("Authorization", "Basic dTpw")),
        ("/bearer", ("Authorization", "Bearer of-the-service")),
        ("/anything", ("Expect", "100-continue")),
    ],
)
def test_headers_that_change_the_response(httpbin_servers: Servers, target: str, header: tuple[str, str]) -> None:
    assert_equal(httpbin_servers, "GET", target, [header])


def test_a_compressed_body_stays_compressed(servers: Servers) -> None:
    packed = gzip.compress(b"text" * 1000, mtime=0)
    assert_equal(servers, "POST", "/echo", [("Content-Encoding", "gzip"), ("Content-Type", "x/y")], packed)


def test_requests_and_its_sessions(httpbin_servers: Servers) -> None:
    url = f"http://127.0.0.1:{httpbin_servers.forwarded}"
    with requests.Session() as session:
        assert session.get(f"{url}/cookies/set?a=1", timeout=60).json() == {"cookies": {"a": "1"}}
        assert session.get(f"{url}/redirect/3", timeout=60).url == f"{url}/get"
        assert session.get(f"{url}/gzip", timeout=60).json()["gzipped"]
        sent = session.post(
            f"{url}/post", files={"ä": ("ö.bin", EVERY_BYTE)}, data={"x": ["1", "2"]}, timeout=30
        ).json()
        assert sent["form"] == {"x": ["1", "2"]}
        assert list(sent["files"]) == ["ä"]
        with session.get(f"{url}/stream/5", stream=True, timeout=60) as response:
            assert len([*response.iter_lines()]) == 5


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
def test_curl_uploads_downloads_and_follows(httpbin_servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(EVERY_BYTE * 100)
    for arguments in [
        ["-F", "file=@in;filename=x.bin", "-F", "a=b", "{url}/post"],
        ["-T", "in", "-H", "Transfer-Encoding: chunked", "{url}/put"],
        ["-H", "Expect: 100-continue", "--data-binary", "@in", "{url}/post"],
        ["-L", "-c", "jar", "{url}/cookies/set?a=1"],
        ["--compressed", "{url}/brotli"],
        ["--http1.0", "{url}/bytes/100?seed=3"],
        ["-r", "1-3,5-6", "{url}/range/10"],
        ["-I", "{url}/html"],
    ]:
        outputs = []
        for port in (httpbin_servers.direct, httpbin_servers.forwarded):
            filled = [argument.format(url=f"http://127.0.0.1:{port}") for argument in arguments]
            command = ["curl", "-s", "-w", "%{http_code} %{content_type}", "-H", "Host: localhost:8020", *filled]
            result = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
            text = b"\n".join(
                line for line in result.stdout.split(b"\n") if not line.startswith((b"Date:", b"Connection:"))
            )
            outputs.append((result.returncode, _mask_boundary(text)))
        assert outputs[0] == outputs[1], arguments


def _mask_boundary(text: bytes) -> bytes:
    """Remove the boundary, which curl generates each time, and the connection that curl reports."""
    lines = [line for line in text.split(b"\n") if b"boundary=" not in line and b'"Connection"' not in line]
    return b"\n".join(lines)


def test_the_first_event_arrives_before_the_service_has_finished(servers: Servers, service: HttpFixture) -> None:
    service.assert_streams_incrementally(f"http://127.0.0.1:{servers.forwarded}/events")


def test_a_client_disconnect_ends_the_call_to_the_service(servers: Servers, service: HttpFixture) -> None:
    service.assert_detects_disconnect(f"http://127.0.0.1:{servers.forwarded}/slow")


def test_a_truncated_response_is_truncated_here_too(servers: Servers) -> None:
    for port in (servers.direct, servers.forwarded):
        with pytest.raises(http.client.IncompleteRead) as caught:
            exchange(port, "GET", "/broken")
        assert caught.value.partial == b"only this"


def test_fifty_megabytes_come_down_in_constant_memory_and_go_up(chute: DevChute, servers: Servers) -> None:
    url = f"http://127.0.0.1:{servers.forwarded}"
    size = 50 * 2**20
    instance = psutil.Process(chute.process.pid)
    requests.get(f"{url}/large?megabytes=2", timeout=60)
    before = instance.memory_info().rss
    down = requests.get(f"{url}/large?megabytes=50", timeout=60).content
    assert down == EVERY_BYTE * (size // 256)
    assert instance.memory_info().rss - before < 30 * 2**20
    data = os.urandom(size)
    ((_, file),) = requests.post(f"{url}/form", files={"file": data}, timeout=120).json()
    assert file["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_web_socket_is_rejected_with_the_reason(servers: Servers) -> None:
    headers = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    status, _, _, text = exchange(servers.forwarded, "GET", "/echo", headers)
    assert (status, b"WebSocket" in text) == (501, True)
