"""One bounded GET: the answer of a service, or why there is none."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.discovery.documents import MAX_DOCUMENT_BYTES

REQUEST_TIMEOUT_S = 10.0
# Statuses of a service, or of a proxy before it, that is still starting; and those that mean "not here".
STARTING_STATUSES = frozenset({408, 425, 429, 502, 503, 504})
NOT_FOUND_STATUSES = frozenset({404, 405, 410})
_MOST_REDIRECTS = 5
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "0.0.0.0", "::1", "::"})


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service to look at: the port that its routes will name, and the root URL that reaches it from here."""

    port: int
    root: str

    @classmethod
    def from_url(cls, base_url: str, port: int | None) -> Service:
        """The service that ``--base-url`` and ``--port`` mean; ConfigurationError when they mean none."""
        where = f"--base-url {base_url.split('@')[-1]}"
        example_url = "http://127.0.0.1:8020"
        try:
            parts = urlsplit(base_url)
            url_port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise ConfigurationError(
                f"is no URL ({error})", where=where, next_step=f"name its root, as in {example_url}"
            ) from error
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ConfigurationError(
                "is not a root URL of a service",
                where=where,
                next_step=f"name it without a password, as in {example_url}",
            )
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ConfigurationError(
                "must be the root of the service, without a path",
                where=where,
                next_step="name where its specification is with --probe-paths",
            )
        return cls(port=url_port if port is None else port, root=f"{parts.scheme}://{parts.netloc}")

    def path_from_url(self, url: str) -> str | None:
        """Path and query of ``url`` when it is on this service, else None.

        A service that writes its own port into a URL means itself, wherever an engine published that port.
        """
        try:
            target, root = URL(url), URL(self.root)
        except ValueError:
            return None
        if target.scheme not in ("http", "https"):
            return None
        is_root = (target.host, target.port) == (root.host, root.port) and target.scheme == root.scheme
        is_service_port = {target.host, root.host} <= _LOOPBACK and target.port in (self.port, root.port)
        return target.raw_path_qs if is_root or is_service_port else None


@dataclass(frozen=True, kw_only=True)
class Response:
    """What came back: ``path`` is where redirects led, ``problem`` says why ``body`` is not what the service holds there."""

    status: int
    path: str
    content_type: str = ""
    body: bytes = b""
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class NoResponse:
    """No HTTP answer. ``is_other_protocol``: something answered, but not HTTP."""

    reason: str
    is_other_protocol: bool = False


def open_session() -> aiohttp.ClientSession:
    """A session for ``fetch``: no cookies, no proxies, nothing decompressed without a bound."""
    return aiohttp.ClientSession(
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0),
        headers={"Accept": "application/json, application/yaml, */*;q=0.5", "Accept-Encoding": "identity"},
    )


async def fetch(
    session: aiohttp.ClientSession, service: Service, path: str, *, timeout_s: float, follow: bool = True
) -> Response | NoResponse:
    """GET ``path``, following redirects on the same service only, within ``timeout_s`` and LARGEST_BYTES."""
    # Not asyncio.wait_for: before Python 3.12 it loses a cancellation that meets a refused connection.
    timeout = aiohttp.ClientTimeout(total=max(min(timeout_s, REQUEST_TIMEOUT_S), 0.05))
    try:
        return await _fetch(session, service, path, timeout, _MOST_REDIRECTS if follow else 0)
    except asyncio.TimeoutError:  # the builtin TimeoutError only from Python 3.11 on
        return NoResponse(reason="it did not answer in time")
    except aiohttp.ClientResponseError as error:
        return NoResponse(reason=f"it does not speak HTTP ({_shorten(error.message)})", is_other_protocol=True)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return NoResponse(reason=f"no answer ({_shorten(str(error) or type(error).__name__)})")


def _shorten(text: str) -> str:
    return " ".join(text.split())[:120]


async def _fetch(
    session: aiohttp.ClientSession, service: Service, path: str, timeout: aiohttp.ClientTimeout, redirects_left: int
) -> Response:
    url = URL(service.root + path)
    async with session.get(url, allow_redirects=False, timeout=timeout) as response:
        location = response.headers.get("Location", "") if 300 <= response.status < 400 else ""
        if not location or redirects_left == 0:
            body, problem = await _read_body(response)
            content_type = response.headers.get("Content-Type", "")
            return Response(status=response.status, path=path, content_type=content_type, body=body, problem=problem)
    redirect_url = urljoin(str(url), location)
    next_path = service.path_from_url(redirect_url)
    if next_path is None:
        return Response(status=response.status, path=path, problem=f"redirects to another host ({redirect_url[:200]})")
    if redirects_left == 1:
        return Response(status=response.status, path=path, problem="redirects without end")
    return await _fetch(session, service, next_path, timeout, redirects_left - 1)


async def _read_body(response: aiohttp.ClientResponse) -> tuple[bytes, str | None]:
    """The body, decompressed, or the reason why it is left alone."""
    too_large = f"is larger than {MAX_DOCUMENT_BYTES // 1024**2} MiB"
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        return b"", f"is compressed with {encoding[:40]!r}, which was not asked for"
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
        return b"", f"is not the {encoding} that it says it is"
    return bytes(body), None
