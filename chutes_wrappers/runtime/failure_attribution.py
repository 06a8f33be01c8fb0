"""Attribution of a failed call to the caller, or to the instance, whose failures the platform counts (PLATFORM.md, section 3)."""

from __future__ import annotations

import asyncio
from collections import Counter

from chutes_wrappers.runtime.call_errors import CLIENT_ERROR, INSTANCE_FAILURE, TRY_AGAIN, CallFailed
from chutes_wrappers.runtime.readiness import find_problems
from chutes_wrappers.runtime.startup import build_service_probes, has_been_ready
from chutes_wrappers.runtime.supervision import get_services

FAILURES_UNTIL_503 = 5
_PROBE_TIMEOUT_S = 5.0


class ServiceHealth:
    """The health of each port's service, from the results of its calls so far."""

    def __init__(self) -> None:
        self._failures: Counter[int] = Counter()
        self._responsive_ports: set[int] = set()

    def record_success(self, port: int) -> None:
        """Record a call to ``port`` with a response that is not a failure of the service."""
        self._responsive_ports.add(port)
        self._failures[port] = 0

    async def record_failure(self, port: int) -> int:
        """Record a failed call to the service (5xx, no response, a truncated one), and return the status for the caller.

        It is 400, which the platform does not count, while the service's readiness probe succeeds. It is 503 if the probe
        fails as well, or from the fifth such call in a row.
        """
        self._failures[port] += 1
        if self._failures[port] >= FAILURES_UNTIL_503:
            return INSTANCE_FAILURE
        problems = await find_problems(build_service_probes([port]), _PROBE_TIMEOUT_S)
        return INSTANCE_FAILURE if problems else CLIENT_ERROR

    def make_connection_error(self, port: int, error: Exception) -> CallFailed:
        """Return the error of a call that could not connect to the service on ``port`` because of ``error``.

        Its status is 429 while the service starts, or accepts no more connections at the moment. It is 503 if the service
        responded before, or has exited.
        """
        # aiohttp wraps the socket's error. On loopback only a full backlog makes a connection wait.
        if isinstance(getattr(error, "os_error", error), (asyncio.TimeoutError, TimeoutError)):
            reason = "the service is busy; try again"
            return CallFailed(
                f"port {port} accepts no more connections at the moment: {reason}", response_status=TRY_AGAIN
            )
        is_starting = self._is_starting(port)
        reason = "it is starting; try again" if is_starting else "it responded before, or has exited"
        status = TRY_AGAIN if is_starting else INSTANCE_FAILURE
        return CallFailed(f"nothing accepts connections on port {port}: {reason}", response_status=status)

    def _is_starting(self, port: int) -> bool:
        services = get_services()
        has_exited = bool(services) and all(service.has_failed for service in services)
        return not (has_exited or port in self._responsive_ports or has_been_ready(port))
