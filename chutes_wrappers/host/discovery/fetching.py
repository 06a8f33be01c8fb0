"""One bounded GET request: the response of a service, or the reason why there is none."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.module_headers import ModuleHeaders
from chutes_wrappers.host.async_sessions import AsyncSession
from chutes_wrappers.host.discovery.documents import MAX_DOCUMENT_BYTES
from chutes_wrappers.runtime.client_sessions import describe_unreadable
from chutes_wrappers.runtime.redirects import find_redirect_target
from chutes_wrappers.runtime.response_heads import NotHTTP

REQUEST_TIMEOUT_S = 10.0
# Statuses of a service that is still starting, or of a proxy in front of it; and those that mean "no such path".
STARTING_STATUSES = frozenset({408, 425, 429, 502, 503, 504})
NOT_FOUND_STATUSES = frozenset({404, 405, 410})
# Not a status: the service responds, but its response cannot be read.
UNREADABLE_STATUS = 0
_MOST_REDIRECTS = 5


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service to probe: the port for its routes, and the root URL at which this machine reaches it.

    ``headers`` are those of its module, with the values of their variables.
    """

    port: int
    root: str
    headers: ModuleHeaders = field(default_factory=ModuleHeaders, repr=False)

    @classmethod
    def from_url(cls, base_url: str, port: int | None) -> Service:
        """Return the service of ``--base-url`` and ``--port``. Raises ConfigurationError when the URL is invalid."""
        where = f"--base-url {base_url.split('@')[-1]}"
        example_url = "http://127.0.0.1:8020"
        try:
            parts = urlsplit(base_url)
            url_port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise ConfigurationError(
                f"is not a valid URL ({error})",
                where=where,
                next_step=f"set the service's root URL, such as {example_url}",
            ) from error
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ConfigurationError(
                "is not a root URL of a service",
                where=where,
                next_step=f"set the root URL without a password, such as {example_url}",
            )
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ConfigurationError(
                "must be the root of the service, without a path",
                where=where,
                next_step="set the path of the specification with --probe-paths",
            )
        return cls(port=url_port if port is None else port, root=f"{parts.scheme}://{parts.netloc}")

    def path_from_url(self, url: str) -> str | None:
        """Return path and query of ``url`` when it is on this service, else None.

        The port may be the service's own, whatever port the engine published, or missing (``runtime/redirects.py``).
        """
        return find_redirect_target(self.root, url, (self.port, URL(self.root).port or self.port))


@dataclass(frozen=True, kw_only=True)
class Response:
    """A response: ``path`` is where redirects ended, ``problem`` says why ``body`` is not the document at that path.

    ``challenge`` is the WWW-Authenticate header of a 401.
    """

    status: int
    path: str
    content_type: str = ""
    body: bytes = b""
    link: str = ""
    problem: str | None = None
    challenge: str = ""


@dataclass(frozen=True, kw_only=True)
class NoResponse:
    """No HTTP response. ``is_other_protocol``: there was a response, but not an HTTP response."""

    reason: str
    is_other_protocol: bool = False


def open_session() -> AsyncSession:
    """Open a session for ``fetch``: no cookies, no proxies, no unbounded decompression.

    Its connections are not kept: a service with one thread waits on a kept one, while other requests wait for the service.
    """
    return AsyncSession(
        is_shared=False,
        auto_decompress=False,
        headers={"Accept": "application/json, application/yaml, */*;q=0.5", "Accept-Encoding": "identity"},
    )


async def fetch(
    session: AsyncSession, service: Service, path: str, *, timeout_s: float, follow: bool = True
) -> Response | NoResponse:
    """GET ``path``, following redirects on the same service only, within ``timeout_s`` and MAX_DOCUMENT_BYTES."""
    # Not asyncio.wait_for: before Python 3.12 it loses a cancellation that coincides with a refused connection.
    timeout = aiohttp.ClientTimeout(total=max(min(timeout_s, REQUEST_TIMEOUT_S), 0.05))
    try:
        return await _fetch(session, service, path, timeout, _MOST_REDIRECTS if follow else 0)
    except asyncio.TimeoutError:  # the builtin TimeoutError only from Python 3.11 on
        return NoResponse(reason="it did not respond in time")
    except aiohttp.ClientResponseError as error:
        return _build_unreadable_response(path, error)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return NoResponse(reason=f"no response ({_shorten(str(error) or type(error).__name__)})")


def _build_unreadable_response(path: str, error: aiohttp.ClientResponseError) -> Response | NoResponse:
    reason = describe_unreadable(error)
    if NotHTTP.is_reason(reason):
        return NoResponse(reason=f"its response is {reason}", is_other_protocol=True)
    return Response(status=UNREADABLE_STATUS, path=path, problem=f"returns what cannot be read: {reason}")


def _shorten(text: str) -> str:
    return " ".join(text.split())[:120]


async def _fetch(
    session: AsyncSession, service: Service, path: str, timeout: aiohttp.ClientTimeout, redirects_left: int
) -> Response:
    url = URL(service.root + path)
    headers = service.headers.select(service.port, ("GET", url.path))
    async with session.request("GET", url, timeout=timeout, headers=headers) as response:
        location = response.headers.get("Location", "") if 300 <= response.status < 400 else ""
        if not location or redirects_left == 0:
            body, problem = await _read_body(response)
            content_type = response.headers.get("Content-Type", "")
            return Response(
                status=response.status,
                path=path,
                content_type=content_type,
                body=body,
                problem=problem,
                challenge=response.headers.get("WWW-Authenticate", ""),
                link=", ".join(response.headers.getall("Link", [])),
            )
    redirect_url = urljoin(str(url), location)
    next_path = service.path_from_url(redirect_url)
    if next_path is None:
        return Response(status=response.status, path=path, problem=f"redirects to another host ({redirect_url[:200]})")
    if redirects_left == 1:
        return Response(status=response.status, path=path, problem="redirects too many times")
    return await _fetch(session, service, next_path, timeout, redirects_left - 1)


async def _read_body(response: aiohttp.ClientResponse) -> tuple[bytes, str | None]:
    """Return the decompressed body, or the reason why it is not read."""
    too_large = f"is larger than {MAX_DOCUMENT_BYTES // 1024**2} MiB"
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        return b"", f"is compressed with {encoding[:40]!r}, which the request does not accept"
    if (response.content_length or 0) > MAX_DOCUMENT_BYTES:
        return b"", too_large
    decompressor = None if encoding in ("", "identity") else zlib.decompressobj(zlib.MAX_WBITS | 32)
    body = bytearray()
    try:
        async for chunk in response.content.iter_chunked(64 * 1024):
            body += decompressor.decompress(chunk, MAX_DOCUMENT_BYTES + 1 - len(body)) if decompressor else chunk
            if len(body) > MAX_DOCUMENT_BYTES:
                return b"", too_large
    except zlib.error:
        return b"", f"is not valid {encoding}, although its Content-Encoding is {encoding}"
    return bytes(body), None
