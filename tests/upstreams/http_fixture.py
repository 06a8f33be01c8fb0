"""A service with one of everything that HTTP can say: what the gateway is tested against."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from aiohttp import web

from tests.upstreams.serving import serve_application

EVERY_BYTE = bytes(range(256))


class HttpFixture:
    """The service and its state for tests: ``entered`` and ``aborted`` are set when a client requests a slow response and when it disconnects."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.aborted = threading.Event()
        self.release = threading.Event()
        self.connections: set[Any] = set()
        self.port = 0
        self.healthy = True

    def application(self) -> web.Application:
        app = web.Application(client_max_size=1024**3)
        app.router.add_route("*", "/echo", self.echo)
        app.router.add_route("*", "/echo/", self.echo)
        app.router.add_route("*", "/Echo/{rest:.*}", self.echo)
        app.router.add_post("/echo/size", self.size)
        app.router.add_post("/form", self.form)
        app.router.add_get("/bytes", self.bytes_)
        app.router.add_get("/large", self.large)
        app.router.add_get("/status/{code}", self.status)
        app.router.add_post("/status/{code}", self.status)
        app.router.add_get("/large-error", self.large_error)
        app.router.add_get("/round", self.round)
        app.router.add_get("/redirect", self.redirect)
        app.router.add_get("/elsewhere", self.elsewhere)
        app.router.add_get("/gzip", self.gzip)
        app.router.add_get("/broken", self.broken)
        app.router.add_get("/slow", self.slow)
        app.router.add_route("*", "/events", self.events)
        app.router.add_post("/chat", self.chat)
        app.router.add_get("/drip", self.drip)
        app.router.add_get("/health", self.health)
        return app

    def assert_streams_incrementally(self, url: str) -> None:
        """Check that a client of ``url``, which leads to ``/events``, has the first event before the others are made."""
        self.release.clear()
        with requests.get(f"{url}?hold=1", stream=True, timeout=60) as response:
            lines = response.iter_lines(chunk_size=1)
            assert next(lines) == "data: 0 é".encode()
            self.release.set()
            assert [line for line in lines if line] == ["data: 1 é".encode(), "data: 2 é".encode()]

    def assert_detects_disconnect(self, url: str) -> None:
        """Check that a client of ``url``, which leads to ``/slow``, aborts the service's work when it disconnects."""
        self.release.clear()
        self.aborted.clear()
        with pytest.raises(requests.Timeout):
            requests.get(url, timeout=0.5)
        assert self.aborted.wait(60)

    async def echo(self, request: web.Request) -> web.Response:
        self.connections.add(request.transport)
        body = await request.read()
        return web.json_response(
            {
                "method": request.method,
                "target": request.raw_path,
                "content_type": request.headers.get("Content-Type"),
                "body": body.decode("latin-1"),
                "sha256": hashlib.sha256(body).hexdigest(),
                "headers": dict(request.headers),
            }
        )

    async def size(self, request: web.Request) -> web.Response:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
        return web.json_response({"size": size})

    async def form(self, request: web.Request) -> web.Response:
        fields: list[list[Any]] = []
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                data = value.file.read()
                digest = hashlib.sha256(data).hexdigest()
                fields.append([name, {"filename": value.filename, "type": value.content_type, "sha256": digest}])
            else:
                fields.append([name, value])
        return web.json_response(fields)

    async def bytes_(self, request: web.Request) -> web.Response:
        return web.Response(body=EVERY_BYTE, content_type=request.query.get("type", "audio/wav"))

    async def large(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(int(request.query["megabytes"]) if request.method != "HEAD" else 0):
            await response.write(EVERY_BYTE * 4096)
        return response

    async def status(self, request: web.Request) -> web.Response:
        code = int(request.match_info["code"])
        if code in (204, 304):
            return web.Response(status=code)
        return web.Response(status=code, text=f"this is {code}", content_type="text/plain")

    async def large_error(self, request: web.Request) -> web.Response:
        return web.Response(status=400, text="x" * 1024**2)

    async def round(self, request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query.get("pause_s", "0")))
        return web.Response(status=302, headers={"Location": request.raw_path})

    async def redirect(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/echo?redirected=yes"})

    async def elsewhere(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://example.invalid/secret"})

    async def gzip(self, request: web.Request) -> web.Response:
        response = web.json_response({"packed": True})
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async def broken(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"only this")
        assert request.transport is not None
        request.transport.abort()
        return response

    async def slow(self, request: web.Request) -> web.Response:
        self.entered.set()
        try:
            await asyncio.to_thread(self.release.wait, 30)
        except asyncio.CancelledError:
            self.release.set()
            self.aborted.set()  # last: a test that waits for it holds the next call back again
            raise
        return web.json_response({"slow": True})

    async def events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": request.query.get("type", "text/event-stream")})
        await response.prepare(request)
        count = int(request.query.get("count", "3"))
        try:
            for index in range(count):
                await response.write(f"data: {index} é\n\n".encode())
                if index == 0 and "hold" in request.query:
                    await asyncio.to_thread(self.release.wait, 30)
                await asyncio.sleep(float(request.query.get("pause_s", "0")))
        except (asyncio.CancelledError, ConnectionResetError):  # which of them is a matter of milliseconds
            self.release.set()
            self.aborted.set()  # last: a test that waits for it holds the next call back again
            raise
        return response

    async def chat(self, request: web.Request) -> web.StreamResponse:
        request_body = await request.json()
        if not request_body.get("stream"):
            return web.json_response({"answer": request_body["text"]})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for word in _words(request_body["text"]):
            await response.write(f"data: {word}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def drip(self, request: web.Request) -> web.StreamResponse:
        """A character of two bytes, its halves apart."""
        response = web.StreamResponse(headers={"Content-Type": request.query.get("type", "text/plain")})
        await response.prepare(request)
        for byte in "é!".encode():
            await response.write(bytes([byte]))
            await asyncio.sleep(0.02)
        return response

    async def health(self, request: web.Request) -> web.Response:
        return web.json_response({"healthy": self.healthy}, status=200 if self.healthy else 503)


async def _words(text: str) -> AsyncIterator[str]:
    for word in text.split():
        yield word


@contextmanager
def serve_http_fixture() -> Iterator[HttpFixture]:
    """The service on a loopback port, in a thread, until the context ends."""
    service = HttpFixture()
    with serve_application(service.application()) as service.port:
        try:
            yield service
        finally:
            service.release.set()
