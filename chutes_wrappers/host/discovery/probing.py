"""Find the specification and the readiness path of running services, all ports at once.

A port is asked from the first moment until it is known: it published a specification, or it answered every probe path
with a definite no until nothing changed any more on any port, or the time is over.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import aiohttp

from chutes_wrappers.core.exposure import Category
from chutes_wrappers.host.discovery import readiness_paths
from chutes_wrappers.host.discovery.fetching import NOT_YET, Answer, Service, Silence, fetch, open_session
from chutes_wrappers.host.discovery.gradio_search import combined, find_gradio
from chutes_wrappers.host.discovery.search import SEED_PATHS, Found, Search
from chutes_wrappers.host.discovery.specification import Operations

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_PROGRESS_EVERY_S = 15.0
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How long to try at most, and how long nothing may change before a definite "no specification" is believed.

    Servers open their port when their routes are there, or answer "not yet" until then; few say no first, and not for long.
    """

    timeout_s: float
    settle_s: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is known about one port in the end. ``location`` is the path of its specification (None: it publishes none)."""

    port: int
    answered: bool = False
    location: str | None = None
    operations: Operations = field(default_factory=Operations)
    readiness: str | None = None
    problems: tuple[str, ...] = ()


async def probe(
    services: Iterable[Service],
    *,
    bounds: Bounds,
    report: Report,
    probe_paths: Iterable[str] = (),
    health_check: tuple[str, ...] = (),
    expose: frozenset[Category] = frozenset(),
) -> tuple[Finding, ...]:
    """Look at all services in parallel. ``probe_paths`` are tried before the usual ones; ``expose`` lifts filters."""
    paths = tuple(dict.fromkeys((*probe_paths, *SEED_PATHS)))
    async with open_session() as session:
        change = _Change()
        probes = (
            _PortProbe(session, service, bounds, report, paths, health_check, expose, change) for service in services
        )
        return tuple(await asyncio.gather(*(each.run() for each in probes)))


class _State(enum.Enum):
    PENDING = "ask again"
    SETTLING = "a definite no, unless it changes within seconds"
    KNOWN = "done"


@dataclass
class _Change:
    """When any port was last seen to change: while one of the services gets up, the others may, too."""

    at: float = field(default_factory=time.monotonic)

    def seen(self) -> None:
        self.at = time.monotonic()


class _PortProbe:
    """One port: what has been learnt so far."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        service: Service,
        bounds: Bounds,
        report: Report,
        paths: tuple[str, ...],
        health_check: tuple[str, ...],
        expose: frozenset[Category],
        change: _Change,
    ) -> None:
        self._session = session
        self._service = service
        self._bounds = bounds
        self._report = report
        self._paths = paths
        self._expose = expose
        self._change = change
        self._checked_path = readiness_paths.checked_path(health_check, service.port)
        self._started = time.monotonic()
        self._answered = False
        self._silence: Silence | None = None
        self._found: Found | None = None
        self._readiness: str | None = None
        self._loading: str | None = None
        self._problems: dict[str, str] = {}

    async def run(self) -> Finding:
        """Ask until the port is known or the time is over."""
        pause_s, progress_at, seen = _FIRST_PAUSE_S, self._started + _PROGRESS_EVERY_S, self._seen(_State.PENDING)
        while True:
            had_answered = self._answered
            state = await self._attempt()
            now = time.monotonic()
            if self._seen(state) != seen:
                seen = self._seen(state)
                self._change.seen()
            unsettled_s = self._change.at + self._bounds.settle_s - now
            has_settled = state is _State.SETTLING and unsettled_s <= 0
            if state is _State.KNOWN or has_settled or self._left_s() <= 0:
                return self._finding()
            if now >= progress_at:
                progress_at = now + _PROGRESS_EVERY_S
                self._report(self._progress())
            if state is _State.SETTLING:  # it said no to everything: asking faster would only fill its log
                pause_s = min(_LONGEST_PAUSE_S, max(unsettled_s, _FIRST_PAUSE_S))
            else:
                pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S) if had_answered == self._answered else _FIRST_PAUSE_S
            await asyncio.sleep(max(min(pause_s, self._left_s()), 0))

    def _seen(self, state: _State) -> tuple[object, ...]:
        """What another look would have to find different to be a change."""
        location = self._found.location if self._found else None
        return state, self._answered, location, self._loading, tuple(self._problems.items())

    async def _attempt(self) -> _State:
        self._silence = None
        is_certain = True
        if self._found is None or not self._found.operations.routes:
            is_certain = await self._search()
        if self._silence is None and self._readiness is None:
            self._loading = await self._find_readiness()
        if self._silence is not None:
            return _State.SETTLING if self._silence.is_other_protocol else _State.PENDING
        if self._loading:
            return _State.PENDING
        if self._found and self._found.operations.routes:
            return _State.KNOWN
        return _State.SETTLING if is_certain else _State.PENDING

    async def _search(self) -> bool:
        search = Search(self._get, self._service, self._paths, self._report, self._expose)
        is_certain = await search.run()
        found, self._problems = search.found, search.problems
        if self._silence is None:
            found = combined(await find_gradio(self._get, self._service.port, self._paths), found)
        self._found = found or self._found
        return is_certain

    async def _find_readiness(self) -> str | None:
        """Set the readiness path when one answers 2xx; return what says "not yet", if something does."""
        if self._checked_path:  # the image's own choice, so it may be any path
            answer = await self._get(self._checked_path, follow=False)
            if answer is None or answer.status >= 500:
                return self._checked_path
            if 200 <= answer.status < 300:
                self._readiness = self._checked_path
                return None
        nonsense = await self._get(readiness_paths.NONSENSE, follow=False)
        if nonsense is None or nonsense.status in NOT_YET:
            return readiness_paths.NONSENSE
        if 200 <= nonsense.status < 300:
            return None
        for path in readiness_paths.candidates(self._found.operations.routes if self._found else ()):
            answer = await self._get(path, follow=False)
            if answer is None or answer.status in NOT_YET:
                return path
            if 200 <= answer.status < 300:
                self._readiness = path
                return None
        return None

    async def _get(self, path: str, *, timeout_s: float = 60, follow: bool = True) -> Answer | None:
        if not path.startswith("/"):
            path = "/" + path
        timeout_s = min(timeout_s, self._left_s())
        result = await fetch(self._session, self._service, path, timeout_s=timeout_s, follow=follow)
        if isinstance(result, Silence):
            self._silence = result
            return None
        if not self._answered:
            self._answered = True
            self._report(f"port {self._service.port} answers after {time.monotonic() - self._started:.1f} s")
        return result

    def _left_s(self) -> float:
        return self._started + self._bounds.timeout_s - time.monotonic()

    def _progress(self) -> str:
        if not self._answered:
            waits_for = "an answer"
        else:
            waits_for = f"{self._loading} to say that it is ready" if self._loading else "a specification"
        elapsed_s = time.monotonic() - self._started
        return f"port {self._service.port}: waiting for {waits_for} ({elapsed_s:.0f} s of at most {self._bounds.timeout_s:.0f} s)"

    def _finding(self) -> Finding:
        has_routes = self._found is not None and self._found.operations.routes
        problems = [] if has_routes else _grouped(self._problems)
        if self._loading:
            problems.append(f"{self._loading} never said that it is ready")
        elif self._silence:
            problems.append(self._silence.reason)
        return Finding(
            port=self._service.port,
            answered=self._answered,
            location=self._found.location if self._found else None,
            operations=self._found.operations if self._found else Operations(),
            readiness=self._readiness,
            problems=tuple(problems),
        )


def _grouped(problems: Mapping[str, str]) -> list[str]:
    """One line a problem: a server that answers everything has the same one at every path."""
    paths: dict[str, list[str]] = {}
    for path, problem in problems.items():
        paths.setdefault(problem, []).append(path)
    return [
        f"{found[0]} {problem}" + (f" (like {len(found) - 1} other paths)" if len(found) > 1 else "")
        for problem, found in paths.items()
    ]
