"""A service behind a socket: HTTP/1.1 with keep-alive, bodies with a length or in chunks."""

from __future__ import annotations

import contextlib
import logging
import re
import socketserver
import sys
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .web import HTTPError, Request, Response, Service, make_error_response

BODY_LIMIT = 32 * 1024**2
_LINE_LIMIT = 8 * 1024
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r?\n")
_LOG = logging.getLogger(__name__)


class ServiceServer(ThreadingHTTPServer):
    """Listens when created; ``serve_forever`` responds, with a thread for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: Service, host: str, port: int) -> None:
        self.service = service
        super().__init__((host, port), _Connection)

    def server_bind(self) -> None:
        # HTTPServer.server_bind looks its name up in the DNS, which takes seconds without a DNS server.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        if isinstance(sys.exc_info()[1], OSError):
            _LOG.debug("%s: %s closed the connection", self.service.name, client_address)
        else:
            _LOG.exception("%s: connection of %s failed", self.service.name, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An invalid request line gets a response with a status, not an HTTP/0.9 response.
    default_request_version = "HTTP/1.0"
    server_version = "morse"
    sys_version = ""
    timeout = 75
    # Headers and body are two writes; without this, the second waits for the client's acknowledgement.
    disable_nagle_algorithm = True
    error_content_type = "application/json"
    error_message_format = '{"error": "the request is not valid HTTP (%(code)d)"}'
    server: ServiceServer

    def _respond(self) -> None:
        try:
            request = self._read_request()
        except HTTPError as error:
            # The start of the next request is unknown now.
            self.close_connection = True
            self._send(make_error_response(error))
            self._discard_input()
            return
        self._send(self.server.service.respond(request))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _respond

    def _read_request(self) -> Request:
        body = read_body(self.rfile, self.headers)
        try:
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query, keep_blank_values=True, max_num_fields=100))
        except ValueError as error:
            raise HTTPError(400, "the request's target is not valid") from error
        return Request(self.command, unquote(url.path), query, self.headers, body)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def _discard_input(self) -> None:
        # A socket that is closed with unread input is reset, and the client can lose the response.
        with contextlib.suppress(OSError):
            self.connection.settimeout(1)
            for _ in range(2 * BODY_LIMIT // 65536):
                if not self.rfile.read1(65536):
                    return

    def log_message(self, format: str, *args: Any) -> None:
        _LOG.info("%s: %s %s", self.server.service.name, self.address_string(), format % args)


def read_body(stream: BufferedIOBase, headers: Message, limit: int = BODY_LIMIT) -> bytes:
    """Read the request's body; raises HTTPError if it is malformed, truncated or longer than ``limit``."""
    encoding, length = headers.get("Transfer-Encoding"), headers.get("Content-Length")
    if encoding is not None:
        if length is not None:
            raise HTTPError(400, "a body has either a length or chunks")
        if encoding.strip().lower() != "chunked":
            raise HTTPError(501, "the only supported transfer encoding is chunked")
        return _read_chunks(stream, limit)
    if length is None:
        return b""
    if not re.fullmatch("[0-9]{1,19}", length):
        raise HTTPError(400, "Content-Length is not a number")
    return _read_exactly(stream, int(length), limit)


def _read_chunks(stream: BufferedIOBase, limit: int) -> bytes:
    body = bytearray()
    while True:
        head = _CHUNK_SIZE.fullmatch(stream.readline(_LINE_LIMIT))
        if head is None:
            raise HTTPError(400, "a chunk has no valid size")
        size = int(head[1], 16)
        if not size:
            break
        body += _read_exactly(stream, size, limit - len(body))
        if stream.readline(3) not in (b"\r\n", b"\n"):
            raise HTTPError(400, "a chunk is longer than its size")
    for _ in range(100):
        if stream.readline(_LINE_LIMIT) in (b"\r\n", b"\n", b""):
            return bytes(body)
    raise HTTPError(400, "the body has too many trailers")


def _read_exactly(stream: BufferedIOBase, size: int, limit: int) -> bytes:
    if size > limit:
        raise HTTPError(413, f"the body is longer than {BODY_LIMIT} bytes")
    content = stream.read(size)
    if len(content) < size:
        raise HTTPError(400, "the body ended early")
    return content
