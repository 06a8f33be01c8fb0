"""A server on 127.0.0.1 that sends every request through a transport, and returns the response unchanged.

aiohttp's server adds headers (Date, Server, a media type) and decodes header bytes; h11 does neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http.client import responses

import h11

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.local_guard import REFUSAL_STATUS, AllowList, LocalGuard
from chutes_wrappers.host.forwarding.transport import ForwardedResponse, ForwardingError, Transport
from chutes_wrappers.runtime.http1 import MAX_HEAD_BYTES
from chutes_wrappers.runtime.tunnel_frames import Header, TunnelCall

HOST = "127.0.0.1"
# In base64 it must fit into what the instance accepts as one call.
LARGEST_BODY_BYTES = 700 * 1024**2
_PIECE_BYTES = 256 * 1024
_BODILESS = frozenset({204, 304})
_WEB_SOCKETS = (
    "WebSockets cannot be forwarded: the platform supports requests and responses only. Let the client use plain HTTP "
    "(polling or server-sent events), if it can."
)


class _ClientDisconnected(Exception):
    """The client has closed the connection before the response was complete."""


class ForwardingServer:
    """Listens on ``local_port`` for the service on ``service_port``. A context manager, whose end cancels every call.

    Calls cost the user money: pages of other sites and foreign hosts get 403, unless they are ``allowed``.
    """

    def __init__(
        self,
        local_port: int,
        service_port: int,
        transport: Transport,
        report: Callable[[str], None],
        allowed: AllowList | None = None,
    ) -> None:
        self._local_port = local_port
        self._service_port = service_port
        self._transport = transport
        self._report = report
        self._guard = LocalGuard(loopback_origins=True, allowed=allowed or AllowList())
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that it listens on: ``local_port``, unless that was 0."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> ForwardingServer:
        try:
            self._server = await asyncio.start_server(self._serve, HOST, self._local_port, limit=_PIECE_BYTES)
        except OSError as error:
            raise ConfigurationError(
                f"port {self._local_port} of this machine cannot be used ({error.strerror or error})",
                next_step=f"stop the program that listens there, or use another port: --listen {self._local_port + 10000}:{self._service_port}",
            ) from error
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._server is not None
        self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.current_task()
        assert client is not None
        self._clients.add(client)
        try:
            await _Client(reader, writer, self._service_port, self._transport, self._report, self._guard).serve()
        except (_ClientDisconnected, OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._clients.discard(client)
            writer.close()


class _Client:
    """One connection, with one request after the other."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        port: int,
        transport: Transport,
        report: Callable[[str], None],
        guard: LocalGuard,
    ) -> None:
        self._guard = guard
        self._method = ""
        self._reader = reader
        self._writer = writer
        self._port = port
        self._transport = transport
        self._report = report
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def serve(self) -> None:
        """Serve requests until the connection has to end."""
        try:
            while (call := await self._read_call()) is not None:
                await self._respond(call)
                if self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
                    return
                self._protocol.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._send_error(ForwardingError(error.error_status_hint, f"not an HTTP/1.1 request: {error}"))
        except ForwardingError as failure:
            await self._send_error(failure)

    async def _read_call(self) -> TunnelCall | None:
        """Read the next request with its whole body; None when the client has closed the connection."""
        request = await self._read_event()
        if not isinstance(request, h11.Request):
            return None
        headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw_items()
        )
        method = self._method = request.method.decode("ascii")
        if refusal := self._guard.find_refusal(method, headers):
            raise ForwardingError(REFUSAL_STATUS, refusal)
        if any(name.lower() == "upgrade" and "websocket" in value.lower() for name, value in headers):
            raise ForwardingError(501, _WEB_SOCKETS)
        return TunnelCall(
            port=self._port,
            method=method,
            target=request.target.decode("ascii"),
            headers=headers,
            body=await self._read_body(),
        )

    async def _read_body(self) -> bytes:
        if self._protocol.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
        body = bytearray()
        while isinstance(event := await self._read_event(), h11.Data):
            body += event.data
            if len(body) > LARGEST_BODY_BYTES:
                raise ForwardingError(
                    413, f"the body is larger than the {LARGEST_BODY_BYTES // 1024**2} MiB that can be forwarded"
                )
        return bytes(body)

    async def _read_event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await self._reader.read(_PIECE_BYTES))
        return event  # type: ignore[return-value]  # NEED_DATA is excluded

    async def _respond(self, call: TunnelCall) -> None:
        """Forward ``call``; cancel it when the client disconnects meanwhile."""
        forwarding = asyncio.create_task(self._forward(call))
        disconnect = asyncio.create_task(self._wait_for_disconnect())
        try:
            await asyncio.wait({forwarding, disconnect}, return_when=asyncio.FIRST_COMPLETED)
            if not forwarding.done():
                raise _ClientDisconnected
            await forwarding
        finally:
            for task in (forwarding, disconnect):
                task.cancel()
            await asyncio.gather(forwarding, disconnect, return_exceptions=True)

    async def _wait_for_disconnect(self) -> None:
        # Received bytes are the next request. One piece of it is enough for now.
        if data := await self._reader.read(_PIECE_BYTES):
            self._protocol.receive_data(data)
            await asyncio.Event().wait()

    async def _forward(self, call: TunnelCall) -> None:
        try:
            async with self._transport.send(call) as response:
                await self._send_response(call, response)
        except ForwardingError as failure:
            self._report(f"{call.method} {call.target.partition('?')[0]}: {failure.text}")
            await self._send_error(failure)

    async def _send_response(self, call: TunnelCall, response: ForwardedResponse) -> None:
        try:
            await self._send(
                h11.Response(
                    status_code=response.head.status,
                    headers=_encode_headers(response.head.headers),
                    reason=response.head.reason.encode("latin-1"),
                )
            )
            async for piece in response.pieces:
                if call.method != "HEAD" and response.head.status not in _BODILESS:
                    await self._send(h11.Data(data=piece))
            await self._send(h11.EndOfMessage())
        except h11.LocalProtocolError as error:
            raise ForwardingError(502, f"the response is not valid HTTP/1.1: {error}") from error

    async def _send_error(self, error: ForwardingError) -> None:
        """Send the error to the client; when a response has begun, abort the connection, as the service did."""
        if self._protocol.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self._writer.transport.abort()
            return
        text = f"{error.text}\n".encode()
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))]
        if self._protocol.their_state is not h11.DONE:
            headers.append(("Connection", "close"))
        reason = responses[error.status].encode()
        await self._send(h11.Response(status_code=error.status, headers=_encode_headers(headers), reason=reason))
        if self._method != "HEAD":
            await self._send(h11.Data(data=text))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        try:
            self._writer.write(self._protocol.send(event) or b"")
            await self._writer.drain()
        except OSError as error:  # another type: a transport would handle an OSError as the chute's
            raise _ClientDisconnected from error


def _encode_headers(headers: tuple[Header, ...] | list[Header]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
