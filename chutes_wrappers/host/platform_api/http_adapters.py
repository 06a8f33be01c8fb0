"""HTTP adapters for the Chutes API: retries, a deadline for a whole response, and the read timeout of a stream.

``requests`` has one timeout for each read of a response. A server that sends a byte from time to time never meets it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPResponse
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

_RETRY = Retry(
    total=2,  # of a silent API there is no retry: its deadline is over by then
    status_forcelist=(502, 503, 504),
    allowed_methods=("GET",),
    backoff_factor=0.3,
    raise_on_status=False,
    respect_retry_after_header=False,
)
_LINE_END = re.compile(rb"\r\n|\r|\n")
# A page of a list has at most 100 records, each with a readme and with the schemas of its cords.
MAX_RESPONSE_BYTES = 32 * 1024**2
_PIECE_BYTES = 65_536
_MAX_LINE_BYTES = 1024**2
_Result = TypeVar("_Result")
# Without a handler, its warning about each retry goes to standard error.
logging.getLogger("urllib3").addHandler(logging.NullHandler())


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines in ``pieces`` without their ends, each as soon as it is complete; one longer than 1 MiB in parts.

    ``Response.iter_lines`` copies the incomplete line for each byte that it reads: minutes for a line of 300 KB.
    """
    line = bytearray()
    for piece in pieces:
        *line_ends, rest = _LINE_END.split(piece)
        for end in line_ends:
            yield bytes(line + end)
            line.clear()
        line += rest
        if len(line) > _MAX_LINE_BYTES:  # a log without line ends may go on for as long as it is followed
            yield bytes(line)
            line.clear()
    if line:
        yield bytes(line)


class ResponseTooLarge(requests.RequestException):
    """A response has more than MAX_RESPONSE_BYTES."""


def read_body(response: requests.Response) -> None:
    """Read the whole body of a ``response`` that was requested as a stream. Raises ResponseTooLarge and requests' errors."""
    pieces, size, source = [], 0, response.raw
    with contextlib.closing(source):  # a connection whose response is complete stays open
        try:
            for piece in source.stream(_PIECE_BYTES, decode_content=True):
                size += len(piece)
                if size > MAX_RESPONSE_BYTES:
                    raise ResponseTooLarge(f"the response is larger than {MAX_RESPONSE_BYTES // 1024**2} MiB")
                pieces.append(piece)
        except HTTPError as error:
            raise requests.ConnectionError(error) from error
    response.raw = io.BytesIO(b"".join(pieces))


def run_with_deadline(action: Callable[[], _Result], timeout_s: float, end: Callable[[], None]) -> _Result:
    """Return what ``action`` returns, or raise what it raises; after ``timeout_s`` seconds call ``end`` and raise TimeoutError.

    The action runs in another thread, since a look-up of a host name or a TLS handshake has no deadline. ``end`` must end it;
    it is also called for Ctrl-C.
    """
    results: list[_Result] = []
    failures: list[BaseException] = []
    is_done = threading.Event()

    def run() -> None:
        try:
            results.append(action())
        except BaseException as error:  # noqa: BLE001  # raised below, in the caller's thread
            failures.append(error)
        finally:
            is_done.set()

    threading.Thread(target=run, daemon=True, name="request").start()
    try:
        if not is_done.wait(timeout_s):
            raise TimeoutError(f"no complete response within {timeout_s:g} s")
    except BaseException:
        end()
        raise
    if failures:
        raise failures[0]
    return results[0]


class DeadlineAdapter(HTTPAdapter):
    """An adapter without retries, for requests one after the other. Another thread can end them all, even within a head.

    A server that sends a byte of its head from time to time, or one 100 Continue after another, never runs into a timeout.
    """

    def __init__(self, retries: Retry | None = None) -> None:
        super().__init__(max_retries=retries or Retry(0, read=False))
        self._socket: socket.socket | None = None
        self._has_ended = False

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """Return the pool for the request, with connections that report the socket of the response."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        if not issubclass(pool.ConnectionCls, _ReportingConnection):
            pool.ConnectionCls = type(
                "ReportingConnection",
                (_ReportingConnection, pool.ConnectionCls),
                {"on_request": self._check_running, "on_socket": self._store_socket},
            )
        return pool

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request. Raises ConnectionError of requests after ``end``: a head that was cut off looks like a complete one."""
        response = super().send(*arguments, **options)
        if self._has_ended:
            response.close()
            raise requests.ConnectionError("the requests have ended")
        return response

    def end(self) -> None:
        """End the running request and all later ones, which fail as if the server had closed the connection."""
        self._has_ended = True
        if self._socket is not None:
            # A duplicate, since the socket may be a TLS object.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._socket.fileno())) as duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)

    def _check_running(self) -> None:
        if self._has_ended:
            raise ConnectionAbortedError("the requests have ended")

    def _store_socket(self, sock: socket.socket) -> None:
        self._socket = sock
        if self._has_ended:
            self.end()


class RetryAdapter(DeadlineAdapter):
    """Retries a GET after a lost connection and after 502, 503 and 504. Sends any other request once."""

    def __init__(self) -> None:
        super().__init__(_RETRY)


class StreamAdapter(RetryAdapter):
    """An adapter for one request, whose body may have another read timeout than its head."""

    def set_read_timeout(self, timeout_s: float | None) -> None:
        """Set the timeout for each read of the body, in seconds; None: no timeout.

        A read that times out raises what ``requests`` raises: a ConnectionError of a ReadTimeoutError.
        """
        if self._socket is not None:
            with contextlib.suppress(OSError):  # closed: the response has ended
                self._socket.settimeout(timeout_s)


class _ReportingConnection:
    """A base class before urllib3's connection class, HTTP or HTTPS."""

    sock: socket.socket
    on_request: Callable[[], None]
    on_socket: Callable[[socket.socket], None]

    def request(self, *arguments: Any, **options: Any) -> None:
        self.on_request()  # a retry begins after a pause
        super().request(*arguments, **options)  # type: ignore[misc]  # of urllib3's class

    def getresponse(self) -> HTTPResponse:
        self.on_socket(self.sock)  # first: http.client drops a socket that closes with its response
        response: HTTPResponse = super().getresponse()  # type: ignore[misc]  # of urllib3's class
        return response
