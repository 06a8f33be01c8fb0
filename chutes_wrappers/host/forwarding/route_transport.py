"""The transport through a chute's public routes, for requests that these carry as the client sent them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from http.client import responses
from typing import Any

import aiohttp
import orjson

from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.routes import STREAM_SWITCH, Route
from chutes_wrappers.host.forwarding.chute_client import Chute, PublicCall, read_invocation_id
from chutes_wrappers.host.forwarding.exact_calls import ExactCall, find_exact_call
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.host.forwarding.public_responses import (
    build_forwarding_error,
    parse_empty_response,
    parse_mark,
    parse_service_error,
)
from chutes_wrappers.host.forwarding.transport import ForwardedResponse, ForwardingError
from chutes_wrappers.host.forwarding.tunnel_required import TunnelRequired
from chutes_wrappers.runtime.tunnel_frames import Head, Header, TunnelCall

# The gateway quotes 256 KiB of the service's error, in JSON and perhaps in base64.
_LARGEST_ERROR_BYTES = 4 * 1024**2
# It is converted twice, which takes a second for 100 MB.
_LARGE_BODY_BYTES = 256 * 1024
_EVENT_STREAM = "text/event-stream"
_LINE_TYPES = ("json", "jsonl", "ndjson", "jsonlines")


class RouteTransport:
    """The Transport through the public routes of ``chute``, whose responses have a media type and a status, and no other headers.

    ``module_name`` is for errors, ``report`` gets a line about the first request of which a header was left out.
    """

    def __init__(
        self,
        chute: Chute,
        routes: RouteTable,
        module_name: str = "the module",
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._chute = chute
        self._routes = routes
        self._module_name = module_name
        self._report = report
        self._reported: set[str] = set()

    @contextlib.asynccontextmanager
    async def send(self, call: TunnelCall) -> AsyncIterator[ForwardedResponse]:
        try:
            exact = await self._find_call(call)
            async with self._chute.call(_build_public_call(exact)) as response:
                yield await self._read_response(exact.match.cord.route, call, response)
        except TunnelRequired as refusal:
            raise refusal.to_error(self._module_name) from refusal

    async def _find_call(self, call: TunnelCall) -> ExactCall:
        matches = self._routes.iter_matches(call.port, call.method, call.target.partition("?")[0])
        if len(call.body) > _LARGE_BODY_BYTES:
            exact = await asyncio.to_thread(find_exact_call, matches, call)
        else:
            exact = find_exact_call(matches, call)
        for name in set(exact.lost_headers) - self._reported:
            self._reported.add(name)
            self._report(
                f"the routes declare no {name.capitalize()}: it is left out; only the tunnel carries it "
                f"(register_tunnel(chute, SERVICE_PORTS) in {self._module_name})"
            )
        return exact

    async def _read_response(
        self, route: Route, call: TunnelCall, response: aiohttp.ClientResponse
    ) -> ForwardedResponse:
        if response.status == HTTPStatus.OK:
            forwarded = await _build_response(route, response)
        else:
            body = await self._chute.read_error(response, _LARGEST_ERROR_BYTES)
            forwarded = _build_error_response(response.status, body, read_invocation_id(response))
        return _remove_length(forwarded) if call.method == "HEAD" else forwarded


def _build_public_call(exact: ExactCall) -> PublicCall:
    cord, values = exact.match.cord, exact.values
    if cord.public_method in BODILESS_METHODS:
        return PublicCall(method=cord.public_method, path=cord.public_path, query=values.query)
    text = _dump_json(values.body)

    async def pieces() -> AsyncIterator[bytes]:
        yield text

    return PublicCall(
        method=cord.public_method, path=cord.public_path, query=values.query, pieces=pieces, length=len(text)
    )


def _dump_json(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # very deep
        return json.dumps(body).encode()


async def _build_response(route: Route, response: aiohttp.ClientResponse) -> ForwardedResponse:
    content_type, mark = parse_mark(response.headers.get("Content-Type", ""))
    if mark == "empty":
        head = parse_empty_response(await response.read())
        if head is None:
            raise ForwardingError(HTTPStatus.BAD_GATEWAY, "the chute's response is marked as empty, and is not")
        return ForwardedResponse(head=head, pieces=_yield_once(b""))
    length = None if "Content-Encoding" in response.headers else response.content_length
    pieces: AsyncIterator[bytes] = response.content.iter_any()
    if route.stream and content_type.startswith(_EVENT_STREAM):
        beginning = await response.content.readany()
        content_type, pieces = _restore_type(route, content_type, beginning), _join(beginning, pieces)
    return ForwardedResponse(head=_build_head(int(mark or HTTPStatus.OK), content_type, length), pieces=pieces)


def _restore_type(route: Route, content_type: str, beginning: bytes) -> str:
    """Return the media type of a stream's response, which is always that of events on the platform."""
    if not beginning.lstrip().startswith((b"{", b"[")):
        return content_type
    declared = route.response.content_type if route.response else ""
    if any(kind in declared for kind in _LINE_TYPES):
        return declared
    return "application/json" if route.stream == STREAM_SWITCH else content_type


async def _join(beginning: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield beginning
    async for piece in rest:
        yield piece


def _build_error_response(status: int, body: bytes, invocation_id: str) -> ForwardedResponse:
    error = parse_service_error(body) if status == HTTPStatus.BAD_REQUEST else None
    if error is None:
        raise build_forwarding_error(status, body, invocation_id)
    head, service_body = error
    headers = (*head.headers, ("Content-Length", str(len(service_body))))
    return ForwardedResponse(
        head=Head(status=head.status, reason=head.reason, headers=headers), pieces=_yield_once(service_body)
    )


def _build_head(status: int, content_type: str, length: int | None) -> Head:
    kind: tuple[Header, ...] = (("Content-Type", content_type),) if content_type else ()
    size = (("Content-Length", str(length)),) if length is not None else ()
    return Head(status=status, reason=responses.get(status, ""), headers=(*kind, *size))


def _remove_length(forwarded: ForwardedResponse) -> ForwardedResponse:
    """Remove the length, which would be that of the response to a GET, and is unknown."""
    head = forwarded.head
    headers = tuple(header for header in head.headers if header[0].lower() != "content-length")
    return ForwardedResponse(
        head=Head(status=head.status, reason=head.reason, headers=headers), pieces=forwarded.pieces
    )


async def _yield_once(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data
