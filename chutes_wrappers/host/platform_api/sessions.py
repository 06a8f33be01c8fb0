"""HTTP sessions for the Chutes API: what is sent again, and how long the body of a response may pause.

``requests`` has one timeout for the head of a response and for the pauses in its body. A stream needs two.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

_RETRY = Retry(
    total=2,
    read=0,  # an API that says nothing for so long will not say more the second time
    status_forcelist=(502, 503, 504),
    allowed_methods=("GET",),
    backoff_factor=0.3,
    raise_on_status=False,
    respect_retry_after_header=False,
)
_LINE_END = re.compile(rb"\r\n|\r|\n")
# What it would say of each repetition goes to standard error otherwise.
logging.getLogger("urllib3").addHandler(logging.NullHandler())


def create_session(adapter: HTTPAdapter) -> requests.Session:
    """A session that sends every request by ``adapter``. Close it."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines in ``pieces`` without their ends, each as soon as it has ended.

    ``Response.iter_lines`` copies what it has of a line for each byte that it reads: minutes for a line of 300 KB.
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
    """Sends a GET again after a lost connection and after 502, 503 and 504; anything else once."""

    def __init__(self) -> None:
        super().__init__(max_retries=_RETRY)


class StreamAdapter(RetryAdapter):
    """For one request, whose response may pause for a time that is longer or shorter than the request's timeout."""

    def __init__(self) -> None:
        super().__init__()
        self._socket: socket.socket | None = None

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """The pool for the request, with connections that tell which socket the response is read from."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        pool.ConnectionCls = type(
            "StreamConnection", (_StreamConnection, pool.ConnectionCls), {"on_socket": self._store_socket}
        )
        return pool

    def set_read_timeout(self, timeout_s: float | None) -> None:
        """Let reading the body fail after ``longest_s`` seconds of silence, from now on; None: never.

        It fails as ``requests`` does for any read timeout in a body: a ConnectionError of a ReadTimeoutError.
        """
        if self._socket is not None:
            with contextlib.suppress(OSError):  # closed: the response has ended
                self._socket.settimeout(timeout_s)

    def _store_socket(self, sock: socket.socket) -> None:
        self._socket = sock


class _StreamConnection:
    """In front of urllib3's connection, HTTP or HTTPS."""

    sock: socket.socket
    on_socket: Callable[[socket.socket], None]

    def getresponse(self) -> HTTPResponse:
        self.on_socket(self.sock)  # before: http.client lets go of a socket that closes with its response
        response: HTTPResponse = super().getresponse()  # type: ignore[misc]  # of the class behind this one
        return response
