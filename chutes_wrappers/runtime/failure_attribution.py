"""Whose fault a failed call is: the caller's, or the instance's, which the platform counts (PLATFORM.md, section 3)."""

from __future__ import annotations

import asyncio
from collections import Counter

from chutes_wrappers.runtime.call_errors import CLIENT_ERROR, INSTANCE_FAILURE, TRY_AGAIN, CallFailed
from chutes_wrappers.runtime.readiness import build_probes, find_problems, find_readiness_paths
from chutes_wrappers.runtime.startup import has_been_ready, load_launch_spec
from chutes_wrappers.runtime.supervision import get_services

MAX_CONSECUTIVE_FAILURES = 5
_HOST = "127.0.0.1"
_PROBE_TIMEOUT_S = 5.0


class ServiceHealth:
    """What the calls so far say about each port's service."""

    def __init__(self) -> None:
        self._failures: Counter[int] = Counter()
        self._responsive_ports: set[int] = set()

    def record_success(self, port: int) -> None:
        """A call to ``port`` got an answer that is no failure of the service."""
        self._responsive_ports.add(port)
        self._failures[port] = 0

    async def record_failure(self, port: int) -> int:
        """The status for a call that the service failed (5xx, no answer, a broken one): 400 while it is well otherwise.

        503 when its readiness probe fails as well, or when this is the fifth such call in a row.
        """
        self._failures[port] += 1
        if self._failures[port] >= MAX_CONSECUTIVE_FAILURES:
            return INSTANCE_FAILURE
        return INSTANCE_FAILURE if await self._find_problems(port) else CLIENT_ERROR

    def make_connection_error(self, port: int, error: Exception) -> CallFailed:
        """What a call ends with when ``error`` kept it from the service on ``port``.

        429 while the service starts, or takes no more connections for now; 503 when it has answered before, or has exited.
        """
        # aiohttp wraps the socket's error. On loopback only a full queue makes a connection wait.
        if isinstance(getattr(error, "os_error", error), (asyncio.TimeoutError, TimeoutError)):
            reason = "the service is busy; try again"
            return CallFailed(f"port {port} takes no more connections for now: {reason}", response_status=TRY_AGAIN)
        is_starting = self._is_starting(port)
        reason = "it is starting; try again" if is_starting else "it answered before, or has exited"
        status = TRY_AGAIN if is_starting else INSTANCE_FAILURE
        return CallFailed(f"nothing accepts connections on port {port}: {reason}", response_status=status)

    def _is_starting(self, port: int) -> bool:
        services = get_services()
        has_exited = bool(services) and all(service.has_failed for service in services)
        return not (has_exited or port in self._responsive_ports or has_been_ready(port))

    async def _find_problems(self, port: int) -> list[str]:
        spec = load_launch_spec()
        return await find_problems(
            build_probes([port], _HOST, find_readiness_paths(spec) if spec else {}), _PROBE_TIMEOUT_S
        )
