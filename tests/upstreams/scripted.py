"""A real HTTP server on loopback whose responses are defined by the test."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JSON_TYPE = "application/json"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One response; ``body`` may be pieces that are sent one by one, without a length."""

    status: int = 200
    content_type: str = JSON_TYPE
    body: bytes | Iterable[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Mapping[str, Reply | Callable[[], Reply]]


def json_reply(value: Any) -> Reply:
    return Reply(body=json.dumps(value).encode())


def html_reply(text: str) -> Reply:
    return Reply(body=text.encode(), content_type="text/html")


def redirect(location: str) -> Reply:
    return Reply(status=302, headers={"Location": location})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def do_GET(self) -> None:
        self.server.received.append(self.path)
        entry = self.server.script.get(self.path, self.server.otherwise)
        reply = entry() if callable(entry) else entry
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        try:
            self._send_body(reply.body)
        except OSError:  # the client had enough
            self.close_connection = True

    def _send_body(self, body: bytes | Iterable[bytes]) -> None:
        if isinstance(body, bytes):
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for piece in body:
            self.wfile.write(piece)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Tests read ``received`` instead."""


class ScriptedServer(ThreadingHTTPServer):
    """``received`` is every path in the order of the requests; ``otherwise`` is the response for a path that is not in the script."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, script: Script, otherwise: Reply, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.script = dict(script)
        self.otherwise = otherwise
        self.received: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serve_script(script: Script, *, otherwise: Reply | None = None, port: int = 0) -> Iterator[ScriptedServer]:
    """Yield the server, which listens until the block ends. Paths that are not in the script return 404."""
    server = ScriptedServer(script, otherwise or Reply(status=404, content_type="text/plain"), port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


@contextmanager
def serve_greeting(greeting: bytes) -> Iterator[int]:
    """Yield the port of a TCP server that sends ``greeting`` to every client and disconnects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(greeting)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(60)
