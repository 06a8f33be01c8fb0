from __future__ import annotations

import asyncio
import gzip
import itertools
import time
import zlib
from collections.abc import Iterator

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.discovery.fetching import NoResponse, Response, Service, fetch, open_session
from chutes_wrappers.runtime.response_heads import MAX_HEAD_BYTES
from tests.scenario import find_free_port
from tests.upstreams.raw import serve_raw, serve_reply
from tests.upstreams.scripted import Reply, json_reply, redirect, serve_greeting, serve_script

MEBIBYTE = b" " * 1024**2


async def fetch_once(
    root: str, path: str, *, timeout_s: float = 60, follow: bool = True, port: int = 8020
) -> Response | NoResponse:
    async with open_session() as session:
        return await fetch(session, Service(port=port, root=root), path, timeout_s=timeout_s, follow=follow)


async def fetch_response(root: str, path: str, *, follow: bool = True) -> Response:
    result = await fetch_once(root, path, follow=follow)
    assert isinstance(result, Response)
    return result


async def test_a_response_has_status_content_type_and_body() -> None:
    with serve_script({"/a?b=c%20d": json_reply({"x": 1})}) as server:
        response = await fetch_response(server.root, "/a?b=c%20d")
    assert (response.status, response.content_type, response.body, response.problem) == (
        200,
        "application/json",
        b'{"x": 1}',
        None,
    )


async def test_redirects_are_followed_on_the_same_service() -> None:
    with serve_script({"/a": redirect("/b"), "/b": redirect("c/d"), "/c/d": json_reply(1)}) as server:
        response = await fetch_response(server.root, "/a")
        assert (response.status, response.path) == (200, "/c/d")
        assert (await fetch_response(server.root, "/a", follow=False)).status == 302


async def test_a_redirect_to_the_service_port_stays_on_the_service() -> None:
    with serve_script({"/a": redirect("http://localhost:8020/b"), "/b": json_reply(1)}) as server:
        assert (await fetch_response(server.root, "/a")).status == 200


@pytest.mark.parametrize(
    "target", ["http://example.com/openapi.json", "//example.com/x", "file:///etc/passwd", "http://127.0.0.1:1/"]
)
async def test_a_redirect_to_another_host_is_named_not_followed(target: str) -> None:
    with serve_script({"/a": redirect(target)}) as server:
        assert "redirects to another host" in str((await fetch_response(server.root, "/a")).problem)


async def test_a_redirect_loop_is_detected() -> None:
    with serve_script({"/a": redirect("/b"), "/b": redirect("/a")}) as server:
        assert (await fetch_response(server.root, "/a")).problem == "redirects too many times"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(headers={"Content-Length": str(50 * 1024**2)}, body=(b"" for _ in range(1))),
        Reply(body=itertools.repeat(MEBIBYTE, 50)),
        Reply(body=itertools.repeat(MEBIBYTE)),
        Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(MEBIBYTE * 200, 9)),
        Reply(headers={"Content-Encoding": "deflate"}, body=zlib.compress(MEBIBYTE * 50, 9)),
    ],
    ids=["announced", "50 MiB", "endless", "gzip bomb", "deflate bomb"],
)
async def test_a_body_beyond_48_mebibytes_is_left_unread(reply: Reply) -> None:
    with serve_script({"/a": reply}) as server:
        response = await fetch_response(server.root, "/a")
    assert (response.body, response.problem) == (b"", "is larger than 48 MiB")


async def test_a_compressed_body_is_read() -> None:
    with serve_script({"/a": Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"{}"))}) as server:
        assert (await fetch_response(server.root, "/a")).body == b"{}"


@pytest.mark.parametrize(
    ("encoding", "what"),
    [("br", "compressed with 'br'"), ("gzip", "is not valid gzip, although its Content-Encoding is gzip")],
)
async def test_an_invalid_compression_is_named(encoding: str, what: str) -> None:
    with serve_script({"/a": Reply(headers={"Content-Encoding": encoding}, body=b"nonsense")}) as server:
        assert what in str((await fetch_response(server.root, "/a")).problem)


async def test_a_slow_body_runs_into_the_timeout() -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            time.sleep(0.05)
            yield b"x"

    def drip() -> Reply:
        return Reply(body=pieces())

    with serve_script({"/a": drip}) as server:
        response = await fetch_once(server.root, "/a", timeout_s=0.3)
    assert response == NoResponse(reason="it did not respond in time")


async def test_a_refused_connection_is_no_response() -> None:
    response = await fetch_once(f"http://127.0.0.1:{find_free_port()}", "/a")
    assert isinstance(response, NoResponse)
    assert not response.is_other_protocol


@pytest.mark.parametrize("greeting", [b"-ERR unknown command\r\n", b"\x00\x01\x02" * 50, b"SSH-2.0-OpenSSH_9.2\r\n"])
async def test_another_protocol_is_detected(greeting: bytes) -> None:
    with serve_greeting(greeting) as port:
        response = await fetch_once(f"http://127.0.0.1:{port}", "/a")
    assert isinstance(response, NoResponse)
    assert response.is_other_protocol


async def test_a_closed_connection_is_no_response_and_may_recover() -> None:
    with serve_greeting(b"") as port:
        response = await fetch_once(f"http://127.0.0.1:{port}", "/a")
    assert isinstance(response, NoResponse)
    assert not response.is_other_protocol


@pytest.mark.parametrize(
    ("url", "port", "service"),
    [
        ("http://127.0.0.1:8020", None, Service(port=8020, root="http://127.0.0.1:8020")),
        ("http://127.0.0.1:32768/", 8020, Service(port=8020, root="http://127.0.0.1:32768")),
        ("https://example.com", None, Service(port=443, root="https://example.com")),
    ],
)
def test_a_base_url_names_a_service(url: str, port: int | None, service: Service) -> None:
    assert Service.from_url(url, port) == service


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8020", "ftp://x", "http://", "http://x:99999", "http://x/api", "http://me:secret@x", "http://["]
)
def test_an_invalid_base_url_is_rejected_without_showing_secrets(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Service.from_url(url, None)
    assert caught.value.next_step
    assert "secret" not in str(caught.value)


async def test_a_large_header_is_read_and_one_that_is_too_large_named() -> None:
    for size, problem in (
        (300_000, None),
        (MAX_HEAD_BYTES, "returns what cannot be read: its header is larger than 512 KiB"),
    ):
        async with serve_reply(b"HTTP/1.1 200 OK\r\nX: " + b"x" * size + b"\r\nContent-Length: 2\r\n\r\n{}") as port:
            response = await fetch_response(f"http://127.0.0.1:{port}", "/openapi.json")
        assert (response.problem, response.body) == (problem, b"" if problem else b"{}")


async def test_a_redirect_without_a_port_stays_on_the_service() -> None:
    with serve_script({"/a": redirect("http://localhost/b"), "/b": json_reply(1)}) as server:
        assert (await fetch_response(server.root, "/a")).path == "/b"


async def test_connections_are_not_kept_since_a_service_may_have_one_thread() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with one_at_a_time:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await reader.read()

    one_at_a_time = asyncio.Lock()
    async with serve_raw(talk) as port, open_session() as session:
        service = Service(port=port, root=f"http://127.0.0.1:{port}")
        fetches = [fetch(session, service, f"/{number}", timeout_s=60) for number in range(8)]
        assert all(isinstance(response, Response) for response in await asyncio.gather(*fetches))
