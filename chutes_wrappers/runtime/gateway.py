"""One call: what the platform delivers → a request to the service → an answer that the platform can carry.

The service's own errors become a 400 that quotes them, so that no caller's mistake counts as a failure of the instance
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
from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime import gradio_call
from chutes_wrappers.runtime.background import BACKGROUND, BackgroundLoop
from chutes_wrappers.runtime.bodies import JSON_TYPE
from chutes_wrappers.runtime.call_errors import (
    CLIENT_ERROR,
    LARGEST_QUOTED_BYTES,
    CallFailed,
    service_error,
)
from chutes_wrappers.runtime.call_request import make_request
from chutes_wrappers.runtime.failure_attribution import ServiceHealth
from chutes_wrappers.runtime.files import BINARY_TYPE
from chutes_wrappers.runtime.running_call import RunningCall
from chutes_wrappers.runtime.service_headers import as_sent, header_of
from chutes_wrappers.runtime.upstream import HOST, KeptConnectionLost, Upstream, UpstreamRequest

# The platform ends a call after 600 s (PLATFORM.md, section 3); a reason should arrive before.
CALL_TIMEOUT_S = 590.0
LARGEST_ANSWER_BYTES = 512 * 1024**2
_LONGEST_REASON = 200


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A successful answer: its media type, as a header holds it, and bytes.

    Status and headers do not survive the platform.
    """

    content_type: str
    body: bytes


class Gateway:
    """Carries calls to the services of this instance. Safe to use from any thread and event loop."""

    def __init__(self, background: BackgroundLoop = BACKGROUND, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._background = background
        self._timeout_s = timeout_s
        self._upstream = Upstream()
        self._health = ServiceHealth()

    def answer(self, route: Route, port: int, call: Mapping[str, Any]) -> Answer:
        """Make one call whole, blocking; CallRefused says how it failed.

        ``call`` is ``{"json": body, "params": query}``, with a RunningCall as ``running`` when the caller may go away.
        """
        if route.stream is False:
            _refuse_stream(call)
        if route.gradio is None:
            work = self._background.submit(self._answer(make_request(route, port, call)))
        else:
            work = self._background.submit(self._gradio_answer(route.gradio, port, call))
        return (call.get("running") or RunningCall()).result_of(work)

    @asynccontextmanager
    async def open(self, request: UpstreamRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        """The service's successful answer, to be read as it comes; on the background loop only. CallRefused as above."""
        async with self._send(request) as answer:
            self._health.answered(request.port)
            yield answer

    async def open_gradio(
        self, endpoint: GradioEndpoint, port: int, call: Mapping[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        """The frames of a Gradio endpoint's answer, as it yields them; on the background loop only. CallRefused as above."""
        async with self._outcome_counted(port):
            stream = gradio_call.stream(self._upstream.session, _base_url(port), endpoint, _arguments(call))
            async with aclosing(stream) as frames:
                async for frame in frames:
                    yield frame

    async def _gradio_answer(self, endpoint: GradioEndpoint, port: int, call: Mapping[str, Any]) -> Answer:
        async with self._outcome_counted(port):
            work = gradio_call.call(self._upstream.session, _base_url(port), endpoint, _arguments(call))
            content_type, body = await asyncio.wait_for(work, self._timeout_s)
        return Answer(content_type=as_sent(content_type), body=body)

    @asynccontextmanager
    async def _outcome_counted(self, port: int) -> AsyncIterator[None]:
        """Counts how a call to a Gradio app ended; its own requests to the app are no answers of a route."""
        async with self._errors_as_refusals(port):
            try:
                yield
            except CallFailed as refusal:
                if refusal.detail.get("status", 0) >= 500:
                    refusal.status = await self._health.status_of_failure(port)
                else:
                    self._health.answered(port)
                raise
        self._health.answered(port)

    async def close(self) -> None:
        """Close the connections to the services; on the background loop."""
        await self._upstream.close()

    async def _answer(self, request: UpstreamRequest) -> Answer:
        async with self._send(request) as answer:
            async with self._errors_as_refusals(request.port):
                body = await _read(answer)
            self._health.answered(request.port)
            return _carried(answer, body)

    @asynccontextmanager
    async def _send(self, request: UpstreamRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        async with AsyncExitStack() as stack:
            async with self._errors_as_refusals(request.port):
                answer = await stack.enter_async_context(self._upstream.send(request, self._timeout_s))
                if answer.status >= 300:
                    raise await self._refused(request.port, answer)
            yield answer

    @asynccontextmanager
    async def _errors_as_refusals(self, port: int) -> AsyncIterator[None]:
        try:
            yield
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self._health.no_connection(port, error) from error
        except KeptConnectionLost as error:
            lost = "the service closed the connection as the call was sent; it may have carried it out, or not"
            raise CallFailed(lost) from error
        except aiohttp.ClientResponseError as error:
            raise _unreadable(error) from error
        except ValueError as error:
            # What the caller gave, or we made of it: never the failure of a service.
            raise CallFailed(f"the call cannot be carried: {error}") from error
        except (asyncio.TimeoutError, aiohttp.ClientError, OSError) as error:
            if isinstance(error.__cause__, ContentEncodingError):
                raise _unreadable(error.__cause__) from error
            raise await self._broken(port, error) from error

    async def _refused(self, port: int, answer: aiohttp.ClientResponse) -> CallFailed:
        quoted = await _read_at_most(answer, LARGEST_QUOTED_BYTES + 1)
        if answer.status < 500 or answer.status == HTTPStatus.NOT_IMPLEMENTED:  # which a service in good health says
            self._health.answered(port)
            status = CLIENT_ERROR
        else:
            status = await self._health.status_of_failure(port)
        kind, location = header_of(answer, "Content-Type"), header_of(answer, "Location")
        return service_error(answer.status, kind, quoted, location=location, answer_with=status)

    async def _broken(self, port: int, error: Exception) -> CallFailed:
        status = await self._health.status_of_failure(port)
        if isinstance(error, asyncio.TimeoutError):
            return CallFailed(f"the service did not answer within {self._timeout_s:g} s", answer_with=status)
        return CallFailed(f"the service broke the call off ({type(error).__name__})", answer_with=status)


def _unreadable(error: Exception) -> CallFailed:
    """Not counted: services in good health answer so where a caller chooses the headers of the answer."""
    return CallFailed(f"the service's answer cannot be read: {' '.join(str(error).split())[:_LONGEST_REASON]}")


def _arguments(call: Mapping[str, Any]) -> Any:
    """A Gradio endpoint's arguments: keys of the body, or of the query string."""
    body, query = call["json"], call["params"]
    return {**query, **body} if query and isinstance(body, Mapping) else body


def _base_url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _refuse_stream(call: Mapping[str, Any]) -> None:
    # The platform would read the answer as a stream, fail, and count that against the instance (PLATFORM.md, section 3).
    in_body = isinstance(call["json"], Mapping) and call["json"].get("stream")
    if in_body or "stream" in call["params"]:
        raise CallFailed("`stream` is in the call, and this route does not stream: leave it out", parameter="stream")


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = (
        b""
        if (answer.content_length or 0) > LARGEST_ANSWER_BYTES
        else await _read_at_most(answer, LARGEST_ANSWER_BYTES + 1)
    )
    if max(answer.content_length or 0, len(body)) > LARGEST_ANSWER_BYTES:
        limit = LARGEST_ANSWER_BYTES // 1024**2
        raise CallFailed(f"the answer is larger than {limit} MiB, which only the tunnel can carry")
    return body


async def _read_at_most(answer: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    pieces, left = [], most_bytes
    async for piece in answer.content.iter_any():
        pieces.append(piece[:left])
        left -= len(piece)
        if left <= 0:
            break
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _carried(answer: aiohttp.ClientResponse, body: bytes) -> Answer:
    kind = header_of(answer, "Content-Type")
    if body:
        return Answer(content_type=as_sent(kind) or BINARY_TYPE, body=body)
    facts = {"status": answer.status, **({"content_type": kind} if kind else {})}
    return Answer(content_type=JSON_TYPE, body=orjson.dumps(facts))
