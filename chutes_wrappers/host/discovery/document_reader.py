"""Read a specification of a running service, with the files to which it refers, and with the path prefix that exists there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urljoin

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.exposure import Category
from chutes_wrappers.host.discovery import servers, specification
from chutes_wrappers.host.discovery.bundling import bundle
from chutes_wrappers.host.discovery.documents import MAX_DOCUMENT_BYTES, parse_document
from chutes_wrappers.host.discovery.fetching import NOT_FOUND_STATUSES, STARTING_STATUSES, Response, Service
from chutes_wrappers.host.discovery.identifiers import replace_names
from chutes_wrappers.host.discovery.merging import SearchResult
from chutes_wrappers.host.discovery.references import ReadingTime

_PREFIX_TIMEOUT_S = 3.0


class Get(Protocol):
    """Requests a path of the service."""

    def __call__(
        self, path: str, *, timeout_s: float = ..., follow: bool = ..., is_optional: bool = ...
    ) -> Awaitable[Response | None]:
        """GET ``path``; None without a response. ``follow`` is whether to follow redirects.

        With ``is_optional``, no response says nothing about the service.
        """
        ...


class DocumentReader:
    """Reads the specifications of one service. All of them together have one ReadingTime, and one limit for further files."""

    def __init__(
        self, get: Get, service: Service, report: Callable[[str], None], expose: frozenset[Category] = frozenset()
    ) -> None:
        self._get = get
        self._service = service
        self._report = report
        self._expose = expose
        self._file_bytes_left = MAX_DOCUMENT_BYTES
        self._reading_time = ReadingTime()

    async def read(self, document: dict[str, Any], location: str) -> SearchResult:
        """Return what ``document`` at the path ``location`` describes. Raises WrapperError with what it is instead."""
        specification.check_dialect(document)
        replace_names(document, location, self._reading_time.check)
        await bundle(
            document,
            location,
            resolve_path=self.resolve_path,
            read_file=self._read_file,
            check_time=self._reading_time.check,
        )
        operations = specification.read_operations(
            document,
            port=self._service.port,
            prefix=await self._find_prefix(document, location),
            location=location,
            expose=self._expose,
            reading_time=self._reading_time,
        )
        return SearchResult(locations=(location,), operations=operations)

    def resolve_path(self, base: str, url: str) -> str | None:
        """Return the path on the service of a ``url`` found at the path ``base``; None for another host."""
        try:
            return self._service.path_from_url(urljoin(self._service.root + base, url))
        except ValueError:
            return None

    async def _read_file(self, path: str) -> dict[str, Any] | None:
        """Return a file that a specification refers to, if it exists and is within the size limit."""
        response = await self._get(path) if self._file_bytes_left > 0 else None
        if response is None or response.status != 200 or response.problem:
            return None
        self._file_bytes_left -= len(response.body)
        try:
            return parse_document(response.body, response.content_type)
        except WrapperError:
            return None

    async def _find_prefix(self, document: Mapping[str, Any], location: str) -> str:
        """Return the path prefix of the operations.

        The declared prefix may be that of a proxy elsewhere. So of several candidates, the first at which one of the
        document's GET routes exists is used. If none exists anywhere, the declared prefix is used.
        """
        declared_prefixes = servers.read_prefixes(document, location)
        parent_path = location.rsplit("/", 1)[0]
        candidates = tuple(dict.fromkeys((*(declared_prefixes or ("",)), "", parent_path)))
        paths = specification.select_plain_get_paths(document) if len(candidates) > 1 else ()
        for prefix in candidates if paths else ():
            for path in paths:
                response = await self._get(prefix + path, timeout_s=_PREFIX_TIMEOUT_S, follow=False)
                if response and response.status not in NOT_FOUND_STATUSES | STARTING_STATUSES:
                    if prefix != candidates[0]:
                        self._report(
                            f"port {self._service.port}: {location} declares the path prefix {candidates[0] or '/'}, "
                            f"but the service has none of them there; using {prefix or '/'}"
                        )
                    return prefix
        return candidates[0]
