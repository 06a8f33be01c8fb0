"""Search for a service's specification: at the default paths, and at the URLs in its documentation pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urljoin

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.exposure import Category
from chutes_wrappers.host.discovery import documentation_pages, servers, specification
from chutes_wrappers.host.discovery.bundling import bundle
from chutes_wrappers.host.discovery.documents import MAX_DOCUMENT_BYTES, parse_document
from chutes_wrappers.host.discovery.fetching import NOT_FOUND_STATUSES, STARTING_STATUSES, Response, Service
from chutes_wrappers.host.discovery.references import ReadingTime
from chutes_wrappers.host.discovery.specification import Operations

DEFAULT_PATHS = ("/openapi.json", "/swagger.json", "/docs/openapi.json", "/docs.json")
DOCUMENTATION_PAGES = ("/docs", "/redoc", "/api/docs", "/v1/docs", "/swagger-ui/index.html")
_FILE_NAMES = ("openapi.json", "swagger.json", "openapi.yaml", "swagger.yaml")
FURTHER_PATHS = (
    "/openapi.yaml",
    "/swagger.yaml",
    *(f"{prefix}/{name}" for prefix in ("/api", "/v1", "/api/v1") for name in _FILE_NAMES),
    "/v3/api-docs",
    "/apispec_1.json",  # flasgger
    "/spec.json",
    "/swagger/v1/swagger.json",
)

_PREFIX_TIMEOUT_S = 3.0


class Get(Protocol):
    """Requests a path of the service."""

    def __call__(self, path: str, *, timeout_s: float = ..., follow: bool = ...) -> Awaitable[Response | None]:
        """GET ``path``; None when there is no response. ``follow`` is whether to follow redirects."""
        ...


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """A specification: its path and its operations."""

    location: str
    operations: Operations


class Search:
    """One request to each candidate path. ``problems`` maps a path to what it returned instead of a specification."""

    def __init__(
        self,
        get: Get,
        service: Service,
        paths: tuple[str, ...],
        report: Callable[[str], None],
        expose: frozenset[Category] = frozenset(),
    ) -> None:
        self.problems: dict[str, str] = {}
        self.result: SearchResult | None = None
        self._get = get
        self._service = service
        self._paths = paths
        self._report = report
        self._expose = expose
        self._file_bytes_left = MAX_DOCUMENT_BYTES
        self._reading_time = ReadingTime()

    async def run(self) -> bool:
        """Set ``result`` to the first specification with routes, else to the first one. Return whether all responses were final."""
        is_certain = True
        async for path in self._iterate_candidates():
            response = await self._get(path)
            if response is None:
                return False
            is_certain = is_certain and response.status not in STARTING_STATUSES
            result = await self._read_specification(path, response)
            if result and (self.result is None or result.operations.routes):
                self.result = result
            if result and result.operations.routes:
                break
        return is_certain

    async def _iterate_candidates(self) -> AsyncIterator[str]:
        """Yield the paths to try, each once: the given paths, those that documentation pages name, then the further ones."""
        yielded_paths = set(self._paths)
        for path in self._paths:
            yield path
        for page in DOCUMENTATION_PAGES:
            for path in await self._find_paths_in_page(page):
                if path not in yielded_paths:
                    yielded_paths.add(path)
                    yield path
        for path in FURTHER_PATHS:
            if path not in yielded_paths:
                yield path

    async def _find_paths_in_page(self, page: str) -> list[str]:
        """Return the paths of specifications on this service that a documentation page, or its script, contains."""
        response = await self._get(page)
        if response is None or response.status != 200 or response.problem:
            return []
        text = response.body.decode("utf-8", "replace")
        locations = [(response.path, url) for url in documentation_pages.find_specification_urls(text)]
        for script in documentation_pages.find_script_urls(text):
            path = self._resolve_path(response.path, script)
            script_response = await self._get(path) if path else None
            if script_response is not None:
                locations += [
                    (response.path, url)
                    for url in documentation_pages.find_specification_urls(
                        script_response.body.decode("utf-8", "replace")
                    )
                ]
        paths = []
        for base, url in locations:
            path = self._resolve_path(base, url)
            if path:
                paths.append(path)
            else:
                self.problems[page] = f"names a specification on another host ({url[:200]})"
        return paths

    def _resolve_path(self, base: str, url: str) -> str | None:
        try:
            return self._service.path_from_url(urljoin(self._service.root + base, url))
        except ValueError:
            return None

    async def _read_specification(self, path: str, response: Response) -> SearchResult | None:
        """Return the specification in ``response``, or None; then ``problems`` says what it is instead."""
        if response.problem:
            self.problems[path] = response.problem
        elif not 200 <= response.status < 300:
            if response.status not in NOT_FOUND_STATUSES:
                self.problems[path] = f"returns status {response.status}"
        else:
            try:
                document = parse_document(response.body, response.content_type)
                specification.check_dialect(document)
                await bundle(
                    document,
                    response.path,
                    resolve_path=self._resolve_path,
                    read_file=self._read_file,
                    check_time=self._reading_time.check,
                )
                prefix = await self._find_prefix(document, response.path)
                operations = specification.read_operations(
                    document,
                    port=self._service.port,
                    prefix=prefix,
                    location=response.path,
                    expose=self._expose,
                    reading_time=self._reading_time,
                )
                return SearchResult(location=response.path, operations=operations)
            except WrapperError as error:
                self.problems[path] = error.what
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
