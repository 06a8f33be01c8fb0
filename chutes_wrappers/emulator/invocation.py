"""Calls to a chute's own host: ``http://<slug>.localhost:PORT/<public path>`` (PLATFORM.md, section 3).

Two rules are not from PLATFORM.md. A call to a chute without an active instance starts one. It waits as long as the SDK's
client retries (180 s), and then returns 503. A stream that fails is cut off without its end, so that the client sees it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from enum import Enum
from typing import Any, NoReturn

import aiohttp
from loguru import logger
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator import client_response
from chutes_wrappers.emulator.client_response import (
    AT_CAPACITY,
    NO_INFRASTRUCTURE,
    ClientResponse,
    InstanceFailed,
    make_error_response,
)
from chutes_wrappers.emulator.instance import Instance
from chutes_wrappers.emulator.instance_request import PreparedCall, RequestRejected, prepare_call, slug_of
from chutes_wrappers.emulator.instances import AtCapacity, Instances, NoInstance
from chutes_wrappers.emulator.records import CallRecord, ChuteRecord
from chutes_wrappers.emulator.transport import InstanceResponse
from chutes_wrappers.runtime.call_shape import ASGIApp, Scope

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_STREAM_TYPE = "text/event-stream"
# When a connection is lost, the end of the instance is detected within this time.
_END_DETECTION_S = 1.0
_UNREACHABLE = (aiohttp.ClientError, asyncio.TimeoutError, OSError)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Timeouts in seconds. ``cold_wait_s``: for the first instance; ``call_s``: for one call."""

    cold_wait_s: float = platform_rules.PROVISION_TIMEOUT_S
    call_s: float = platform_rules.API_CALL_LIMIT_S


class StreamEnd(Enum):
    """How a stream ended after its start was sent to the client."""

    COMPLETE = "complete"
    BROKEN = "broken"


# What is left to send after the call to the instance.
CallResult = ClientResponse | StreamEnd


class Invocation:
    """ASGI middleware: handles calls to the hosts of chutes, and passes all others to ``app``.

    The platform's own routes go to ``app`` on chute hosts as well. ``lookup`` finds a chute by its slug. ``authorize`` returns
    whether headers (lower-case names) permit a call. ``observe`` gets a record of every permitted call.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        lookup: Callable[[str], ChuteRecord | None],
        authorize: Callable[[Mapping[str, str]], bool],
        instances: Instances,
        observe: Callable[[CallRecord], None] = lambda call: None,
        limits: Limits | None = None,
    ) -> None:
        self._app = app
        self._lookup = lookup
        self._authorize = authorize
        self._instances = instances
        self._observe = observe
        self._limits = limits or Limits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        slug = slug_of(Headers(scope=scope).get("host", "")) if scope["type"] == "http" else None
        # The platform's own routes come first, on a chute's host as well.
        if slug is None or platform_checks.is_shadowed(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        chute = self._lookup(slug)
        if chute is None:
            await _reject(make_error_response(404, f"No chute found: {slug}"), scope, receive, send)
        elif not self._authorize(headers):
            await _reject(make_error_response(401, "Invalid or missing API key"), scope, receive, send)
        else:
            call = _Call(chute, Request(scope, receive), self._instances, self._limits, self._observe)
            try:
                await call.respond(send)
            finally:
                call.observe()


class _Call:
    """One call, from the request to the last byte of the response."""

    def __init__(
        self,
        chute: ChuteRecord,
        request: Request,
        instances: Instances,
        limits: Limits,
        observe: Callable[[CallRecord], None],
    ) -> None:
        self._chute = chute
        self._request = request
        self._instances = instances
        self._limits = limits
        self._observe: Callable[[CallRecord], None] | None = observe
        self._started_at = time.time()
        self._started = time.monotonic()
        self._instance: Instance | None = None
        self._instance_status: int | None = None
        self._status = 499
        self._is_streaming = False
        self._failure = ""

    def observe(self) -> None:
        """Report the record of the call, once."""
        observe, self._observe = self._observe, None
        if observe is not None:
            observe(self._build_record())

    def _build_record(self) -> CallRecord:
        return CallRecord(
            chute_id=self._chute.chute_id,
            instance_id=self._instance.record.instance_id if self._instance else None,
            method=self._request.method,
            path=self._request.url.path,
            status=self._status,
            instance_status=self._instance_status,
            started_at=self._started_at,
            duration_s=time.monotonic() - self._started,
            failure=self._failure,
        )

    async def respond(self, send: Send) -> None:
        """Respond to the client. The call ends when the client disconnects."""
        try:
            call = await self._prepare()
        except ClientDisconnect:
            return
        except RequestRejected as rejection:
            await self._finish(make_error_response(rejection.status, rejection.detail), send)
            return
        response_task = asyncio.create_task(self._process(call, send))
        disconnect_task = asyncio.create_task(self._wait_for_disconnect())
        try:
            await asyncio.wait({response_task, disconnect_task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (response_task, disconnect_task):
                if not task.done():
                    task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await response_task

    async def _prepare(self) -> PreparedCall:
        request = self._request
        content_type = request.headers.get("content-type", "")
        query = request.scope.get("query_string", b"").decode("latin-1")
        body = await request.body()
        return prepare_call(self._chute, request.method, request.scope["path"], query, content_type, body)

    async def _wait_for_disconnect(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass

    async def _process(self, call: PreparedCall, send: Send) -> None:
        try:
            while (result := await self._try_call(call, send)) is None:
                logger.info("{}: the instance of a call had just ended; trying another one", self._chute.name)
        except AtCapacity:
            result = make_error_response(429, AT_CAPACITY)
        except NoInstance as error:
            self._failure = str(error)
            first_line = self._failure.partition("\n")[0]
            logger.warning("{}: no instance for a call: {}", self._chute.name, first_line)
            result = make_error_response(503, NO_INFRASTRUCTURE)
        await self._finish(result, send)

    async def _try_call(self, call: PreparedCall, send: Send) -> CallResult | None:
        """Send the call, and record its outcome. Return None when its instance had ended before it got the call."""
        async with self._instances.lease(self._chute, wait_s=self._limits.cold_wait_s) as instance:
            self._instance = instance
            try:
                result = await self._send_to_instance(instance, call, send)
            except client_response.InstanceOutdated:
                self._failure = "the instance returned 426"
                instance.end("deleted: it returned 426 and must be started again")
            except (InstanceFailed, *_UNREACHABLE) as failure:
                # Check for its end first: its record must have that reason, and not the failed calls that it caused.
                is_connection_lost = isinstance(failure, aiohttp.ClientConnectionError)
                is_gone = is_connection_lost and await instance.is_gone_within(_END_DETECTION_S)
                if is_gone and isinstance(failure, aiohttp.ClientConnectorError):
                    return None
                self._failure = str(failure) or f"it did not respond ({type(failure).__name__})"
                instance.record_failure(self._failure)
            else:
                if self._instance_status is not None and platform_checks.is_success_status(self._instance_status):
                    instance.record_success()
                return result
        return StreamEnd.BROKEN if self._is_streaming else make_error_response(500, NO_INFRASTRUCTURE)

    async def _send_to_instance(self, instance: Instance, call: PreparedCall, send: Send) -> CallResult:
        async with AsyncExitStack() as stack:
            request = instance.client.post(call.cord.path, call.payload, timeout_s=self._limits.call_s)
            response = await stack.enter_async_context(request)
            self._instance_status = response.status
            if error_response := await client_response.translate_error(response):
                return error_response
            if call.cord.stream:
                return await self._stream_response(response, send)
            if call.wants_stream:
                await _decode_plain_as_stream(response)
            return await client_response.read_plain_response(response)

    async def _stream_response(self, response: InstanceResponse, send: Send) -> StreamEnd:
        self._status, self._is_streaming = 200, True
        await send(_build_start_message(200, _STREAM_TYPE))
        async with aclosing(client_response.read_chunks(response)) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        return StreamEnd.COMPLETE

    async def _finish(self, result: CallResult, send: Send) -> None:
        """Send the rest, after the instance is free and the call is counted: a client may call again immediately."""
        if isinstance(result, ClientResponse):
            self._status = result.status
        self.observe()
        if isinstance(result, ClientResponse):
            await _send(result, self._request.scope, self._request.receive, send)
        elif result is StreamEnd.COMPLETE:
            await send({"type": "http.response.body", "body": b""})
        # A failed stream gets no end: the server then closes the connection.


async def _decode_plain_as_stream(response: InstanceResponse) -> NoReturn:
    """Fail as the platform does when the client requested a stream: it decodes the plain JSON response as a stream."""
    async for _ in client_response.read_chunks(response):
        pass
    raise InstanceFailed("the client requested a stream, but the cord does not stream")


async def _send(response: ClientResponse, scope: Scope, receive: Receive, send: Send) -> None:
    # As the platform's framework does, Response adds a charset to a text type without one.
    await Response(response.body, response.status, media_type=response.media_type)(scope, receive, send)


async def _reject(response: ClientResponse, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a response and close the connection: the body of an unknown caller is not read."""
    await Response(response.body, response.status, {"connection": "close"}, response.media_type)(scope, receive, send)


def _build_start_message(status: int, media_type: str) -> MutableMapping[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", media_type.encode())]}
