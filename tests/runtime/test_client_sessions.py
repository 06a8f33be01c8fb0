"""The limits of sessions, at a service whose bytes a test writes by hand."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from yarl import URL

from chutes_wrappers.runtime.client_sessions import describe_unreadable, open_client_session
from chutes_wrappers.runtime.connection_pool import make_connector
from chutes_wrappers.runtime.response_heads import MAX_HEAD_BYTES
from tests.upstreams.raw import serve_raw, serve_reply

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n\r\nok"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
GOOD = {
    "a header of 256 KiB": OK + b"X: " + b"x" * 256 * 1024 + b"\r\n" + LENGTH,
    "a reason of 100 KiB": b"HTTP/1.1 200 " + b"r" * 100 * 1024 + b"\r\n" + LENGTH,
    "5,000 headers": OK + b"X: 1\r\n" * 5000 + LENGTH,
    "two equal lengths": OK + b"Content-Length: 2\r\n" + LENGTH,
    "a list of lengths": OK + b"Content-Length: 2, 2\r\n\r\nok",
    "a length and chunks": OK + CHUNKED + b"Content-Length: 9\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "extensions and trailers": OK + CHUNKED + b"\r\n2;a=b\r\nok\r\n0;c\r\nX-T: 1\r\n\r\n",
    "no length": OK + b"\r\nok",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nok",
    "interim responses": b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nLink: </a>\r\n\r\n" + OK + LENGTH,
    "line feeds only": b"HTTP/1.1 200 OK\nX: 1\nContent-Length: 2\n\nok",
    "no reason": b"HTTP/1.1 200\r\n" + LENGTH,
    "a folded header": OK + b"X: a\r\n b\r\n" + LENGTH,
    "bytes that are not UTF-8": OK + b"X: \xe9\xff\r\n" + LENGTH,
    "a space before the colon": OK + b"X : 1\r\n" + LENGTH,
}
UNREADABLE = {
    "a header of 512 KiB": (
        OK + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n" + LENGTH,
        "its header is larger than 512 KiB",
    ),
    "different lengths": (OK + b"Content-Length: 3\r\n" + LENGTH, "it has different Content-Lengths"),
    "another protocol": (b"220 mail.example ready\r\n", "not HTTP: it begins with b'220 mail"),
}


async def get(port: int, *, is_shared: bool = False) -> tuple[int, bytes]:
    connector = make_connector(is_shared=is_shared)
    async with open_client_session(connector) as session, session.get(URL(f"http://127.0.0.1:{port}/")) as response:
        return response.status, await response.read()


@pytest.mark.parametrize("reply", GOOD.values(), ids=GOOD.keys())
async def test_a_response_that_browsers_read_is_read(reply: bytes) -> None:
    async with serve_reply(reply) as port:
        assert await get(port) == (200, b"ok")


async def test_a_body_that_cannot_be_is_not_waited_for() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for status in (b"204", b"304"):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 " + status + b" X\r\nContent-Length: 5\r\n\r\n")
        await reader.read()

    async with serve_raw(talk) as port, open_client_session(make_connector()) as session:
        for status in (204, 304):
            async with session.get(URL(f"http://127.0.0.1:{port}/")) as response:
                assert (response.status, await response.read()) == (status, b"")


@pytest.mark.parametrize(("reply", "reason"), UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_what_cannot_be_read_is_named(reply: bytes, reason: str) -> None:
    async with serve_reply(reply) as port:
        with pytest.raises(aiohttp.ClientResponseError) as refused:
            await get(port)
    assert describe_unreadable(refused.value).startswith(reason)


async def test_a_head_that_ends_early_is_a_lost_connection() -> None:
    async with serve_reply(OK + b"Content-Le") as port:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await get(port)


async def test_a_session_has_no_timeout_for_a_whole_request() -> None:
    async with open_client_session(make_connector()) as session:
        assert (session.timeout.total, session.timeout.sock_read) == (None, None)
