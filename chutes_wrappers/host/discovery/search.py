"""Search for the specifications of a service: at the places of frameworks, and at the URLs that its own pages name."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.exposure import Category
from chutes_wrappers.host.discovery import documentation_pages
from chutes_wrappers.host.discovery.document_reader import DocumentReader, Get
from chutes_wrappers.host.discovery.documents import parse_document
from chutes_wrappers.host.discovery.fetching import NOT_FOUND_STATUSES, STARTING_STATUSES, Response, Service
from chutes_wrappers.host.discovery.merging import SearchResult, merge_documents
from chutes_wrappers.host.discovery.places import DEFAULT_PATHS, DOCUMENTATION_PAGES, FURTHER_PATHS

# Of one search. Files to which a specification refers, and the choice of a prefix, come on top.
MAX_REQUESTS = 120
MAX_DOCUMENTS = 20
_CONCURRENT_REQUESTS = 4
_MAX_DEPTH = 3
_PLACE_TIMEOUT_S = 5.0
_MAX_SILENT_PLACES = 3
_TOO_MANY_REQUESTS = 429
_BINARY_TYPES = (
    "image/",
    "audio/",
    "video/",
    "font/",
    "application/octet-stream",
    "application/zip",
    "application/pdf",
)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A path to request.

    ``is_page``: not reported when it has no specification. ``depth``: how many pages led to it. ``base`` is the path to which
    URLs in it are relative, if not its own: those in a script are relative to the page.
    """

    path: str
    is_page: bool = False
    depth: int = 0
    base: str = ""


class Search:
    """One request to each place. ``problems`` maps a path to what it returned instead of a specification.

    ``paths`` are the user's. If they have routes, no other place is requested. ``is_full`` is whether places other than those
    and DEFAULT_PATHS are requested. ``rejected`` has what earlier searches read in vain, by its hash, and gets more.
    """

    def __init__(
        self,
        get: Get,
        service: Service,
        paths: tuple[str, ...],
        report: Callable[[str], None],
        expose: frozenset[Category] = frozenset(),
        *,
        is_full: bool = True,
        rejected: dict[bytes, str] | None = None,
    ) -> None:
        self.problems: dict[str, str] = {}
        self.result: SearchResult | None = None
        self._get = get
        self._reader = DocumentReader(get, service, report, expose)
        self._paths = paths
        self._is_full = is_full
        self._requested: set[str] = set()
        self._linked: list[_Place] = []
        self._results: list[SearchResult] = []
        self._rejected = {} if rejected is None else rejected
        # What was read already, by its hash: a server may have one response for all paths.
        self._known_problems: dict[bytes, str | None] = {}

    async def run(self) -> bool:
        """Set ``result`` to what all specifications describe. Return whether all responses were final."""
        is_certain = True
        for paths in (self._paths, DEFAULT_PATHS):
            statuses = await self._read_places(_Place(path=path) for path in paths)
            if None in statuses:
                return False
            is_certain = is_certain and STARTING_STATUSES.isdisjoint(statuses)
            if paths and paths is self._paths and any(result.operations.routes for result in self._results):
                self.result = merge_documents(self._results)
                return is_certain
        if self._is_full and not STARTING_STATUSES.issuperset(statuses):
            is_certain = await self._read_further_places() and is_certain
        self.result = merge_documents(self._results)
        return is_certain

    async def _read_further_places(self) -> bool:
        """Read the places of other frameworks. Return whether all responses were final."""
        pages = (_Place(path=path, is_page=True) for path in DOCUMENTATION_PAGES)
        documents = (_Place(path=path) for path in FURTHER_PATHS)
        statuses = await self._read_places((*pages, *documents), is_optional=True)
        # A limit of requests is not a sign of a start.
        return (STARTING_STATUSES - {_TOO_MANY_REQUESTS}).isdisjoint(statuses)

    async def _read_places(self, places: Iterable[_Place], *, is_optional: bool = False) -> list[int | None]:
        """Read ``places`` and what they link to, in order, and return the statuses; None for a request without a response.

        Stops after the first of those, and with ``is_optional`` after more of them.
        """
        statuses: list[int | None] = []
        pending = self._select_new(places)
        while pending and statuses.count(None) <= (_MAX_SILENT_PLACES if is_optional else 0):
            batch, pending = pending[:_CONCURRENT_REQUESTS], pending[_CONCURRENT_REQUESTS:]
            requests = (self._request(place.path, is_optional=is_optional) for place in batch)
            for place, response in zip(batch, await asyncio.gather(*requests), strict=True):
                statuses.append(response.status if response else None)
                if response is not None:
                    await self._read_response(place, response)
            if not pending:
                pending, self._linked = self._select_new(self._linked), []
        return statuses

    def _request(self, path: str, *, is_optional: bool) -> Awaitable[Response | None]:
        return self._get(path, timeout_s=_PLACE_TIMEOUT_S, is_optional=True) if is_optional else self._get(path)

    def _select_new(self, places: Iterable[_Place]) -> list[_Place]:
        """Return the places that were not requested yet, within the limit, and count them as requested."""
        selected = []
        for place in places:
            if place.path not in self._requested and len(self._requested) < MAX_REQUESTS:
                self._requested.add(place.path)
                selected.append(place)
        return selected

    async def _read_response(self, place: _Place, response: Response) -> None:
        """Read a specification, or a page that names some; ``problems`` says what else a place has."""
        self._add_links(place, response.path, documentation_pages.find_header_urls(response.link))
        problem = response.problem
        if problem is None and 200 <= response.status < 300:
            digest = hashlib.sha256(response.body).digest()
            if digest not in self._known_problems:
                self._known_problems[digest] = await self._read_body(place, response, digest)
            problem = self._known_problems[digest]
        elif problem is None and response.status not in NOT_FOUND_STATUSES:
            problem = f"returns status {response.status}"
        if problem is not None and not place.is_page:
            self.problems[place.path] = problem

    async def _read_body(self, place: _Place, response: Response, digest: bytes) -> str | None:
        """Read a specification, or the links in anything else. Return what the body is instead of a specification."""
        problem = self._rejected.get(digest) or await self._parse_body(response)
        if problem is not None:
            self._rejected[digest] = problem
            if not response.content_type.lower().startswith(_BINARY_TYPES):
                await self._read_page(place, response)
        return problem

    async def _parse_body(self, response: Response) -> str | None:
        if "javascript" in response.content_type.lower():
            return "is a script"
        try:
            document = parse_document(response.body, response.content_type)
        except WrapperError as error:
            return error.what
        return await self._read_document(document, response.path)

    async def _read_document(self, document: dict[str, object], location: str) -> str | None:
        """Add a specification to the results. Return what it is instead."""
        if len(self._results) == MAX_DOCUMENTS:
            return f"is one of more than {MAX_DOCUMENTS} specifications"
        try:
            self._results.append(await self._reader.read(document, location))
        except WrapperError as error:
            return error.what
        return None

    async def _read_page(self, place: _Place, response: Response) -> None:
        """Read the specifications in a page or script, and note the places that it names."""
        text = response.body.decode("utf-8", "replace")
        for document in documentation_pages.find_embedded_documents(text):
            await self._read_document(document, response.path)
        base = self._reader.resolve_path(place.base or response.path, documentation_pages.find_base_url(text))
        base = base or response.path
        self._add_links(place, base, documentation_pages.find_specification_urls(text))
        self._add_links(place, base, documentation_pages.find_page_urls(text), is_page=True)
        self._add_links(place, base, documentation_pages.find_script_urls(text), is_page=True, is_script=True)

    def _add_links(
        self, place: _Place, base: str, urls: Iterable[str], *, is_page: bool = False, is_script: bool = False
    ) -> None:
        for url in urls if place.depth < _MAX_DEPTH else ():
            path = self._reader.resolve_path(base, url)
            if path is not None:
                script_base = base if is_script else ""
                self._linked.append(_Place(path=path, is_page=is_page, depth=place.depth + 1, base=script_base))
            elif not is_page:
                self.problems.setdefault(place.path, f"names a specification on another host ({url[:200]})")
