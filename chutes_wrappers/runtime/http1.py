"""One HTTP/1.1 exchange with a service, byte for byte: no header added or lost, nothing decoded, no redirect followed.

aiohttp decodes header values and adds its own headers. h11, which the SDK's servers depend on, leaves bytes unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import h11

from chutes_wrappers.runtime.response_heads import MAX_HEAD_BYTES, HeadReader, InvalidHead
from chutes_wrappers.runtime.tunnel_frames import Head, Header, TunnelCall
from chutes_wrappers.runtime.tunnel_request import find_hop_by_hop_names
from chutes_wrappers.runtime.upstream import HOST

_PIECE_BYTES = 256 * 1024
_CONNECT_TIMEOUT_S = 5.0


class ServiceDisconnected(Exception):
    """The service closed the connection early, or its response is not HTTP/1.1."""


class InvalidCall(Exception):
    """The call's headers contradict each other, or its body."""


@contextlib.asynccontextmanager
async def connect(port: int) -> AsyncIterator[Exchange]:
    """Connect to the service on ``port`` for one exchange; the connection is closed when the context ends.

    Raises OSError if that fails, and TimeoutError if the service is too busy to accept it.
    """
    try:
        connection = asyncio.open_connection(HOST, port, limit=_PIECE_BYTES)
        reader, writer = await asyncio.wait_for(connection, _CONNECT_TIMEOUT_S)
    except asyncio.TimeoutError as error:
        raise TimeoutError(f"no connection within {_CONNECT_TIMEOUT_S:g} s") from error
    exchange = Exchange(reader, writer)
    try:
        yield exchange
    finally:
        exchange.close()


class Exchange:
    """One request and its response: ``start``, then ``iter_body`` to its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._heads = HeadReader()
        self._sending: asyncio.Task[None] | None = None

    async def start(self, call: TunnelCall) -> Head:
        """Start to send ``call``, and return the head of its response, which may arrive first. Raises ServiceDisconnected, InvalidCall."""
        try:
            head = self._protocol.send(
                h11.Request(method=call.method, target=call.target, headers=_build_wire_headers(call))
            )
        except h11.LocalProtocolError as error:
            raise InvalidCall(f"the call cannot be sent: {error}") from error
        self._writer.write(head or b"")
        self._sending = asyncio.create_task(self._send_body(call.body))
        return await self._read_head()

    async def iter_body(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the response as they arrive. Raises ServiceDisconnected."""
        while isinstance(event := await self._next_event(), h11.Data):
            yield bytes(event.data)

    def close(self) -> None:
        """End the exchange, at any point."""
        if self._sending is not None:
            self._sending.cancel()
        self._writer.transport.abort()

    async def _send_body(self, body: bytes) -> None:
        # A service that rejects the body closes the connection; the reason is in its response.
        with contextlib.suppress(OSError):
            for start in range(0, len(body), _PIECE_BYTES):
                self._write(h11.Data(data=body[start : start + _PIECE_BYTES]))
                await self._writer.drain()
            self._write(h11.EndOfMessage())
            await self._writer.drain()

    def _write(self, event: h11.Event) -> None:
        self._writer.write(self._protocol.send(event) or b"")

    async def _read_head(self) -> Head:
        event = await self._next_event()
        while isinstance(event, h11.InformationalResponse):
            event = await self._next_event()
        if not isinstance(event, h11.Response):
            raise ServiceDisconnected("the service closed the connection without a response")
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items())
        removed = find_hop_by_hop_names(headers) | {"transfer-encoding"}
        forwarded = tuple((name, value) for name, value in headers if name.lower() not in removed)
        return Head(status=event.status_code, reason=bytes(event.reason).decode("latin-1"), headers=forwarded)

    async def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                await self._receive()
        except InvalidHead as error:
            raise ServiceDisconnected(f"the service's response cannot be read: {error}") from error
        except (h11.RemoteProtocolError, OSError) as error:
            raise ServiceDisconnected(f"the service aborted its response: {error}") from error
        return event  # type: ignore[return-value]  # NEED_DATA is excluded

    async def _receive(self) -> None:
        """Pass on what the service sends next. Raises InvalidHead and OSError."""
        piece = await self._reader.read(_PIECE_BYTES)
        if ready := self._heads.feed(piece) if piece else self._heads.finish():
            self._protocol.receive_data(ready)
        if not piece:
            self._protocol.receive_data(b"")


def _build_wire_headers(call: TunnelCall) -> list[tuple[bytes, bytes]]:
    pairs = [*_set_host(call), ("Connection", "close")]
    return [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in _set_content_length(pairs, len(call.body))
    ]


def _set_host(call: TunnelCall) -> Iterator[Header]:
    """Yield the headers with one Host: the client's, which services check and build links from, else that of the port.

    A foreign name is not replaced: a service that rejects it protects itself against DNS rebinding.
    """
    hosts = [value for name, value in call.headers if name.lower() == "host"]
    if len(hosts) > 1:
        raise InvalidCall("the request has more than one Host header")
    yield "Host", hosts[0] if hosts else f"{HOST}:{call.port}"
    yield from ((name, value) for name, value in call.headers if name.lower() != "host")


def _set_content_length(headers: list[Header], length: int) -> Iterator[Header]:
    """Yield the headers with the length of the sent body, at the position of the client's; a chunked body stays chunked."""
    names = {name.lower() for name, _ in headers}
    for name, value in headers:
        if name.lower() != "content-length":
            yield name, value
        elif "transfer-encoding" not in names:
            yield name, str(length)
    if length and not names & {"content-length", "transfer-encoding"}:
        yield "Content-Length", str(length)
