"""One connection of a client to the forwarder: its requests, one after the other.

Requests and responses are unchanged but for addresses (``address_mapping``) and a browser's cookies (``browser_cookies``). aiohttp's
server adds headers (Date, Server, a media type) and decodes header bytes; h11 does neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from http.client import responses

import h11

from chutes_wrappers.core.local_guard import REFUSAL_STATUS, LocalGuard
from chutes_wrappers.host.forwarding.address_mapping import map_call, map_head
from chutes_wrappers.host.forwarding.browser_cookies import (
    find_redirect,
    has_shared_cookies,
    remove_cookie_changes,
    remove_cookies,
)
from chutes_wrappers.host.forwarding.local_names import LocalNames, get_header
from chutes_wrappers.host.forwarding.request_targets import normalise_target
from chutes_wrappers.host.forwarding.response_heads import build_response, encode_headers
from chutes_wrappers.host.forwarding.transport import ForwardingError, Transport
from chutes_wrappers.runtime.response_heads import MAX_HEAD_BYTES
from chutes_wrappers.runtime.tunnel_frames import Header, TunnelCall

# In base64 it must fit into what the instance accepts as one call.
LARGEST_BODY_BYTES = 700 * 1024**2
PIECE_BYTES = 256 * 1024
_OWN_NAME = "127.0.0.1"
_BODILESS = frozenset({204, 304})
_REDIRECT_STATUS = 307
_LONGEST_REDIRECT_S = 10.0
_LONGEST_LINE = 500
_WEB_SOCKETS = (
    "WebSockets cannot be forwarded: the platform supports requests and responses only. Let the client use plain HTTP "
    "(polling or server-sent events), if it can."
)


class ClientDisconnected(Exception):
    """The client has closed the connection before the response was complete."""


@dataclass(frozen=True, kw_only=True)
class ConnectionContext:
    """What all connections of a server share.

    ``redirected_origins`` are the origins of redirected requests, by method and target: a browser sends ``null`` after a redirect
    to another host.
    """

    names: LocalNames
    transport: Transport
    report: Callable[[str], None]
    guard: LocalGuard
    redirected_origins: dict[tuple[str, str], str] = field(default_factory=dict)

    def add_redirect(self, call: TunnelCall) -> None:
        """Remember the origin of ``call`` for the one request that follows its redirect."""
        key, origin = (call.method, call.target), get_header(call.headers, "origin")
        if origin:
            self.redirected_origins[key] = origin
            asyncio.get_running_loop().call_later(_LONGEST_REDIRECT_S, self.redirected_origins.pop, key, None)

    def restore_origin(self, method: str, target: str, headers: tuple[Header, ...]) -> tuple[Header, ...]:
        """Return the headers with the origin from before the redirect, if this navigation follows one."""
        is_opaque = get_header(headers, "origin") == "null" and get_header(headers, "sec-fetch-mode") == "navigate"
        origin = self.redirected_origins.pop((method, target), None) if is_opaque else None
        if origin is None:
            return headers
        return tuple((name, origin if name.lower() == "origin" else value) for name, value in headers)


class ClientConnection:
    """One connection, with one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ConnectionContext) -> None:
        self._context = context
        self._method = ""
        self._reader = reader
        self._writer = writer
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
        if get_header(headers, "transfer-encoding") and (
            get_header(headers, "content-length") or request.http_version == b"1.0"
        ):
            # Another server may have read another end of it: what follows could be a part of its body (RFC 9112, section 6.1).
            raise ForwardingError(
                400, "a request with Transfer-Encoding has no Content-Length, and is HTTP/1.1: its end is not certain"
            )
        if method == "CONNECT":
            raise ForwardingError(501, "CONNECT cannot be forwarded: this server is not a proxy. Use its URL itself.")
        if request.http_version == b"1.0" and not get_header(headers, "host"):
            # Only HTTP/1.0 may leave it out. Browsers never use that.
            headers = (("Host", f"{_OWN_NAME}:{self._context.names.port}"), *headers)
        target, authority = normalise_target(method, request.target.decode("ascii"))
        headers = self._context.restore_origin(method, target, headers)
        self._check(method, headers)
        if authority is not None:  # it overrides the Host header (RFC 9112, section 3.2.2)
            headers = (("Host", authority), *(header for header in headers if header[0].lower() != "host"))
            self._check(method, headers)
        if any(name.lower() == "upgrade" and "websocket" in value.lower() for name, value in headers):
            raise ForwardingError(501, _WEB_SOCKETS)
        return TunnelCall(
            port=self._context.names.service_port,
            method=method,
            target=target,
            headers=headers,
            body=await self._read_body(),
        )

    def _check(self, method: str, headers: tuple[Header, ...]) -> None:
        if refusal := self._context.guard.find_refusal(method, headers):
            raise ForwardingError(REFUSAL_STATUS, refusal)

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
            self._protocol.receive_data(await self._reader.read(PIECE_BYTES))
        return event  # type: ignore[return-value]  # NEED_DATA is excluded

    async def _respond(self, call: TunnelCall) -> None:
        """Forward ``call``; cancel it when the client disconnects meanwhile."""
        forwarding = asyncio.create_task(self._forward(call))
        disconnect = asyncio.create_task(self._wait_for_disconnect())
        try:
            await asyncio.wait({forwarding, disconnect}, return_when=asyncio.FIRST_COMPLETED)
            if not forwarding.done():
                raise ClientDisconnected
            await forwarding
        finally:
            for task in (forwarding, disconnect):
                task.cancel()
            await asyncio.gather(forwarding, disconnect, return_exceptions=True)

    async def _wait_for_disconnect(self) -> None:
        # Received bytes are the next request. One piece of it is enough for now.
        if data := await self._reader.read(PIECE_BYTES):
            self._protocol.receive_data(data)
            await asyncio.Event().wait()

    async def _redirect(self, call: TunnelCall, location: str) -> None:
        self._context.add_redirect(call)
        text = f"A browser finds this service at {location}\n"
        await self._send_text(_REDIRECT_STATUS, text, (("Location", location), ("Cache-Control", "no-store")))

    async def _forward(self, call: TunnelCall) -> None:
        try:
            await self._exchange(call)
        except ForwardingError as failure:
            await self._fail(call, failure)
        except ClientDisconnected:
            raise
        except Exception as fault:  # noqa: BLE001  # also of this program: the client must not wait, or get an empty response
            await self._fail(call, ForwardingError(500, f"this request failed: {type(fault).__name__}: {fault}"))

    async def _exchange(self, call: TunnelCall) -> None:
        names = self._context.names
        if location := find_redirect(names, call):
            await self._redirect(call, location)
            return
        is_stripped = has_shared_cookies(names, call.headers)
        sent = replace(call, headers=remove_cookies(call.headers)) if is_stripped else call
        async with self._context.transport.send(map_call(names, sent)) as response:
            head = map_head(names, call, response.head)
            head = replace(head, headers=remove_cookie_changes(head.headers)) if is_stripped else head
            await self._send_response(call.method, build_response(head), response.pieces)

    async def _send_response(self, method: str, head: h11.Response, pieces: AsyncIterator[bytes]) -> None:
        try:
            await self._send(head)
            async for piece in pieces:
                if method != "HEAD" and head.status_code not in _BODILESS:
                    await self._send(h11.Data(data=piece))
            await self._send(h11.EndOfMessage())
        except h11.LocalProtocolError as error:
            raise ForwardingError(502, f"the response is not valid HTTP/1.1: {error}") from error

    async def _fail(self, call: TunnelCall, failure: ForwardingError) -> None:
        try:
            await self._send_error(failure)
        finally:
            line = " ".join(failure.text.split())[:_LONGEST_LINE]
            self._context.report(f"{call.method} {call.target.partition('?')[0]}: {line}")

    async def _send_error(self, error: ForwardingError) -> None:
        """Send the error to the client; when a response has begun, abort the connection, as the service did."""
        if self._protocol.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._send_text(error.status, f"{error.text}\n")
        else:
            self._writer.transport.abort()

    async def _send_text(self, status: int, text: str, more: tuple[Header, ...] = ()) -> None:
        body = text.encode()
        headers = [*more, ("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        if self._protocol.their_state is not h11.DONE:
            headers.append(("Connection", "close"))
        reason = responses.get(status, "").encode()
        await self._send(h11.Response(status_code=status, headers=encode_headers(headers), reason=reason))
        if self._method != "HEAD":
            await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        try:
            self._writer.write(self._protocol.send(event) or b"")
            await self._writer.drain()
        except OSError as error:  # another type: a transport would handle an OSError as the chute's
            raise ClientDisconnected from error
