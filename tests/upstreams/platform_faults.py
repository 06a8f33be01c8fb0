"""A proxy in front of a platform that injects faults, and otherwise forwards everything."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server"})
_LONGEST_ECHO = 3000


@dataclass(frozen=True)
class Fault:
    """``act`` responds in the platform's place."""

    name: str
    act: Callable[[Handler], None]


@dataclass(frozen=True, kw_only=True)
class ReceivedRequest:
    """One request, in the order in which they came. ``method`` and ``path`` are the request's."""

    number: int
    method: str
    path: str
    host: str
    body: bytes = field(repr=False)

    @property
    def changes(self) -> bool:
        """Whether the request may change something."""
        return self.method not in ("GET", "HEAD")


class FaultyPlatform(ThreadingHTTPServer):
    """``fault`` is what happens to each request that ``applies``; ``received`` has all requests."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str, handler: type[Handler] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler or Handler)
        self.upstream = urlsplit(upstream)
        self.received: list[ReceivedRequest] = []
        self.injected = 0
        self.fault: Fault | None = None
        self.applies: Callable[[ReceivedRequest], bool] = lambda asked: True
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextlib.contextmanager
    def failing(self, fault: Fault, applies: Callable[[ReceivedRequest], bool] = lambda asked: True) -> Iterator[None]:
        """Fail so until the block ends; requests that hang end then."""
        self.received, self.injected, self.released = [], 0, threading.Event()
        self.fault, self.applies = fault, applies
        try:
            yield
        finally:
            self.fault = None
            self.released.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is what is tested."""


class Handler(BaseHTTPRequestHandler):
    """Forwards one request. A subclass may change how."""

    protocol_version = "HTTP/1.1"
    server: FaultyPlatform

    def do_GET(self) -> None:
        body = self._body()
        asked = ReceivedRequest(
            number=len(self.server.received) + 1,
            method=self.command,
            path=self.path,
            host=self.headers.get("Host", ""),
            body=body,
        )
        self.server.received.append(asked)
        self.asked = asked
        fault = self.server.fault
        if fault is not None and self.server.applies(asked):
            self.server.injected += 1
            self.echo = f"{self.headers}{body[:_LONGEST_ECHO].decode(errors='replace')}"
            fault.act(self)
        else:
            self.forward(body)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def send_reply(self, status: int, content_type: str, body: str, **headers: str) -> None:
        """Send one complete response."""
        data = body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def disconnect(self) -> None:
        """End the connection as a crashed server does."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def forward(self, body: bytes = b"", *, at_most: int | None = None) -> None:
        """Send the platform's own response; with ``at_most`` it is cut off after that many pieces."""
        upstream = self.server.upstream
        connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=60)
        with contextlib.closing(connection):
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            connection.request(self.command, self.path, body=body or None, headers=headers)
            answer = connection.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            whole = answer.getheader("Content-Length") is not None
            if not whole:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            pieces = itertools.islice(iter(lambda: answer.read1(65536), b""), at_most)
            for piece in pieces:
                self.wfile.write(piece if whole else b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            if at_most is not None:
                self.close_connection = True
                return
            if not whole:
                self.wfile.write(b"0\r\n\r\n")

    def perform(self) -> None:
        """Let the platform handle the request, and drop its response."""
        upstream = self.server.upstream
        connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=60)
        with contextlib.closing(connection):
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            connection.request(self.command, self.path, body=self.asked.body or None, headers=headers)
            connection.getresponse().read()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Tests read ``received`` instead."""


def lose_response(fault: Fault) -> Fault:
    """Return the fault of a platform that handles the request, and then responds with ``fault``."""

    def act(handler: Handler) -> None:
        handler.perform()
        fault.act(handler)

    return Fault(f"lost-{fault.name}", act)


def _status(status: int, words: str) -> Fault:
    def act(handler: Handler) -> None:
        handler.send_reply(status, "application/json", json.dumps({"detail": f"{words} {handler.echo}"}))

    return Fault(str(status), act)


def _unprocessable(handler: Handler) -> None:
    problem = {
        "type": "value_error",
        "loc": ["body", "name"],
        "msg": f"Value error, {handler.echo}",
        "input": handler.echo,
    }
    handler.send_reply(422, "application/json", json.dumps({"detail": [problem]}))


def _page(status: int) -> Callable[[Handler], None]:
    def act(handler: Handler) -> None:
        text = f"<html><head><title>{status} {handler.echo}</title></head><body><pre>{handler.echo}</pre></body></html>"
        handler.send_reply(status, "text/html", text)

    return act


def _truncated(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'{"items": [{"name": "')
    handler.close_connection = True


def _truncated_stream(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    event = b'data: {"log": "one line"}\n\n'
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
    handler.close_connection = True


def _hang(handler: Handler) -> None:
    handler.server.released.wait(60)
    handler.close_connection = True


FAULTS = (
    _status(401, "Invalid signature"),
    _status(402, "Insufficient balance"),
    _status(403, "Not allowed"),
    _status(404, "Not found"),
    _status(409, "Already exists"),
    Fault("422", _unprocessable),
    _status(429, "Too many requests"),
    Fault("500-page", _page(500)),
    _status(502, "bad gateway"),
    Fault("200-page", _page(200)),
    Fault(
        "redirect", lambda handler: handler.send_reply(307, "text/plain", handler.echo, Location="http://127.0.0.1:1/")
    ),
    Fault("reset", lambda handler: handler.disconnect()),
    Fault("truncated", _truncated),
    Fault("truncated-stream", _truncated_stream),
    Fault("hang", _hang),
)


@contextlib.contextmanager
def serve_faulty_platform(upstream: str, handler: type[Handler] | None = None) -> Iterator[FaultyPlatform]:
    """The proxy in front of the platform at ``upstream``, until the block ends; a ``handler`` may forward in another way."""
    server = FaultyPlatform(upstream, handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join(60)
