"""HTTP adapters for the Chutes API: retries, and the read timeout of a response's body.

``requests`` has one timeout for the head of a response and for each read of its body. A stream needs two.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

_RETRY = Retry(
    total=2,
    read=0,  # an API that is silent for so long will not respond to a retry
    status_forcelist=(502, 503, 504),
    allowed_methods=("GET",),
    backoff_factor=0.3,
    raise_on_status=False,
    respect_retry_after_header=False,
)
_LINE_END = re.compile(rb"\r\n|\r|\n")
# Without a handler, its warning about each retry goes to standard error.
logging.getLogger("urllib3").addHandler(logging.NullHandler())


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines in ``pieces`` without their ends, each as soon as it is complete.

    ``Response.iter_lines`` copies the incomplete line for each byte that it reads: minutes for a line of 300 KB.
    """
    line = bytearray()
    for piece in pieces:
        *line_ends, rest = _LINE_END.split(piece)
        for end in line_ends:
            yield bytes(line + end)
            line.clear()
        line += rest
    if line:
        yield bytes(line)


class RetryAdapter(HTTPAdapter):
    """Retries a GET after a lost connection and after 502, 503 and 504. Sends any other request once."""

    def __init__(self) -> None:
        super().__init__(max_retries=_RETRY)


class StreamAdapter(RetryAdapter):
    """An adapter for one request, whose body may have another read timeout than its head."""

    def __init__(self) -> None:
        super().__init__()
        self._socket: socket.socket | None = None

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """Return the pool for the request, with connections that report the socket of the response."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        if not issubclass(pool.ConnectionCls, _StreamConnection):
            pool.ConnectionCls = type(
                "StreamConnection", (_StreamConnection, pool.ConnectionCls), {"on_socket": self._store_socket}
            )
        return pool

    def set_read_timeout(self, timeout_s: float | None) -> None:
        """Set the timeout for each read of the body, in seconds; None: no timeout.

        A read that times out raises what ``requests`` raises: a ConnectionError of a ReadTimeoutError.
        """
        if self._socket is not None:
            with contextlib.suppress(OSError):  # closed: the response has ended
                self._socket.settimeout(timeout_s)

    def _store_socket(self, sock: socket.socket) -> None:
        self._socket = sock


class DeadlineAdapter(StreamAdapter):
    """An adapter without retries, for requests one after the other. Another thread can end them all, even within a head.

    A server that sends a byte of its head from time to time, or one 100 Continue after another, never runs into a timeout.
    """

    def __init__(self) -> None:
        super().__init__()
        self.max_retries = Retry(0, read=False)
        self._has_ended = False

    def end(self) -> None:
        """End the running request and all later ones, which fail as if the server had closed the connection."""
        self._has_ended = True
        if self._socket is not None:
            # A duplicate, since the socket may be a TLS object.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._socket.fileno())) as duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)

    def _store_socket(self, sock: socket.socket) -> None:
        super()._store_socket(sock)
        if self._has_ended:
            self.end()


class _StreamConnection:
    """A base class before urllib3's connection class, HTTP or HTTPS."""

    sock: socket.socket
    on_socket: Callable[[socket.socket], None]

    def getresponse(self) -> HTTPResponse:
        self.on_socket(self.sock)  # first: http.client drops a socket that closes with its response
        response: HTTPResponse = super().getresponse()  # type: ignore[misc]  # of urllib3's class
        return response
