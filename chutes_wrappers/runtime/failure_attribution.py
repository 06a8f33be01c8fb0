"""Whose fault a failed call is: the caller's, or the instance's, which the platform counts (PLATFORM.md, section 3)."""

from __future__ import annotations

import asyncio
from collections import Counter

from chutes_wrappers.runtime.call_errors import CLIENT_ERROR, INSTANCE_FAILURE, TRY_AGAIN, CallFailed
from chutes_wrappers.runtime.readiness import probes, problems_of, readiness_paths
from chutes_wrappers.runtime.startup import has_been_ready, launch_spec
from chutes_wrappers.runtime.supervision import launched

MOST_FAILURES_IN_A_ROW = 5
_HOST = "127.0.0.1"
_PROBE_TIMEOUT_S = 5.0


class ServiceHealth:
    """What the calls so far say about each port's service."""

    def __init__(self) -> None:
        self._failures: Counter[int] = Counter()
        self._answered: set[int] = set()

    def answered(self, port: int) -> None:
        """A call to ``port`` got an answer that is no failure of the service."""
        self._answered.add(port)
        self._failures[port] = 0

    async def status_of_failure(self, port: int) -> int:
        """The status for a call that the service failed (5xx, no answer, a broken one): 400 while it is well otherwise.

        503 when its readiness probe fails as well, or when this is the fifth such call in a row.
        """
        self._failures[port] += 1
        if self._failures[port] >= MOST_FAILURES_IN_A_ROW:
            return INSTANCE_FAILURE
        return INSTANCE_FAILURE if await self._problems(port) else CLIENT_ERROR

    def no_connection(self, port: int, error: Exception) -> CallFailed:
        """What a call ends with when ``error`` kept it from the service on ``port``.

        429 while the service starts, or takes no more connections for now; 503 when it has answered before, or has exited.
        """
        # aiohttp wraps the socket's error. On loopback only a full queue makes a connection wait.
        if isinstance(getattr(error, "os_error", error), (asyncio.TimeoutError, TimeoutError)):
            hint = "the service is busy; try again"
            return CallFailed(f"port {port} takes no more connections for now: {hint}", answer_with=TRY_AGAIN)
        is_starting = self._is_starting(port)
        hint = "it is starting; try again" if is_starting else "it answered before, or has exited"
        status = TRY_AGAIN if is_starting else INSTANCE_FAILURE
        return CallFailed(f"nothing accepts connections on port {port}: {hint}", answer_with=status)

    def _is_starting(self, port: int) -> bool:
        services = launched()
        has_exited = bool(services) and all(service.has_failed for service in services)
        return not (has_exited or port in self._answered or has_been_ready(port))

    async def _problems(self, port: int) -> list[str]:
        spec = launch_spec()
        return await problems_of(probes([port], _HOST, readiness_paths(spec) if spec else {}), _PROBE_TIMEOUT_S)
