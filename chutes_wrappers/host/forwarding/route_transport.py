"""Calls through a chute's public routes: what the platform's JSON can say of a request and of its answer."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator

import aiohttp

from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.forwarding.chute_client import Chute, PublicCall, read_at_most
from chutes_wrappers.host.forwarding.matching import Match, RouteTable
from chutes_wrappers.host.forwarding.public_calls import public_parts
from chutes_wrappers.host.forwarding.public_responses import empty_answer, explained, service_error
from chutes_wrappers.host.forwarding.transport import Answer, NotCarried
from chutes_wrappers.runtime.tunnel_frames import Head, TunnelCall

# Of the service's error the gateway quotes 256 KiB, in JSON and perhaps in base64.
_LARGEST_EXPLANATION_BYTES = 4 * 1024**2
_LARGEST_EMPTY_BYTES = 500
_NO_ROUTE = (
    "no route of the chute leads to {method} {path} on port {port}; {deploy} --discover M --expose all finds more, and "
    "register_tunnel(chute, SERVICE_PORTS) in the module carries everything"
)


class RouteCarrier:
    """Carries calls through the public routes of ``chute``; headers and cookies do not travel, statuses only of errors."""

    def __init__(self, chute: Chute, routes: RouteTable) -> None:
        self._chute = chute
        self._routes = routes

    @contextlib.asynccontextmanager
    async def carry(self, call: TunnelCall) -> AsyncIterator[Answer]:
        """See Carrier."""
        path = call.target.partition("?")[0]
        match = self._routes.match(call.port, call.method, path)
        if match is None:
            raise NotCarried(404, _NO_ROUTE.format(deploy=NAMES.deploy, method=call.method, path=path, port=call.port))
        async with self._chute.call(_public_call(match, call)) as answer:
            yield await _answer(answer)


def _public_call(match: Match, call: TunnelCall) -> PublicCall:
    query, body = public_parts(match, call)
    cord = match.cord
    if cord.public_method == "GET":
        return PublicCall(method="GET", path=cord.public_path, query=query)
    text = json.dumps(body).encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield text

    return PublicCall(method="POST", path=cord.public_path, query=query, pieces=pieces, length=len(text))


async def _answer(answer: aiohttp.ClientResponse) -> Answer:
    if answer.status != 200:
        return await _error(answer)
    content_type = answer.headers.get("Content-Type", "")
    length = None if "Content-Encoding" in answer.headers else answer.content_length
    unknown_json = length is None and content_type.startswith("application/json")
    if unknown_json or (length is not None and length <= _LARGEST_EMPTY_BYTES):
        body = await answer.read()
        if head := empty_answer(content_type, body):
            return Answer(head=head, pieces=_once(b""))
        return Answer(head=_head(content_type, len(body)), pieces=_once(body))
    return Answer(head=_head(content_type, length), pieces=answer.content.iter_any())


async def _error(answer: aiohttp.ClientResponse) -> Answer:
    body = await read_at_most(answer, _LARGEST_EXPLANATION_BYTES)
    error = service_error(body) if answer.status == 400 else None
    if error is None:
        raise explained(answer.status, body)
    head, quoted = error
    headers = (*head.headers, ("Content-Length", str(len(quoted))))
    return Answer(head=Head(status=head.status, reason=head.reason, headers=headers), pieces=_once(quoted))


def _head(content_type: str, length: int | None) -> Head:
    kind = (("Content-Type", content_type),) if content_type else ()
    size = (("Content-Length", str(length)),) if length is not None else ()
    return Head(status=200, reason="OK", headers=(*kind, *size))


async def _once(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data
