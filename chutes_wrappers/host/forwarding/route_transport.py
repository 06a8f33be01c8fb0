"""The transport through a chute's public routes, limited to what the platform's JSON can express."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from http import HTTPStatus

import aiohttp

from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.forwarding.chute_client import Chute, PublicCall, read_invocation_id
from chutes_wrappers.host.forwarding.matching import Match, RouteTable
from chutes_wrappers.host.forwarding.public_calls import build_query_and_body
from chutes_wrappers.host.forwarding.public_responses import (
    build_forwarding_error,
    parse_empty_response,
    parse_service_error,
)
from chutes_wrappers.host.forwarding.transport import ForwardedResponse, ForwardingError
from chutes_wrappers.runtime.tunnel_frames import Head, TunnelCall

# The gateway quotes 256 KiB of the service's error, in JSON and perhaps in base64.
_LARGEST_ERROR_BYTES = 4 * 1024**2
_LARGEST_EMPTY_BYTES = 500
_NO_ROUTE = (
    "no route of the chute matches {method} {path} on port {port}. {deploy} --discover M --expose all finds more. "
    "register_tunnel(chute, SERVICE_PORTS) in the module forwards everything."
)


class RouteTransport:
    """The Transport through the public routes of ``chute``: without headers and cookies, and with statuses of errors only."""

    def __init__(self, chute: Chute, routes: RouteTable) -> None:
        self._chute = chute
        self._routes = routes

    @contextlib.asynccontextmanager
    async def send(self, call: TunnelCall) -> AsyncIterator[ForwardedResponse]:
        path = call.target.partition("?")[0]
        match = self._routes.match(call.port, call.method, path)
        if match is None:
            raise ForwardingError(
                404, _NO_ROUTE.format(deploy=NAMES.deploy, method=call.method, path=path, port=call.port)
            )
        async with self._chute.call(_build_public_call(match, call)) as response:
            if response.status == HTTPStatus.OK:
                yield await _build_response(response)
            else:
                body = await self._chute.read_error(response, _LARGEST_ERROR_BYTES)
                yield _build_error_response(response.status, body, read_invocation_id(response))


def _build_public_call(match: Match, call: TunnelCall) -> PublicCall:
    query, body = build_query_and_body(match, call)
    cord = match.cord
    if cord.public_method in BODILESS_METHODS:
        return PublicCall(method=cord.public_method, path=cord.public_path, query=query)
    text = json.dumps(body).encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield text

    return PublicCall(method=cord.public_method, path=cord.public_path, query=query, pieces=pieces, length=len(text))


async def _build_response(response: aiohttp.ClientResponse) -> ForwardedResponse:
    content_type = response.headers.get("Content-Type", "")
    length = None if "Content-Encoding" in response.headers else response.content_length
    is_json_of_unknown_length = length is None and content_type.startswith("application/json")
    if is_json_of_unknown_length or (length is not None and length <= _LARGEST_EMPTY_BYTES):
        body = await _read_beginning(response.content)
        if head := parse_empty_response(content_type, body):
            return ForwardedResponse(head=head, pieces=_yield_once(b""))
        if response.content.at_eof():
            return ForwardedResponse(head=_build_head(content_type, len(body)), pieces=_yield_once(body))
        pieces = _join(body, response.content.iter_any())
        return ForwardedResponse(head=_build_head(content_type, length), pieces=pieces)
    return ForwardedResponse(head=_build_head(content_type, length), pieces=response.content.iter_any())


async def _read_beginning(content: aiohttp.StreamReader) -> bytes:
    """Read a body as far as what is in memory already, but at least until it is too long for an empty response."""
    body = bytearray()
    while len(body) <= _LARGEST_EMPTY_BYTES and (piece := await content.readany()):
        body += piece
    return bytes(body)


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


def _build_head(content_type: str, length: int | None) -> Head:
    kind = (("Content-Type", content_type),) if content_type else ()
    size = (("Content-Length", str(length)),) if length is not None else ()
    return Head(status=200, reason="OK", headers=(*kind, *size))


async def _yield_once(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data
