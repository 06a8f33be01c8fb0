"""Requests to the wrapped service: reused connections, and redirects that stay on it."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp
from yarl import URL

from chutes_wrappers.runtime.service_headers import header_of

HOST = "127.0.0.1"
_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
_LOCAL_NAMES = frozenset({HOST, "localhost", "0.0.0.0", "::1"})
_MOST_REDIRECTS = 10
# A busy service lets connections wait (for seven seconds, fifteen, thirty-one: the kernel knocks ever more rarely).
_CONNECT_TIMEOUT_S = 60.0
# aiohttp takes 0 for no limit.
_SHORTEST_TIMEOUT_S = 0.001
# Shorter than the keep-alive of common servers (gunicorn 2 s, uvicorn 5 s), so that few close a connection as we use it.
_KEEPALIVE_S = 1.5
_READ_BUFFER_BYTES = 1024**2


@dataclass(frozen=True, kw_only=True)
class UpstreamRequest:
    """One request: ``target`` is the path and query as they go on the wire, ``make_data`` gives aiohttp's ``data``."""

    port: int
    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    make_data: Callable[[], Any] = lambda: None


class KeptConnectionLost(Exception):
    """A connection that was kept open closed as a request was sent on it: nobody knows whether it was carried out."""


@dataclass
class _Attempt:
    is_on_kept_connection: bool = False


class Upstream:
    """The services of this instance, as clients see them. All its methods belong to one event loop, the background's.

    Connections are kept open for a while. A service may close one just as it is used: an idempotent request is then made
    again, any other is not (RFC 9110, section 9.2.2), and from then on the others have connections of their own there.
    """

    def __init__(self) -> None:
        self._kept: aiohttp.ClientSession | None = None
        self._single: aiohttp.ClientSession | None = None
        self._closing_ports: set[int] = set()

    @property
    def session(self) -> aiohttp.ClientSession:
        """A connection for each request; without a cookie jar, as many at a time as are asked for."""
        if self._single is None:
            self._single = _session(aiohttp.TCPConnector(limit=0, force_close=True, family=socket.AF_INET))
        return self._single

    @asynccontextmanager
    async def send(self, request: UpstreamRequest, timeout_s: float) -> AsyncIterator[aiohttp.ClientResponse]:
        """The service's answer; redirects are followed within the same service, ten at most.

        ``timeout_s`` is for everything, from the first connection to the end of the last answer. Raises KeptConnectionLost,
        aiohttp.ClientError, OSError and TimeoutError.
        """
        deadline = time.monotonic() + timeout_s
        for redirects in range(_MOST_REDIRECTS + 1):
            async with await self._answer(request, deadline) as answer:
                onward = _redirected(request, answer) if redirects < _MOST_REDIRECTS else None
                if onward is None:
                    yield answer
                    return
                request = onward

    async def _answer(self, request: UpstreamRequest, deadline: float) -> aiohttp.ClientResponse:
        is_idempotent, attempt = request.method in _IDEMPOTENT, _Attempt()
        if not is_idempotent and request.port in self._closing_ports:
            return await _sent(self.session, request, deadline)
        try:
            return await _sent(self._kept_session(), request, deadline, attempt)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            if not attempt.is_on_kept_connection:
                raise
            if not is_idempotent:
                self._closing_ports.add(request.port)
                raise KeptConnectionLost from error
        return await _sent(self.session, request, deadline)

    def _kept_session(self) -> aiohttp.ClientSession:
        if self._kept is None:
            self._kept = _session(aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S, family=socket.AF_INET))
        return self._kept

    async def close(self) -> None:
        """Close every connection."""
        for session in (self._kept, self._single):
            if session is not None:
                await session.close()


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_READ_BUFFER_BYTES,
        headers={"Accept-Encoding": "identity"},
        trace_configs=[_tracing()],
    )


def _tracing() -> aiohttp.TraceConfig:
    """Tells an ``_Attempt`` which connection it got."""

    def note(is_kept: bool) -> Callable[..., Awaitable[None]]:
        async def told(_: aiohttp.ClientSession, context: Any, __: Any) -> None:
            if isinstance(context.trace_request_ctx, _Attempt):
                context.trace_request_ctx.is_on_kept_connection = is_kept

        return told

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(note(is_kept=True))
    config.on_connection_create_start.append(note(is_kept=False))
    return config


async def _sent(
    session: aiohttp.ClientSession, request: UpstreamRequest, deadline: float, attempt: _Attempt | None = None
) -> aiohttp.ClientResponse:
    return await session.request(
        request.method,
        URL(f"http://{HOST}:{request.port}{request.target}", encoded=True),
        headers=dict(request.headers),
        data=request.make_data(),
        allow_redirects=False,
        timeout=_timeout(deadline - time.monotonic()),
        trace_request_ctx=attempt,
    )


def _timeout(left_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=max(left_s, _SHORTEST_TIMEOUT_S), connect=_CONNECT_TIMEOUT_S)


def _redirected(request: UpstreamRequest, answer: aiohttp.ClientResponse) -> UpstreamRequest | None:
    """The request that a redirect asks for; None when it is none, or leads to another service."""
    location = header_of(answer, "Location")
    if answer.status not in (301, 302, 303, 307, 308) or not location:
        return None
    try:
        parts = urlsplit(urljoin(f"http://{HOST}:{request.port}{request.target}", location))
        same = parts.scheme == "http" and parts.hostname in _LOCAL_NAMES and (parts.port or 80) == request.port
        # With its host, or a path that begins with two slashes would be taken for one.
        target = URL(urlunsplit(("http", HOST, parts.path, parts.query, ""))).raw_path_qs
    except ValueError:  # the service's Location is no address
        return None
    if not same:
        return None
    if answer.status == 303 or (answer.status in (301, 302) and request.method == "POST"):
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-type"}
        return replace(request, method="GET", target=target, headers=headers, make_data=lambda: None)
    return replace(request, target=target)
