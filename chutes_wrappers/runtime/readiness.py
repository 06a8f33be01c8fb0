"""Readiness probes, and waiting for them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.runtime.client_sessions import describe_unreadable, open_client_session
from chutes_wrappers.runtime.connection_pool import make_connector
from chutes_wrappers.runtime.launcher import ManagedProcess
from chutes_wrappers.runtime.listening_ports import explain_missing_ports, find_listeners
from chutes_wrappers.runtime.module_headers import ServiceHeaders

_MIN_POLL_S = 0.05
_MAX_POLL_S = 1.0
_PROBE_TIMEOUT_S = 10.0
_EXIT_POLL_S = 0.2
_HEALTH_URL = re.compile(r"(http://)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\]):(\d{1,5})(/[^\s\"'|;&)>]*)?")
# Options that make a health check's request more than a plain GET.
_SPECIAL_REQUEST = re.compile(r"https:|\$|\s-[A-Za-z]*[HXudL]|\s--(?:header|request|user|data|location)")


def find_readiness_paths(spec: LaunchSpec | None) -> dict[int, str]:
    """Return the HTTP path of each port that returns 2xx when ready: from discovery, else from the image's health check."""
    if spec is None:
        return {}
    test = " ".join(spec.health_check)
    urls = [] if _SPECIAL_REQUEST.search(test) else _HEALTH_URL.findall(test)
    # Without a scheme and a path it may be any protocol.
    return {**{int(port): path or "/" for scheme, port, path in urls if scheme or path}, **spec.readiness}


@dataclass(frozen=True, kw_only=True)
class ReadinessProbe:
    """One check: an HTTP GET of ``path`` with ``headers`` that returns 2xx, or without a path a TCP connection."""

    host: str
    port: int
    path: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    async def find_problem(self, timeout_s: float) -> str | None:
        """Return why the service is not ready, or None. Never raises, and never takes longer than ``timeout_s``."""
        try:
            return await asyncio.wait_for(self._get() if self.path else self._connect(), timeout_s)
        except asyncio.TimeoutError:
            return f"port {self.port} did not respond within {timeout_s:.1f} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"port {self.port}: {_format_reason(error)}"

    async def _connect(self) -> None:
        _, writer = await asyncio.open_connection(self.host, self.port)
        writer.close()

    async def _get(self) -> str | None:
        host = f"[{self.host}]" if ":" in self.host else self.host
        url = f"http://{host}:{self.port}{self.path}"
        connector = make_connector(is_shared=False)
        async with (
            open_client_session(connector) as session,
            session.get(url, headers=self.headers, allow_redirects=False) as response,
        ):
            if 200 <= response.status < 300:
                return None
            return f"port {self.port}: GET {self.path} returns {response.status}"


def build_probes(
    ports: Iterable[int], host: str, paths: Mapping[int, str], headers: ServiceHeaders | None = None
) -> list[ReadinessProbe]:
    """Return a probe for each port, with the module's ``headers``. Raises ConfigurationError for an unset variable of theirs."""

    def build_probe(port: int) -> ReadinessProbe:
        path = paths.get(port)
        selected = headers.select(port, ("GET", path)) if headers is not None and path else {}
        return ReadinessProbe(host=host, port=port, path=path, headers=selected)

    return [build_probe(port) for port in dict.fromkeys(ports)]


async def find_problems(checks: Iterable[ReadinessProbe], timeout_s: float) -> list[str]:
    """Run all checks in parallel, and return their problems; [] if every check passes."""
    result = await asyncio.gather(*(check.find_problem(timeout_s) for check in checks))
    return [problem for problem in result if problem]


async def wait_until_ready(
    checks: Sequence[ReadinessProbe], timeout_s: float, services: Sequence[ManagedProcess] = ()
) -> None:
    """Return when every check passes. Each is repeated after 50 ms at first, and after one second at last.

    Raises ServiceFailed after ``timeout_s`` seconds, and as soon as all of ``services`` have ended (if there are any).
    """
    deadline = time.monotonic() + timeout_s
    with ExitStack() as stack:
        for service in services:
            stack.enter_context(service.suppress_exit_log())
        waiting = asyncio.gather(*(_wait_for(check, deadline) for check in checks))
        watching = asyncio.ensure_future(_wait_for_exit(services))
        try:
            tasks: list[asyncio.Future[Any]] = [waiting, watching]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise watching.result()
            problems = {check.port: problem for check, problem in zip(checks, waiting.result(), strict=True) if problem}
        finally:
            watching.cancel()
            waiting.cancel()
            await asyncio.gather(waiting, watching, return_exceptions=True)
        if problems:
            raise _make_not_ready_error(problems, checks, timeout_s, services)


async def _wait_for(check: ReadinessProbe, deadline: float) -> str | None:
    pause_s = _MIN_POLL_S
    problem: str | None = f"port {check.port} was not checked: no time was left"
    while (left_s := deadline - time.monotonic()) > 0:
        result = await check.find_problem(min(left_s, _PROBE_TIMEOUT_S))
        if result is None:
            return None
        problem = result
        await asyncio.sleep(max(0.0, min(pause_s, deadline - time.monotonic())))
        pause_s = min(pause_s * 2, _MAX_POLL_S)
    return problem


async def _wait_for_exit(services: Sequence[ManagedProcess]) -> ServiceFailed:
    """Return the error when every one of ``services`` has ended; never return if there are none."""
    while not services or not all(service.has_failed for service in services):
        await asyncio.sleep(_EXIT_POLL_S)
    return next((service for service in services if service.exit_code), services[-1]).make_failure()


def _make_not_ready_error(
    problems: Mapping[int, str], checks: Sequence[ReadinessProbe], timeout_s: float, services: Sequence[ManagedProcess]
) -> ServiceFailed:
    evidence = list(problems.values())
    if services:
        listeners = find_listeners(process for service in services for process in service.find_processes())
        evidence += explain_missing_ports(problems, [check.port for check in checks], checks[0].host, listeners)
        evidence += [service.tail for service in services if service.tail]
    ports = ", ".join(map(str, problems))
    return ServiceFailed(
        f"port{'s' if len(problems) > 1 else ''} {ports} did not become ready within {timeout_s:g} s",
        evidence="\n".join(evidence),
        next_step=(
            "if the service listens on another port or address, correct SERVICE_PORTS or its settings; "
            "if it is slow, use a longer timeout for wait_for_services"
        ),
    )


def _format_reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"its response cannot be read: {describe_unreadable(error)}"
    # aiohttp wraps the socket's error, and only that one has the reason.
    cause = getattr(error, "os_error", error)
    if isinstance(cause, ConnectionRefusedError):
        return "refuses connections"
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
