"""Find the specification and the readiness path of running services, all ports in parallel.

Requests to a port are repeated until it publishes a specification or the timeout is reached. Without a specification,
they end when no port has changed for ``settle_s``.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from chutes_wrappers.core.exposure import Category
from chutes_wrappers.host.async_sessions import AsyncSession
from chutes_wrappers.host.discovery import readiness_paths
from chutes_wrappers.host.discovery.credentials import REFUSED_STATUSES, Refusal, list_credentials, select_secured_path
from chutes_wrappers.host.discovery.fetching import (
    STARTING_STATUSES,
    NoResponse,
    Response,
    Service,
    fetch,
    open_session,
)
from chutes_wrappers.host.discovery.gradio_search import find_gradio, merge_results
from chutes_wrappers.host.discovery.merging import SearchResult
from chutes_wrappers.host.discovery.search import Search
from chutes_wrappers.host.discovery.specification import Operations

_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.05, 1.0
_SECURED_TIMEOUT_S = 3.0
_PROGRESS_EVERY_S = 15.0
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The timeout of probing, and how long no port may change before "no specification" is final. In seconds.

    Most servers open their port when their routes exist, or return "not yet" until then. A few return "not found" first,
    for a short time.
    """

    timeout_s: float
    settle_s: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of probing one port. ``locations`` are the paths of its specifications; none if it publishes none.

    ``refusal`` is a request that the service refused for want of credentials.
    """

    port: int
    has_responded: bool = False
    locations: tuple[str, ...] = ()
    operations: Operations = field(default_factory=Operations)
    readiness: str | None = None
    problems: tuple[str, ...] = ()
    refusal: Refusal | None = None

    @property
    def location(self) -> str | None:
        """The path of the first specification, or None."""
        return self.locations[0] if self.locations else None


def list_refusals(findings: Iterable[Finding]) -> list[Refusal]:
    """Return the refusals that concern callers: of a route that declares credentials, or of a service that publishes nothing.

    Many servers refuse a path that they do not have.
    """
    return [
        finding.refusal
        for finding in findings
        if finding.refusal is not None
        and (not finding.operations.routes or list_credentials(finding.operations.routes))
    ]


async def probe(
    services: Iterable[Service],
    *,
    bounds: Bounds,
    report: Report,
    probe_paths: Iterable[str] = (),
    health_check: tuple[str, ...] = (),
    expose: frozenset[Category] = frozenset(),
) -> tuple[Finding, ...]:
    """Probe all services in parallel. ``probe_paths`` are tried before the default paths; ``expose`` disables filters."""
    paths = tuple(dict.fromkeys(probe_paths))
    async with open_session() as session:
        change = _LastChange()
        probes = (
            _PortProbe(session, service, bounds, report, paths, health_check, expose, change) for service in services
        )
        return tuple(await asyncio.gather(*(port_probe.run() for port_probe in probes)))


class _State(enum.Enum):
    PENDING = "request again"
    SETTLING = "no specification, unless a port changes within seconds"
    KNOWN = "done"


@dataclass
class _LastChange:
    """The time of the last change on any port: while one service is starting, the others may be starting too."""

    changed_at: float = field(default_factory=time.monotonic)

    def record(self) -> None:
        self.changed_at = time.monotonic()


class _PortProbe:
    """The probing of one port, with its results so far."""

    def __init__(
        self,
        session: AsyncSession,
        service: Service,
        bounds: Bounds,
        report: Report,
        paths: tuple[str, ...],
        health_check: tuple[str, ...],
        expose: frozenset[Category],
        change: _LastChange,
    ) -> None:
        self._session = session
        self._service = service
        self._bounds = bounds
        self._report = report
        self._paths = paths
        self._expose = expose
        self._change = change
        self._health_check_path = readiness_paths.find_health_check_path(health_check, service.port)
        self._started_at = time.monotonic()
        self._has_responded = False
        self._no_response: NoResponse | None = None
        self._result: SearchResult | None = None
        self._readiness_path: str | None = None
        self._loading_path: str | None = None
        self._problems: dict[str, str] = {}
        self._searches = 0
        self._rejected: dict[bytes, str] = {}
        self._is_full_search_due = True
        self._refusal: Refusal | None = None

    async def run(self) -> Finding:
        """Send requests until the result is final or the timeout is reached."""
        pause_s, progress_at, snapshot = (
            _FIRST_PAUSE_S,
            self._started_at + _PROGRESS_EVERY_S,
            self._build_snapshot(_State.PENDING),
        )
        while True:
            had_responded = self._has_responded
            state = await self._attempt()
            now = time.monotonic()
            if self._build_snapshot(state) != snapshot:
                snapshot = self._build_snapshot(state)
                self._is_full_search_due = self._is_full_search_due or self._searches > 1
                self._change.record()
            settles_in_s = self._change.changed_at + self._bounds.settle_s - now
            has_settled = state is _State.SETTLING and settles_in_s <= 0
            if has_settled and await self._find_other_places():
                continue
            if state is _State.KNOWN or has_settled or self._remaining_s <= 0:
                await self._request_secured_path()
                return self._build_finding()
            if now >= progress_at:
                progress_at = now + _PROGRESS_EVERY_S
                self._report(self._format_progress())
            if state is _State.SETTLING:  # no path has a specification: more requests would only fill its log
                pause_s = min(_MAX_PAUSE_S, max(settles_in_s, _FIRST_PAUSE_S))
            else:
                pause_s = min(pause_s * 1.5, _MAX_PAUSE_S) if had_responded == self._has_responded else _FIRST_PAUSE_S
            await asyncio.sleep(max(min(pause_s, self._remaining_s), 0))

    def _build_snapshot(self, state: _State) -> tuple[object, ...]:
        """Return the state whose difference between two attempts is a change."""
        locations = self._result.locations if self._result else ()
        return state, self._has_responded, locations, self._loading_path, tuple(self._problems.items())

    async def _attempt(self) -> _State:
        self._no_response = None
        is_certain = True
        if self._result is None or not self._result.operations.routes:
            is_certain = await self._search()
        if self._no_response is None and self._readiness_path is None:
            self._loading_path = await self._find_readiness()
        if self._no_response is not None:
            return _State.SETTLING if self._no_response.is_other_protocol else _State.PENDING
        if self._loading_path:
            return _State.PENDING
        if self._result and self._result.operations.routes:
            return _State.KNOWN
        return _State.SETTLING if is_certain else _State.PENDING

    async def _search(self) -> bool:
        """Search, and return whether all responses were final.

        Until one search at all places is complete, only attempts 1, 2, 4, 8, … are at all places. More of them would flood a
        service that is starting.
        """
        # Only searches of a service that responds are counted: others end at their first request.
        self._searches += self._has_responded
        is_certain = await self._search_places(
            is_full=self._is_full_search_due and self._searches & (self._searches - 1) == 0
        )
        if self._is_full_search_due and self._result is not None and self._result.operations.routes:
            await self._search_places(is_full=True)
            self._is_full_search_due = False
        return is_certain

    async def _find_other_places(self) -> bool:
        """Search the places that no search has reached yet, at the end. Return whether one has routes."""
        if not self._is_full_search_due or self._no_response is not None:
            return False
        await self._search_places(is_full=True)
        self._is_full_search_due = False
        return self._result is not None and bool(self._result.operations.routes)

    async def _search_places(self, *, is_full: bool) -> bool:
        search = Search(
            self._get,
            self._service,
            self._paths,
            self._report,
            self._expose,
            is_full=is_full,
            rejected=self._rejected,
        )
        is_certain = await search.run()
        self._is_full_search_due = self._is_full_search_due and not (is_full and is_certain)
        result, self._problems = search.result, {**self._problems, **search.problems} if is_certain else search.problems
        if self._no_response is None:
            result = merge_results(await find_gradio(self._get, self._service.port, self._paths), result)
        self._result = result or self._result
        return is_certain

    async def _find_readiness(self) -> str | None:
        """Set the readiness path when one returns 2xx. Return the path that returns "not yet", if there is one."""
        if self._health_check_path:  # the image sets it, so any path is trusted
            response = await self._get(self._health_check_path, follow=False)
            if response is None or response.status >= 500:
                return self._health_check_path
            if 200 <= response.status < 300:
                self._readiness_path = self._health_check_path
                return None
        unknown_path_response = await self._get(readiness_paths.NONEXISTENT_PATH, follow=False)
        if unknown_path_response is None or unknown_path_response.status in STARTING_STATUSES:
            return readiness_paths.NONEXISTENT_PATH
        if 200 <= unknown_path_response.status < 300:
            return None
        for path in readiness_paths.select_candidates(self._result.operations.routes if self._result else ()):
            response = await self._get(path, follow=False)
            if response is None or response.status in STARTING_STATUSES:
                return path
            if 200 <= response.status < 300:
                self._readiness_path = path
                return None
        return None

    async def _get(
        self, path: str, *, timeout_s: float = 60, follow: bool = True, is_optional: bool = False
    ) -> Response | None:
        if not path.startswith("/"):
            path = "/" + path
        timeout_s = min(timeout_s, self._remaining_s)
        result = await fetch(self._session, self._service, path, timeout_s=timeout_s, follow=follow)
        if isinstance(result, NoResponse):
            if not is_optional:
                self._no_response = result
            return None
        if not is_optional:  # a single forbidden page says nothing about the API
            self._record_refusal(result)
        if not self._has_responded:
            self._has_responded = True
            self._report(f"port {self._service.port} responded after {time.monotonic() - self._started_at:.1f} s")
        return result

    async def _request_secured_path(self) -> None:
        """Find out whether the service refuses a route for want of the credentials that its specification declares."""
        path = select_secured_path(self._result.operations.routes if self._result else ())
        if path is not None:
            self._refusal = None  # of a path that is not of the specification
            result = await fetch(self._session, self._service, path, timeout_s=_SECURED_TIMEOUT_S, follow=False)
            if isinstance(result, Response):
                self._record_refusal(result)

    def _record_refusal(self, response: Response) -> None:
        if self._refusal is None and response.status in REFUSED_STATUSES:
            self._refusal = Refusal(
                port=self._service.port, path=response.path, status=response.status, challenge=response.challenge
            )

    @property
    def _remaining_s(self) -> float:
        return self._started_at + self._bounds.timeout_s - time.monotonic()

    def _format_progress(self) -> str:
        if not self._has_responded:
            expected = "a response"
        else:
            expected = (
                f"{self._loading_path} to report that the service is ready" if self._loading_path else "a specification"
            )
        elapsed_s = time.monotonic() - self._started_at
        return f"port {self._service.port}: waiting for {expected} ({elapsed_s:.0f} s of at most {self._bounds.timeout_s:.0f} s)"

    def _build_finding(self) -> Finding:
        has_routes = self._result is not None and self._result.operations.routes
        problems = [] if has_routes else _group_problems(self._problems)
        if self._loading_path:
            problems.append(f"{self._loading_path} never reported that the service is ready")
        elif self._no_response:
            problems.append(self._no_response.reason)
        return Finding(
            port=self._service.port,
            has_responded=self._has_responded,
            locations=self._result.locations if self._result else (),
            operations=self._result.operations if self._result else Operations(),
            readiness=self._readiness_path,
            problems=tuple(problems),
            refusal=self._refusal,
        )


def _group_problems(problems: Mapping[str, str]) -> list[str]:
    """Return one line for each problem: a server with one response for all paths has the same problem at every path."""
    paths: dict[str, list[str]] = {}
    for path, problem in problems.items():
        paths.setdefault(problem, []).append(path)
    return [
        f"{problem_paths[0]} {problem}"
        + (f" (same for {len(problem_paths) - 1} other paths)" if len(problem_paths) > 1 else "")
        for problem, problem_paths in paths.items()
    ]
