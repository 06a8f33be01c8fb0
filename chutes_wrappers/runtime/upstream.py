"""Requests to the wrapped service, with reused connections, and redirects within the service."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from yarl import URL

from chutes_wrappers.runtime.client_sessions import CONNECT_TIMEOUT_S, open_client_session
from chutes_wrappers.runtime.connection_pool import make_connector
from chutes_wrappers.runtime.redirects import find_redirect_target
from chutes_wrappers.runtime.service_headers import read_header

HOST = "127.0.0.1"
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_MAX_REDIRECTS = 10
# For aiohttp, 0 means no timeout.
_MIN_TIMEOUT_S = 0.001
# Shorter than the keep-alive of common servers (gunicorn 2 s, uvicorn 5 s), so that few close a connection while it is
# used.
_KEEPALIVE_S = 1.5
_READ_BUFFER_BYTES = 1024**2
# aiohttp adds these by itself. The service gets what the call says, and nothing else.
_CLIENT_HEADERS = ("Accept", "Accept-Encoding", "User-Agent")


@dataclass(frozen=True, kw_only=True)
class UpstreamRequest:
    """One request: ``target`` is the path and query as sent, ``make_data`` returns aiohttp's ``data``."""

    port: int
    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # they may be secrets
    make_data: Callable[[], Any] = lambda: None


class _ExactMethod(str):
    """A method as the call says it: aiohttp would write it in capitals, but RFC 9110 has case-sensitive methods."""

    __slots__ = ()

    def upper(self) -> str:
        return self


class ReusedConnectionLost(Exception):
    """A reused connection was closed while a request was sent on it: it is unknown whether the request was executed."""


@dataclass
class _Attempt:
    is_on_reused_connection: bool = False


class Upstream:
    """An HTTP client for the services of this instance. All its methods belong to one event loop, the background loop.

    Connections are kept open for a while. A service may close one while it is used. An idempotent request is then retried,
    any other is not (RFC 9110, section 9.2.2). From then on, requests to that port that are not idempotent use new
    connections.
    """

    def __init__(self) -> None:
        self._pooled: aiohttp.ClientSession | None = None
        self._single: aiohttp.ClientSession | None = None
        self._closing_ports: set[int] = set()

    @property
    def session(self) -> aiohttp.ClientSession:
        """A session with a new connection for each request, without a cookie jar, and with no limit of connections."""
        if self._single is None:
            self._single = _make_session(make_connector(family=socket.AF_INET, is_shared=False))
        return self._single

    @asynccontextmanager
    async def send(self, request: UpstreamRequest, timeout_s: float) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the service's response; redirects are followed within the same service, ten at most.

        ``timeout_s`` is for everything, from the first connection to the end of the last response. Raises
        ReusedConnectionLost, aiohttp.ClientError, OSError and TimeoutError.
        """
        deadline = time.monotonic() + timeout_s
        for redirects in range(_MAX_REDIRECTS + 1):
            async with await self._request(request, deadline) as response:
                redirect = _build_redirect(request, response) if redirects < _MAX_REDIRECTS else None
                if redirect is None:
                    yield response
                    return
                request = redirect

    async def _request(self, request: UpstreamRequest, deadline: float) -> aiohttp.ClientResponse:
        is_idempotent, attempt = request.method in _IDEMPOTENT, _Attempt()
        if not is_idempotent and request.port in self._closing_ports:
            return await _send(self.session, request, deadline)
        try:
            return await _send(self._get_pooled_session(), request, deadline, attempt)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            if not attempt.is_on_reused_connection:
                raise
            if not is_idempotent:
                self._closing_ports.add(request.port)
                raise ReusedConnectionLost from error
        return await _send(self.session, request, deadline)

    def _get_pooled_session(self) -> aiohttp.ClientSession:
        if self._pooled is None:
            self._pooled = _make_session(make_connector(keepalive_s=_KEEPALIVE_S, family=socket.AF_INET))
        return self._pooled

    async def close(self) -> None:
        """Close every connection."""
        for session in (self._pooled, self._single):
            if session is not None:
                await session.close()


def _make_session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return open_client_session(
        connector,
        read_bufsize=_READ_BUFFER_BYTES,
        skip_auto_headers=_CLIENT_HEADERS,
        trace_configs=[_build_trace_config()],
    )


def _build_trace_config() -> aiohttp.TraceConfig:
    """Record in an ``_Attempt`` which connection it got."""

    def make_callback(is_reused: bool) -> Callable[..., Awaitable[None]]:
        async def record(_: aiohttp.ClientSession, context: Any, __: Any) -> None:
            if isinstance(context.trace_request_ctx, _Attempt):
                context.trace_request_ctx.is_on_reused_connection = is_reused

        return record

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(make_callback(is_reused=True))
    config.on_connection_create_start.append(make_callback(is_reused=False))
    return config


async def _send(
    session: aiohttp.ClientSession, request: UpstreamRequest, deadline: float, attempt: _Attempt | None = None
) -> aiohttp.ClientResponse:
    data = request.make_data()
    return await session.request(
        _ExactMethod(request.method),
        URL(f"http://{HOST}:{request.port}{request.target}", encoded=True),
        headers=dict(request.headers),
        data=data,
        skip_auto_headers=("Content-Type",) if data is None else (),
        allow_redirects=False,
        timeout=_build_timeout(deadline - time.monotonic()),
        trace_request_ctx=attempt,
    )


def _build_timeout(left_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=max(left_s, _MIN_TIMEOUT_S), connect=CONNECT_TIMEOUT_S)


def _build_redirect(request: UpstreamRequest, response: aiohttp.ClientResponse) -> UpstreamRequest | None:
    """Return the request that a redirect leads to; None if it is not a redirect, or leads to another service."""
    location = read_header(response, "Location")
    if response.status not in (301, 302, 303, 307, 308) or not location:
        return None
    target = find_redirect_target(f"http://{HOST}:{request.port}{request.target}", location, (request.port,))
    if target is None:
        return None
    if response.status == 303 or (response.status in (301, 302) and request.method == "POST"):
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-type"}
        return replace(request, method="GET", target=target, headers=headers, make_data=lambda: None)
    return replace(request, target=target)
