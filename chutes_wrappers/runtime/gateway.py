"""The gateway: a call from the platform becomes a request to the service, and its response one that the platform supports.

An error of the service becomes a 400 that quotes it. So an invalid call never counts as a failure of the instance
(PLATFORM.md, section 3).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson
from aiohttp.http_exceptions import ContentEncodingError

from chutes_wrappers.core.gradio_endpoints import GradioEndpoint
from chutes_wrappers.core.platform_rules import API_CALL_LIMIT_S
from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime import gradio_call
from chutes_wrappers.runtime.background import BACKGROUND, BackgroundLoop
from chutes_wrappers.runtime.call_errors import (
    CLIENT_ERROR,
    MAX_QUOTED_BYTES,
    CallFailed,
    make_service_error,
)
from chutes_wrappers.runtime.call_request import build_request
from chutes_wrappers.runtime.client_sessions import describe_unreadable
from chutes_wrappers.runtime.failure_attribution import ServiceHealth
from chutes_wrappers.runtime.files import BINARY_TYPE
from chutes_wrappers.runtime.gradio_files import AppSession
from chutes_wrappers.runtime.media_types import EMPTY_RESPONSE_TYPE, mark_response_type
from chutes_wrappers.runtime.module_headers import SelectHeaders, add_headers
from chutes_wrappers.runtime.running_call import RunningCall
from chutes_wrappers.runtime.service_headers import encode_header_value, read_header
from chutes_wrappers.runtime.upstream import HOST, ReusedConnectionLost, Upstream, UpstreamRequest

# The error must be sent before the platform ends the call, and the SDK a passthrough (chute/cord.py: 1,800 s in total).
CALL_TIMEOUT_S = API_CALL_LIMIT_S - 10.0
MAX_RESPONSE_BYTES = 512 * 1024**2
_MAX_REASON_LENGTH = 200


@dataclass(frozen=True, kw_only=True)
class CallResponse:
    """A successful response: its media type, encoded for a header, and its bytes.

    The platform drops status and headers. A media type says another status than 200, and that there was no body.
    """

    content_type: str
    body: bytes


class Gateway:
    """Sends calls to the services of this instance. Safe to use from any thread and event loop."""

    def __init__(self, background: BackgroundLoop = BACKGROUND, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._background = background
        self._timeout_s = timeout_s
        self._upstream = Upstream()
        self._health = ServiceHealth()

    def handle_call(
        self, route: Route, port: int, call: Mapping[str, Any], select_headers: SelectHeaders = dict
    ) -> CallResponse:
        """Send one call and return the complete response; blocks. Raises CallFailed.

        ``call`` is ``{"json": body, "params": query}``, with a RunningCall as ``running`` if the caller may disconnect.
        ``select_headers`` returns the headers that the service gets with it, unless the call has them.
        """
        if route.stream is False:
            _reject_stream(call)
        if route.gradio is None:
            work = self._background.submit(
                self._request(add_headers(build_request(route, port, call), select_headers()))
            )
        else:
            work = self._background.submit(self._call_gradio(route.gradio, port, call, select_headers()))
        return (call.get("running") or RunningCall()).wait_for_result(work)

    @asynccontextmanager
    async def open(self, request: UpstreamRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the service's successful response, to be read as it arrives; on the background loop only. Raises CallFailed."""
        async with self._send(request) as response:
            self._health.record_success(request.port)
            yield response

    async def open_gradio(
        self, endpoint: GradioEndpoint, port: int, call: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the frames of a Gradio endpoint's response as they arrive; on the background loop only. Raises CallFailed.

        ``headers`` are sent with each request to the app.
        """
        async with self._count_outcome(port):
            app = AppSession(self._upstream.session, headers)
            stream = gradio_call.stream(app, _build_base_url(port), endpoint, _get_gradio_arguments(call))
            async with aclosing(stream) as frames:
                async for frame in frames:
                    yield frame

    async def _call_gradio(
        self, endpoint: GradioEndpoint, port: int, call: Mapping[str, Any], headers: Mapping[str, str]
    ) -> CallResponse:
        async with self._count_outcome(port):
            app = AppSession(self._upstream.session, headers)
            work = gradio_call.call(app, _build_base_url(port), endpoint, _get_gradio_arguments(call))
            content_type, body = await asyncio.wait_for(work, self._timeout_s)
        return CallResponse(content_type=encode_header_value(content_type), body=body)

    @asynccontextmanager
    async def _count_outcome(self, port: int) -> AsyncIterator[None]:
        """Record how a call to a Gradio app ended; the requests to the app within the call are not counted."""
        async with self._convert_errors(port):
            try:
                yield
            except CallFailed as failure:
                if failure.detail.get("status", 0) >= 500:
                    failure.status = await self._health.record_failure(port)
                else:
                    self._health.record_success(port)
                raise
        self._health.record_success(port)

    async def close(self) -> None:
        """Close the connections to the services; on the background loop."""
        await self._upstream.close()

    async def _request(self, request: UpstreamRequest) -> CallResponse:
        async with self._send(request) as response:
            async with self._convert_errors(request.port):
                body = await _read_body(response)
            self._health.record_success(request.port)
            return _build_response(response, body)

    @asynccontextmanager
    async def _send(self, request: UpstreamRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        async with AsyncExitStack() as stack:
            async with self._convert_errors(request.port):
                response = await stack.enter_async_context(self._upstream.send(request, self._timeout_s))
                if response.status >= 300:
                    raise await self._make_service_error(request.port, response)
            yield response

    @asynccontextmanager
    async def _convert_errors(self, port: int) -> AsyncIterator[None]:
        try:
            yield
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self._health.make_connection_error(port, error) from error
        except ReusedConnectionLost as error:
            message = "the service closed the connection while the call was sent; it may have executed the call, or not"
            raise CallFailed(message) from error
        except aiohttp.ClientResponseError as error:
            raise _make_unreadable_error(describe_unreadable(error)) from error
        except ValueError as error:
            # Invalid input of the caller, or of our encoding: never a failure of the service.
            raise CallFailed(f"the call cannot be sent: {error}") from error
        except (asyncio.TimeoutError, aiohttp.ClientError, OSError) as error:
            if isinstance(error.__cause__, ContentEncodingError):
                raise _make_unreadable_error(str(error.__cause__)) from error
            raise await self._make_broken_error(port, error) from error

    async def _make_service_error(self, port: int, response: aiohttp.ClientResponse) -> CallFailed:
        body_prefix = await _read_at_most(response, MAX_QUOTED_BYTES + 1)
        if response.status < 500 or response.status == HTTPStatus.NOT_IMPLEMENTED:  # a healthy service may return it
            self._health.record_success(port)
            status = CLIENT_ERROR
        else:
            status = await self._health.record_failure(port)
        content_type, location = read_header(response, "Content-Type"), read_header(response, "Location")
        return make_service_error(response.status, content_type, body_prefix, location=location, response_status=status)

    async def _make_broken_error(self, port: int, error: Exception) -> CallFailed:
        status = await self._health.record_failure(port)
        if isinstance(error, asyncio.TimeoutError):
            return CallFailed(f"the service did not respond within {self._timeout_s:g} s", response_status=status)
        return CallFailed(f"the service aborted the call ({type(error).__name__})", response_status=status)


def _make_unreadable_error(reason: str) -> CallFailed:
    """Not counted as a failure: a healthy service returns such a response if a caller chooses the response headers."""
    return CallFailed(f"the service's response cannot be read: {' '.join(reason.split())[:_MAX_REASON_LENGTH]}")


def _get_gradio_arguments(call: Mapping[str, Any]) -> Any:
    """Return a Gradio endpoint's arguments: keys of the body, or of the query string."""
    body, query = call["json"], call["params"]
    return {**query, **body} if query and isinstance(body, Mapping) else body


def _build_base_url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _reject_stream(call: Mapping[str, Any]) -> None:
    # The platform would read the response as a stream, fail, and count that against the instance (PLATFORM.md, section 3).
    in_body = isinstance(call["json"], Mapping) and call["json"].get("stream")
    if in_body or "stream" in call["params"]:
        raise CallFailed("`stream` is in the call, but this route does not stream: remove it", parameter="stream")


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    body = (
        b""
        if (response.content_length or 0) > MAX_RESPONSE_BYTES
        else await _read_at_most(response, MAX_RESPONSE_BYTES + 1)
    )
    if max(response.content_length or 0, len(body)) > MAX_RESPONSE_BYTES:
        limit = MAX_RESPONSE_BYTES // 1024**2
        raise CallFailed(f"the response is larger than {limit} MiB, which only the tunnel supports")
    return body


async def _read_at_most(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    pieces, remaining = [], max_bytes
    async for piece in response.content.iter_any():
        pieces.append(piece[:remaining])
        remaining -= len(piece)
        if remaining <= 0:
            break
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _build_response(response: aiohttp.ClientResponse, body: bytes) -> CallResponse:
    content_type = read_header(response, "Content-Type")
    if body:
        kind = mark_response_type(encode_header_value(content_type) or BINARY_TYPE, response.status)
        return CallResponse(content_type=kind, body=body)
    summary = {"status": response.status, **({"content_type": content_type} if content_type else {})}
    return CallResponse(content_type=EMPTY_RESPONSE_TYPE, body=orjson.dumps(summary))
