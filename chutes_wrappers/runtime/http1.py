"""One HTTP/1.1 exchange with a service, byte for byte: no header added or lost, nothing decoded, no redirect followed.

aiohttp decodes header values and adds headers of its own; h11 (which the SDK's servers bring) leaves bytes as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import h11

from chutes_wrappers.runtime.tunnel_frames import Head, Header, TunnelCall
from chutes_wrappers.runtime.tunnel_request import find_hop_by_hop_names

HOST = "127.0.0.1"
MAX_HEAD_BYTES = 256 * 1024
_PIECE_BYTES = 256 * 1024
_CONNECT_TIMEOUT_S = 5.0


class ServiceDisconnected(Exception):
    """The service closed the connection early, or answered something that is not HTTP/1.1."""


class InvalidCall(Exception):
    """The call's headers contradict each other, or its body."""


@contextlib.asynccontextmanager
async def connect(port: int) -> AsyncIterator[Exchange]:
    """A connection to the service on ``port`` for one exchange, gone when the context ends.

    OSError when there is none, TimeoutError when the service is too busy to take it.
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
    """One request and its answer: ``start``, then ``pieces`` to their end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._sending: asyncio.Task[None] | None = None

    async def start(self, call: TunnelCall) -> Head:
        """Begin to send ``call``, and wait for its answer, which may come first. Raises ServiceDisconnected and InvalidCall."""
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
        """The bytes of the answer as they come. Raises ServiceDisconnected."""
        while isinstance(event := await self._next_event(), h11.Data):
            yield bytes(event.data)

    def close(self) -> None:
        """End the exchange, wherever it is."""
        if self._sending is not None:
            self._sending.cancel()
        self._writer.transport.abort()

    async def _send_body(self, body: bytes) -> None:
        # A service that does not want the body closes; what it says then is in its answer.
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
            raise ServiceDisconnected("the service closed the connection without an answer")
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items())
        removed = find_hop_by_hop_names(headers) | {"transfer-encoding"}
        forwarded = tuple((name, value) for name, value in headers if name.lower() not in removed)
        return Head(status=event.status_code, reason=bytes(event.reason).decode("latin-1"), headers=forwarded)

    async def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                self._protocol.receive_data(await self._reader.read(_PIECE_BYTES))
        except (h11.RemoteProtocolError, OSError) as error:
            raise ServiceDisconnected(f"the service broke its answer off: {error}") from error
        return event  # type: ignore[return-value]  # NEED_DATA is excluded


def _build_wire_headers(call: TunnelCall) -> list[tuple[bytes, bytes]]:
    pairs = [*_set_host(call), ("Connection", "close")]
    return [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in _set_content_length(pairs, len(call.body))
    ]


def _set_host(call: TunnelCall) -> Iterator[Header]:
    """The headers with one Host: the client's own, of which services build links and which they check, or the port's.

    A foreign name is not replaced: a service that refuses it protects itself against DNS rebinding.
    """
    hosts = [value for name, value in call.headers if name.lower() == "host"]
    if len(hosts) > 1:
        raise InvalidCall("the request has more than one Host header")
    yield "Host", hosts[0] if hosts else f"{HOST}:{call.port}"
    yield from ((name, value) for name, value in call.headers if name.lower() != "host")


def _set_content_length(headers: list[Header], length: int) -> Iterator[Header]:
    """The headers with the length of the body that is sent, at the place where the client gave one; chunks stay chunks."""
    names = {name.lower() for name, _ in headers}
    for name, value in headers:
        if name.lower() != "content-length":
            yield name, value
        elif "transfer-encoding" not in names:
            yield name, str(length)
    if length and not names & {"content-length", "transfer-encoding"}:
        yield "Content-Length", str(length)
