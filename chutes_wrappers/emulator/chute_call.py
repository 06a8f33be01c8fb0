"""One call to a chute: tried on its instances, with the response for the client (PLATFORM.md, section 3).

Two rules are not from PLATFORM.md. A stream that fails on each instance is cut off without its end, so that the client sees
it. A call that does not stream ends when its client disconnects.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from enum import Enum
from typing import Any, NoReturn

import aiohttp
from loguru import logger
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.overruled_rules import is_overruled
from chutes_wrappers.emulator import client_response
from chutes_wrappers.emulator.call_trace import build_error_event, build_trace_event
from chutes_wrappers.emulator.client_response import (
    AT_CAPACITY,
    NO_INFRASTRUCTURE,
    NO_INSTANCES,
    ClientResponse,
    InstanceFailed,
    make_error_response,
)
from chutes_wrappers.emulator.instance import Instance
from chutes_wrappers.emulator.instance_request import (
    PreparedCall,
    RequestRejected,
    check_chute,
    prepare_call,
)
from chutes_wrappers.emulator.instances import AtCapacity, Instances, NoInstance
from chutes_wrappers.emulator.records import CallRecord, ChuteRecord
from chutes_wrappers.emulator.rejection import raise_unless_overruled
from chutes_wrappers.emulator.transport import InstanceResponse
from chutes_wrappers.runtime.call_shape import Scope

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_STREAM_TYPE = "text/event-stream"
# When a connection is lost, the end of the instance is detected within this time.
_END_DETECTION_S = 1.0
# The chute gets no calls, or not this one: worth a line on the page, unlike a caller's mistake.
_REFUSED_CALL_STATUSES = (402, 413, 503)
_UNREACHABLE = (aiohttp.ClientError, asyncio.TimeoutError, OSError)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a call. ``call_s``: seconds without a byte; ``ingress_attempts``: how often the ingress sends one that fails.

    1 turns the ingress's retries off. A body of more than ``body_bytes`` gets 413.
    """

    call_s: float = platform_rules.API_CALL_LIMIT_S
    ingress_attempts: int = platform_rules.INGRESS_ATTEMPTS
    body_bytes: int = platform_rules.MAX_REQUEST_BYTES


class StreamEnd(Enum):
    """How a stream ended after its start was sent to the client."""

    COMPLETE = "complete"
    BROKEN = "broken"
    CLIENT_GONE = "client gone"


# What is left to send after the call to the instance.
CallResult = ClientResponse | StreamEnd
_FAILED = make_error_response(500, NO_INFRASTRUCTURE)


def _is_success(result: CallResult) -> bool:
    return result is StreamEnd.COMPLETE or (isinstance(result, ClientResponse) and result.status == 200)


def _is_final(result: CallResult | None) -> bool:
    """Whether no other instance is tried: after a success, and an error of the caller."""
    if isinstance(result, ClientResponse):
        return result.status in (200, platform_rules.BAD_REQUEST)
    return result in (StreamEnd.COMPLETE, StreamEnd.CLIENT_GONE)


class ChuteCall:
    """One call, from the request to the last byte of the response."""

    def __init__(
        self,
        chute: ChuteRecord,
        request: Request,
        invocation_id: str,
        instances: Instances,
        limits: Limits,
        observe: Callable[[CallRecord], None],
    ) -> None:
        self._chute = chute
        self._request = request
        self._invocation_id = invocation_id
        self._is_traced = request.headers.get(platform_rules.TRACE_HEADER, "").lower() == "true"
        self._instances = instances
        self._limits = limits
        self._observe: Callable[[CallRecord], None] | None = observe
        self._started_at = time.time()
        self._started = time.monotonic()
        self._instance: Instance | None = None
        self._instance_status: int | None = None
        self._status = 499
        self._is_streaming = False
        self._is_client_gone = False
        self._failure = ""

    def observe(self) -> None:
        """Report the record of the call, once."""
        observe, self._observe = self._observe, None
        if observe is not None:
            observe(self._build_record())

    def _build_record(self) -> CallRecord:
        return CallRecord(
            chute_id=self._chute.chute_id,
            invocation_id=self._invocation_id,
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
        """Respond to the client. A call that does not stream ends when the client disconnects."""
        try:
            call = await self._prepare()
        except ClientDisconnect:
            return
        except RequestRejected as rejection:
            self._failure = rejection.detail if rejection.status in _REFUSED_CALL_STATUSES else ""
            await self._finish(make_error_response(rejection.status, rejection.detail), send)
            return
        response_task = asyncio.create_task(self._process(call, send))
        disconnect_task = asyncio.create_task(self._wait_for_disconnect())
        try:
            await asyncio.wait({response_task, disconnect_task}, return_when=asyncio.FIRST_COMPLETED)
            if self._is_streaming:
                # The end of the platform cancels a stream that has none, which is no error of the server.
                with contextlib.suppress(asyncio.CancelledError):
                    await response_task
        finally:
            for task in (response_task, disconnect_task):
                if not task.done():
                    task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await response_task

    async def _prepare(self) -> PreparedCall:
        request = self._request
        body = await _read_body(request, self._limits.body_bytes)
        check_chute(self._chute)
        content_type = request.headers.get("content-type", "")
        query = request.scope.get("query_string", b"").decode("latin-1")
        return prepare_call(self._chute, request.method, request.scope["path"], query, content_type, body)

    async def _wait_for_disconnect(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._is_client_gone = True

    async def _process(self, call: PreparedCall, send: Send) -> None:
        is_retried = self._request.method in platform_rules.INGRESS_RETRIED_METHODS
        attempts = self._limits.ingress_attempts if is_retried else 1
        result = await self._try_instances(call, send)
        for attempt in range(2, attempts + 1):
            if result != _FAILED or self._is_streaming:
                break
            logger.info(
                "{}: the ingress sends a failed {} again ({} of {})",
                *(self._chute.name, self._request.method, attempt, attempts),
            )
            result = await self._try_instances(call, send)
        # The head of a stream is sent already: another instance's error cannot be its status.
        is_broken = self._is_streaming and not self._is_traced and isinstance(result, ClientResponse)
        await self._finish(StreamEnd.BROKEN if is_broken else result, send)

    async def _try_instances(self, call: PreparedCall, send: Send) -> CallResult:
        """Try the call on up to three instances, until one accepts it. Return the last result."""
        result: CallResult | None = None
        tried: list[Instance] = []
        while len(tried) < platform_rules.MAX_INSTANCES_PER_CALL and not _is_final(result):
            try:
                async with self._instances.lease(self._chute, excluded=tried) as instance:
                    tried.append(instance)
                    result = await self._try_instance(instance, call, send)
            except (AtCapacity, NoInstance) as refusal:
                return result or self._reject(refusal)
        assert result is not None
        return result

    def _reject(self, refusal: AtCapacity | NoInstance) -> ClientResponse:
        self._failure = str(refusal)
        first_line = self._failure.partition("\n")[0]
        logger.warning("{}: no instance for a call: {}", self._chute.name, first_line)
        if isinstance(refusal, AtCapacity):
            return make_error_response(429, AT_CAPACITY)
        return make_error_response(503, NO_INSTANCES.format(chute_id=self._chute.chute_id))

    async def _try_instance(self, instance: Instance, call: PreparedCall, send: Send) -> CallResult:
        """Send the call to one instance, and record its outcome."""
        self._instance, self._instance_status = instance, None
        await self._trace(send, "attempting to query the instance")
        try:
            result = await self._send_to_instance(instance, call, send)
        except client_response.InstanceOutdated:
            self._failure = "the instance returned 426"
            instance.end("deleted: it returned 426 and must be started again")
        except (InstanceFailed, *_UNREACHABLE) as failure:
            # Wait for its end first: its record must have that reason, and not the failed calls that it caused.
            if isinstance(failure, aiohttp.ClientConnectionError):
                await instance.is_gone_within(_END_DETECTION_S)
            self._failure = str(failure) or f"it did not respond ({type(failure).__name__})"
            instance.record_failure(self._failure)
        else:
            if _is_success(result):
                instance.record_success()
                self._failure = ""
            await self._trace(send, "the instance responded")
            return result
        await self._trace(send, f"the instance failed: {self._failure}")
        return StreamEnd.BROKEN if self._is_streaming and call.cord.stream else _FAILED

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
        """Pass the stream on. A stream after a broken one is appended to the same response."""
        await self._start_stream(send)
        async with aclosing(client_response.read_chunks(response)) as chunks:
            async for count, chunk in _enumerate(chunks):
                if not self._is_traced:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if self._is_client_gone and count % platform_rules.LINES_PER_DISCONNECT_CHECK == 0:
                    return StreamEnd.CLIENT_GONE
        return StreamEnd.COMPLETE

    async def _start_stream(self, send: Send) -> None:
        if not self._is_streaming:
            self._status, self._is_streaming = 200, True
            await send(_build_start_message(200, _STREAM_TYPE))

    async def _trace(self, send: Send, message: str) -> None:
        """Send an event about the call to its instance, if the client requested a trace."""
        if not self._is_traced or self._instance is None:
            return
        await self._start_stream(send)
        event = build_trace_event(
            message,
            invocation_id=self._invocation_id,
            chute_id=self._chute.chute_id,
            target=self._instance.record.instance_id,
            status=self._instance_status,
        )
        await send({"type": "http.response.body", "body": event, "more_body": True})

    async def _finish(self, result: CallResult, send: Send) -> None:
        """Send the rest, after the instance is free and the call is counted: a client may call again immediately."""
        if isinstance(result, ClientResponse):
            self._status = result.status
        self.observe()
        if self._is_streaming and self._is_traced:
            await send({"type": "http.response.body", "body": _build_last_events(result)})
        elif isinstance(result, ClientResponse):
            await _send(result, self._request.scope, self._request.receive, send)
        elif result is StreamEnd.COMPLETE:
            await send({"type": "http.response.body", "body": b""})
        # A failed stream gets no end: the server then closes the connection.


async def _read_body(request: Request, max_bytes: int) -> bytearray:
    """Return the request's body. Raises RequestRejected for more than ``max_bytes``, unless that rule is overruled.

    A body that is too long is read to its end, but not kept: the client then reads the response.
    """
    body, length, limit = bytearray(), 0, max_bytes
    async for piece in request.stream():
        length += len(piece)
        if length > limit and is_overruled("body-size"):
            limit = sys.maxsize
        if length <= limit:
            body += piece
    if length > max_bytes:
        detail = f"Request body is too large: it has {length} bytes, and the maximum is {max_bytes}"
        raise_unless_overruled("body-size", RequestRejected(413, detail))
    return body


def _build_last_events(result: CallResult) -> bytes:
    response = _FAILED if result is StreamEnd.BROKEN else result
    status = response.status if isinstance(response, ClientResponse) else 200
    event = build_trace_event("the call ended", status=status)
    if isinstance(response, ClientResponse) and status != 200:
        event += build_error_event(response.body)
    return event


async def _enumerate(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    count = 0
    async for chunk in chunks:
        count += 1
        yield count, chunk


async def _decode_plain_as_stream(response: InstanceResponse) -> NoReturn:
    """Fail as the platform does when the client requested a stream: it decodes the plain JSON response as a stream."""
    async for _ in client_response.read_chunks(response):
        pass
    raise InstanceFailed("the client requested a stream, but the cord does not stream")


async def _send(response: ClientResponse, scope: Scope, receive: Receive, send: Send) -> None:
    # As the platform's framework does, Response adds a charset to a text type without one.
    await Response(response.body, response.status, media_type=response.media_type)(scope, receive, send)


def _build_start_message(status: int, media_type: str) -> MutableMapping[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", media_type.encode())]}
