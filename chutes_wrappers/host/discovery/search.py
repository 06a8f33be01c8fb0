"""Where a service publishes its specification: the usual places, and those that its documentation pages name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urljoin

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.exposure import Category
from chutes_wrappers.host.discovery import documentation_pages, servers, specification
from chutes_wrappers.host.discovery.bundling import bundle
from chutes_wrappers.host.discovery.documents import LARGEST_BYTES, parse_document
from chutes_wrappers.host.discovery.fetching import NOT_HERE, NOT_YET, Answer, Service
from chutes_wrappers.host.discovery.specification import Operations

SEED_PATHS = ("/openapi.json", "/swagger.json", "/docs/openapi.json", "/docs.json")
DOCUMENTATION_PAGES = ("/docs", "/redoc", "/api/docs", "/v1/docs", "/swagger-ui/index.html")
_NAMES = ("openapi.json", "swagger.json", "openapi.yaml", "swagger.yaml")
FURTHER_PATHS = (
    "/openapi.yaml",
    "/swagger.yaml",
    *(f"{prefix}/{name}" for prefix in ("/api", "/v1", "/api/v1") for name in _NAMES),
    "/v3/api-docs",
    "/apispec_1.json",  # flasgger's own
    "/spec.json",
    "/swagger/v1/swagger.json",
)

_PREFIX_TIMEOUT_S = 3.0


class Get(Protocol):
    """Asks the service for a path; None when it stays silent."""

    def __call__(self, path: str, *, timeout_s: float = ..., follow: bool = ...) -> Awaitable[Answer | None]:
        """GET ``path``."""
        ...


@dataclass(frozen=True, kw_only=True)
class Found:
    """A specification: its path, and what it describes."""

    location: str
    operations: Operations


class Search:
    """One look at every candidate. ``problems`` says what was there instead of a specification, by path."""

    def __init__(
        self,
        get: Get,
        service: Service,
        paths: tuple[str, ...],
        report: Callable[[str], None],
        expose: frozenset[Category] = frozenset(),
    ) -> None:
        self.problems: dict[str, str] = {}
        self.found: Found | None = None
        self._get = get
        self._service = service
        self._paths = paths
        self._report = report
        self._expose = expose
        self._file_bytes_left = LARGEST_BYTES

    async def run(self) -> bool:
        """Fill ``found`` with the first specification that has routes, else with the first one; whether every answer was definite."""
        is_certain = True
        async for path in self._candidates():
            answer = await self._get(path)
            if answer is None:
                return False
            is_certain = is_certain and answer.status not in NOT_YET
            found = await self._read(path, answer)
            if found and (self.found is None or found.operations.routes):
                self.found = found
            if found and found.operations.routes:
                break
        return is_certain

    async def _candidates(self) -> AsyncIterator[str]:
        """The paths to try, in order, each once; those that a documentation page names when their turn has come."""
        seen = set(self._paths)
        for path in self._paths:
            yield path
        for page in DOCUMENTATION_PAGES:
            for path in await self._named_by(page):
                if path not in seen:
                    seen.add(path)
                    yield path
        for path in FURTHER_PATHS:
            if path not in seen:
                yield path

    async def _named_by(self, page: str) -> list[str]:
        """Paths on this service that a documentation page, or its script, names as the specification."""
        answer = await self._get(page)
        if answer is None or answer.status != 200 or answer.problem:
            return []
        text = answer.body.decode("utf-8", "replace")
        named = [(answer.path, url) for url in documentation_pages.specification_urls(text)]
        for script in documentation_pages.script_urls(text):
            path = self._own_path(answer.path, script)
            content = await self._get(path) if path else None
            if content is not None:
                named += [
                    (answer.path, url)
                    for url in documentation_pages.specification_urls(content.body.decode("utf-8", "replace"))
                ]
        paths = []
        for base, url in named:
            path = self._own_path(base, url)
            if path:
                paths.append(path)
            else:
                self.problems[page] = f"names a specification on another host ({url[:200]})"
        return paths

    def _own_path(self, base: str, url: str) -> str | None:
        try:
            return self._service.path_of(urljoin(self._service.root + base, url))
        except ValueError:
            return None

    async def _read(self, path: str, answer: Answer) -> Found | None:
        """The specification in ``answer``; what it is instead is remembered as a problem."""
        if answer.problem:
            self.problems[path] = answer.problem
        elif not 200 <= answer.status < 300:
            if answer.status not in NOT_HERE:
                self.problems[path] = f"answers {answer.status}"
        else:
            try:
                document = parse_document(answer.body, answer.content_type)
                specification.check_dialect(document)
                await bundle(document, answer.path, path_of=self._own_path, read=self._read_file)
                prefix = await self._prefix(document, answer.path)
                operations = specification.read_operations(
                    document, port=self._service.port, prefix=prefix, location=answer.path, expose=self._expose
                )
                return Found(location=answer.path, operations=operations)
            except WrapperError as error:
                self.problems[path] = error.what
        return None

    async def _read_file(self, path: str) -> dict[str, Any] | None:
        """What a file that a specification refers to holds, if there is any and it is not too much."""
        answer = await self._get(path) if self._file_bytes_left > 0 else None
        if answer is None or answer.status != 200 or answer.problem:
            return None
        self._file_bytes_left -= len(answer.body)
        try:
            return parse_document(answer.body, answer.content_type)
        except WrapperError:
            return None

    async def _prefix(self, document: Mapping[str, Any], location: str) -> str:
        """The server path that the operations lie below.

        What the document declares may be where a proxy elsewhere puts the service. So when there is a choice, one of its
        GET routes decides; when none of them exists anywhere, the document is right.
        """
        declared = servers.prefixes(document, location)
        beside = location.rsplit("/", 1)[0]
        choice = tuple(dict.fromkeys((*(declared or ("",)), "", beside)))
        paths = specification.plain_get_paths(document) if len(choice) > 1 else ()
        for prefix in choice if paths else ():
            for path in paths:
                answer = await self._get(prefix + path, timeout_s=_PREFIX_TIMEOUT_S, follow=False)
                if answer and answer.status not in NOT_HERE | NOT_YET:
                    if prefix != choice[0]:
                        self._report(
                            f"port {self._service.port}: {location} puts its operations below {choice[0] or '/'}, "
                            f"where the service has none of them; taken from below {prefix or '/'}"
                        )
                    return prefix
        return choice[0]
