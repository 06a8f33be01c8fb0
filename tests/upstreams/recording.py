"""A server on loopback that records every request with its headers. It is a proxy, too: it records CONNECT, and may serve it."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RecordedRequest:
    """A request as it arrived; the names of ``headers`` are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class RecordedReply:
    """The response to each request."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_GET(self) -> None:
        reply = self.server.record(self)
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    do_POST = do_GET

    def do_CONNECT(self) -> None:
        self.server.record(self)
        self.close_connection = True
        if self.server.connect_port is None:
            self.send_error(502, "no upstream")
            return
        with socket.create_connection(("127.0.0.1", self.server.connect_port)) as upstream:
            self.send_response(200)
            self.end_headers()
            _exchange(self.connection, upstream)

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests read ``requests`` instead."""


def _exchange(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes between two connections until one of them ends."""
    peers = {one: other, other: one}
    while True:
        readable, _, _ = select.select([*peers], [], [])
        for each in readable:
            data = each.recv(65536)
            if not data:
                return
            peers[each].sendall(data)


class Recorder(ThreadingHTTPServer):
    """``reply`` makes the response to a request; CONNECT is served by the local port ``connect_port``, if there is one."""

    daemon_threads = True

    def __init__(self, reply: Callable[[RecordedRequest], RecordedReply]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply
        self.connect_port: int | None = None
        self.requests: list[RecordedRequest] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> list[Mapping[str, str]]:
        """The headers of each request."""
        return [request.headers for request in self.requests]

    def record(self, handler: BaseHTTPRequestHandler) -> RecordedReply:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = handler.rfile.read(int(headers.get("content-length", "0")))
        request = RecordedRequest(method=handler.command, target=handler.path, headers=headers, body=body)
        self.requests.append(request)
        return self.reply(request)


@contextlib.contextmanager
def serve_recorder(
    reply: Callable[[RecordedRequest], RecordedReply] | RecordedReply = RecordedReply(),
    certificate: Path | None = None,
) -> Iterator[Recorder]:
    """Yield a recorder that listens until the block ends; with a ``certificate`` and its key, by https."""
    make_reply = (lambda _: reply) if isinstance(reply, RecordedReply) else reply
    with Recorder(make_reply) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(60)
