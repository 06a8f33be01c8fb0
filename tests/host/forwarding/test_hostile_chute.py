"""A hostile chute, whose bytes become the response of a tunnel or of a route."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.chute_client import Chute, parse_chute_address
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.host.forwarding.route_transport import RouteTransport
from chutes_wrappers.host.forwarding.server import ForwardingServer
from chutes_wrappers.host.forwarding.tunnel_transport import TunnelTransport
from chutes_wrappers.runtime.media_types import EMPTY_RESPONSE_TYPE
from chutes_wrappers.runtime.tunnel_frames import Data, End, Failure, Head, encode

OK = encode(Head(status=200, headers=(("Content-Length", "2"),))) + encode(Data(b"ok")) + encode(End())
NESTED = b"[" * 100_000
TUNNELS = [
    encode(Head(status=200, reason="G\u20acht")) + encode(End()),
    encode(Head(status=200, reason="\ud800")) + encode(End()),
    encode(Head(status=200, headers=(("X-A", "1\r\nSet-Cookie: a=b"),))) + encode(End()),
    encode(Head(status=200, headers=(("\u20ac", "1"),))) + encode(End()),
    encode(Head(status=101, headers=(("Upgrade", "h2c"),))) + encode(End()),
    encode(Failure("\ud800\x1b]52;c;eA==\x07\r\nHTTP/1.1 200 OK")),
    b'{"status": 1e999, "reason": "", "headers": []}\n',
    b'{"status": NaN, "reason": "", "headers": []}\n',
    b'{"status": true, "reason": "", "headers": []}\n',
    b'{"status": 200, "reason": {"a": 1}, "headers": {"ab": 1}}\n',
    b'{"status": 200, "reason": "", "headers": [["a"]]}\n',
    b'{"status": 200, "reason": "", "headers": 5}\n',
    b'{"status": ' + NESTED + b"\n",
    b'{"status": 200',
    b"\xff\n",
    b"\n",
    b"",
    encode(End()),
    encode(Data(b"no head")),
]
ERRORS: list[dict[str, Any]] = [
    {"status": 302, "location": "/\u65e5\u672c"},
    {"status": 302, "location": "/\r\nSet-Cookie: a=b"},
    {"status": 404, "content_type": "text/plain; x=\u20ac"},
    {"status": 404, "content_type": "\0"},
    {"status": 404, "content_type": "\ud800", "body": "x"},
    {"status": 404, "content_type": "x/y", "body": "\ud800"},
    {"status": 404, "content_type": {"a": 1}, "body_base64": 5},
    {"error": "\ud800\r\n\x1b[2J"},
]


def build_response(status: int, content_type: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (status, content_type, len(body))
    return head + body


@contextlib.asynccontextmanager
async def serve_chute(responses: list[bytes]) -> AsyncIterator[str]:
    """Serve a chute with one response for each connection; yields its URL."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
        with contextlib.suppress(OSError):
            writer.write(responses.pop(0).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def send_twice(responses: list[bytes], routes: RouteTable | None) -> tuple[bytes, bytes, list[str]]:
    """Send two requests on one connection; returns the first response, the second one, and the reported lines."""
    problems: list[str] = []
    async with serve_chute(responses) as url, Chute(parse_chute_address(url, None)) as chute:
        transport = TunnelTransport(chute) if routes is None else RouteTransport(chute, routes)
        async with ForwardingServer(0, 8020, transport, problems.append, browser_name="case.localhost") as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            first = head + await reader.readexactly(length)
            writer.write(b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            second = await asyncio.wait_for(reader.read(), 60)
            writer.close()
    return first, second, problems


def assert_is_reported(first: bytes, second: bytes, problems: list[str]) -> None:
    head, _, text = first.partition(b"\r\n\r\n")
    assert b"\r\nContent-Type: text/plain; charset=utf-8\r\n" in head
    assert b"Set-Cookie" not in head
    assert text.strip()
    assert second.startswith(b"HTTP/1.1 200 ")
    assert second.endswith(b"ok")
    (problem,) = problems
    assert "\n" not in problem
    assert "\r" not in problem
    problem.encode()


@pytest.mark.parametrize("lines", TUNNELS, ids=lambda lines: ascii(lines[:60]))
async def test_hostile_lines_of_a_tunnel_are_a_502(lines: bytes) -> None:
    responses = [build_response(200, b"text/event-stream", each) for each in (lines, OK)]
    first, second, problems = await send_twice(responses, None)
    assert first.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert_is_reported(first, second, problems)


ROUTES = RouteTable(plan_cords([Route.model_validate({"path": "/a", "method": "GET"})], 8020).cords)
VALID = build_response(200, b"text/plain", b"ok")


@pytest.mark.parametrize("error", ERRORS, ids=ascii)
async def test_hostile_errors_of_a_route_are_an_error_with_a_text(error: dict[str, Any]) -> None:
    hostile = build_response(400, b"application/json", json.dumps({"detail": error}).encode())
    assert_is_reported(*await send_twice([hostile, VALID], ROUTES))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (b"text/plain; x=\xe2\x82\xac", b"x"),
        (b"\xff\xfe", b"x"),
        (EMPTY_RESPONSE_TYPE.encode(), b'{"status": 201, "content_type": "\\u20ac"}'),
        (EMPTY_RESPONSE_TYPE.encode(), b"no summary"),
        (EMPTY_RESPONSE_TYPE.encode(), b'{"status": 204, "content_type": "a\\r\\nb: c"}'),
    ],
)
async def test_a_hostile_media_type_of_a_route_is_a_502(content_type: bytes, body: bytes) -> None:
    first, second, problems = await send_twice([build_response(200, content_type, body), VALID], ROUTES)
    assert first.startswith(b"HTTP/1.1 502 ")
    assert_is_reported(first, second, problems)


@pytest.mark.parametrize(
    "text", [b'{"status": 204}', b'{"status": 200, "content_type": "x/y"}', b'{"error": "x", "status": 404}']
)
async def test_json_of_a_service_that_looks_like_a_summary_of_ours_is_its_body(text: bytes) -> None:
    first, _, problems = await send_twice([build_response(200, b"application/json", text), VALID], ROUTES)
    assert (first.startswith(b"HTTP/1.1 200 "), first.endswith(text), problems) == (True, True, [])


async def test_a_marked_response_has_the_services_status() -> None:
    marked = [
        build_response(200, b"text/plain; service-response=206", b"ok"),
        build_response(200, EMPTY_RESPONSE_TYPE.encode(), b'{"status": 204}'),
    ]
    first, second, _ = await send_twice(marked, ROUTES)
    assert first.startswith(b"HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\n")
    assert second.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert second.endswith(b"\r\n\r\n")
