"""Kept connections that callers share: bytes that no caller asked for never become the response of the next caller.

aiohttp checks a connection when it is released (issue 13656). A service may send a second response later, or in the same segment as
the first. So a connection is checked when it is taken.
"""

from __future__ import annotations

import functools
import inspect
import secrets
import select
import socket
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError

from chutes_wrappers.runtime.response_heads import HeadReader, InvalidHead

# aiohttp's default.
_KEEPALIVE_S = 15.0
# No service can know this response, so a parser that reads exactly this has nothing else in it.
_PROBE_REASON = secrets.token_hex(8)
_PROBE = f"HTTP/1.1 200 {_PROBE_REASON}\r\nContent-Length: 0\r\n\r\n".encode()


def _can_check(connector_class: type[aiohttp.BaseConnector]) -> bool:
    """Return whether ``connector_class`` takes connections as ``_CheckingConnector`` expects: aiohttp 3.10.11 and later."""
    method = getattr(connector_class, "_get", None)
    return inspect.iscoroutinefunction(method) and [*inspect.signature(method).parameters] == ["self", "key", "traces"]


CAN_SHARE = _can_check(aiohttp.TCPConnector)


def make_connector(
    *,
    keepalive_s: float = _KEEPALIVE_S,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    is_shared: bool = True,
) -> aiohttp.TCPConnector:
    """Return a connector without a limit of connections. It keeps each for ``keepalive_s`` seconds; none unless ``is_shared``.

    A connection with unread bytes is closed when it would be used again. With a version of aiohttp that does not allow this
    check, each request gets a new connection. Heads of responses are read by ``response_heads``.
    """
    if CAN_SHARE and is_shared:
        connector: aiohttp.TCPConnector = _CheckingConnector(limit=0, keepalive_timeout=keepalive_s, family=family)
    else:
        connector = aiohttp.TCPConnector(limit=0, force_close=True, family=family)
    factory = getattr(connector, "_factory", None)
    if isinstance(factory, functools.partial):  # in every version from 3.10.0 to 3.14.5
        vars(connector)["_factory"] = functools.partial(_LenientHandler, **factory.keywords)
    return connector


class _LenientHandler(ResponseHandler):
    """aiohttp's connection, whose parser gets heads of responses from ``HeadReader``."""

    _heads: HeadReader | None = None

    def set_response_params(self, **options: Any) -> None:
        self._heads = HeadReader()  # first: the base class parses what has arrived already
        super().set_response_params(**options)

    def data_received(self, data: bytes) -> None:
        try:
            ready = self._heads.feed(data) if self._heads else data
        except InvalidHead as error:
            if self.transport is not None:
                self.transport.close()
            self.set_exception(HttpProcessingError(message=str(error)), error)
            return
        if ready or not data:
            super().data_received(ready)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._heads and (beginning := self._heads.finish()):
            super().data_received(beginning)
        super().connection_lost(exc)


class _CheckingConnector(aiohttp.TCPConnector):
    async def _get(self, key: Any, traces: Any) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            if _is_clean(connection):
                return connection
            connection.close()
        return None


def _is_clean(connection: Connection) -> bool:
    """Return whether no byte has arrived on ``connection`` since the end of its last response."""
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or protocol.should_close:
        return False
    return not _is_readable(transport.get_extra_info("socket")) and _is_parser_empty(getattr(protocol, "_parser", None))


def _is_readable(connected: Any) -> bool:
    """Return whether the kernel has bytes, or the end of the connection, that the event loop has not read yet."""
    poll = select.poll()
    poll.register(connected.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _is_parser_empty(parser: Any) -> bool:
    """Return whether ``parser`` has no beginning of a response. It is used up: each request gets a new one."""
    if parser is None:
        return False
    try:
        messages, _, _ = parser.feed_data(_PROBE)
    except HttpProcessingError:
        return False
    return [message.reason for message, _ in messages] == [_PROBE_REASON]
