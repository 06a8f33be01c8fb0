"""Readiness probes, and waiting for them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import psutil

from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.runtime.launcher import ManagedProcess

_FIRST_POLL_S = 0.05
_SLOWEST_POLL_S = 1.0
_LONGEST_PROBE_S = 10.0
_DEATH_POLL_S = 0.1
_HEALTH_URL = re.compile(r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]):(\d+)(/[^\s\"'|;&)]*)?")
_ANY_ADDRESS = ("0.0.0.0", "::")


def readiness_paths(spec: LaunchSpec) -> dict[int, str]:
    """Port → HTTP path that answers 2xx when ready: what discovery saw, else what the image's health check asks for."""
    asked = {int(port): path or "/" for port, path in _HEALTH_URL.findall(" ".join(spec.health_check))}
    return {**asked, **spec.readiness}


@dataclass(frozen=True, kw_only=True)
class ReadinessProbe:
    """One check: an HTTP GET of ``path`` that answers 2xx, or without a path a TCP connection."""

    host: str
    port: int
    path: str | None = None

    async def problem(self, timeout_s: float) -> str | None:
        """Why the service is not ready, or None; never raises, never takes longer than ``timeout_s``."""
        try:
            return await asyncio.wait_for(self._http() if self.path else self._connect(), timeout_s)
        except (TimeoutError, asyncio.TimeoutError):
            return f"port {self.port} did not answer within {timeout_s:.1f} s"
        except (aiohttp.ClientError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return f"port {self.port}: {reason}"

    async def _connect(self) -> None:
        _, writer = await asyncio.open_connection(self.host, self.port)
        writer.close()

    async def _http(self) -> str | None:
        host = f"[{self.host}]" if ":" in self.host else self.host
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{host}:{self.port}{self.path}", allow_redirects=False) as answer,
        ):
            if 200 <= answer.status < 300:
                return None
            return f"port {self.port}: GET {self.path} answers {answer.status}"


def probes(ports: Iterable[int], host: str, paths: Mapping[int, str]) -> list[ReadinessProbe]:
    """A probe for each port."""
    return [ReadinessProbe(host=host, port=port, path=paths.get(port)) for port in ports]


async def wait_until_ready(checks: list[ReadinessProbe], timeout_s: float, process: ManagedProcess | None) -> None:
    """Return when every check passes. Raises ServiceFailed when ``process`` ends before, or after ``timeout_s`` seconds.

    The checks run in parallel, each every 50 ms at first and every second at last.
    """
    deadline = time.monotonic() + timeout_s
    waiting: asyncio.Future[list[str | None]] = asyncio.gather(*(_wait_for(check, deadline) for check in checks))
    watching: asyncio.Future[None] = asyncio.ensure_future(_death_of(process))
    try:
        either: list[asyncio.Future[Any]] = [waiting, watching]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if process is not None and process.exit_code is not None and not waiting.done():
            raise process.failure()
        problems = [problem for problem in await waiting if problem]
    finally:
        watching.cancel()
        waiting.cancel()
        await asyncio.gather(waiting, watching, return_exceptions=True)
    if problems:
        raise _not_ready(problems, timeout_s, process)


async def _wait_for(check: ReadinessProbe, deadline: float) -> str | None:
    pause_s = _FIRST_POLL_S
    problem: str | None = f"port {check.port} was not looked at: no time was given"
    while (left_s := deadline - time.monotonic()) > 0:
        problem = await check.problem(min(left_s, _LONGEST_PROBE_S))
        if problem is None:
            return None
        await asyncio.sleep(max(0.0, min(pause_s, deadline - time.monotonic())))
        pause_s = min(pause_s * 2, _SLOWEST_POLL_S)
    return problem


async def _death_of(process: ManagedProcess | None) -> None:
    while process is None or process.exit_code is None:
        await asyncio.sleep(_DEATH_POLL_S)


def _not_ready(problems: list[str], timeout_s: float, process: ManagedProcess | None) -> ServiceFailed:
    listens = _listeners(process) if process is not None else []
    where_it_listens = f"the service listens on {', '.join(listens)}" if listens else "the service listens on no port"
    evidence = [*problems, *([where_it_listens, process.tail] if process is not None else [])]
    return ServiceFailed(
        f"not ready after {timeout_s:.0f} s: {'; '.join(problems)}",
        evidence="\n".join(filter(None, evidence)),
        next_step=(
            "if it listens elsewhere, correct SERVICE_PORTS or have it listen on 0.0.0.0 or 127.0.0.1; "
            "if it is slow, give wait_for_services a longer timeout"
        ),
    )


def _listeners(process: ManagedProcess) -> list[str]:
    """``address:port`` of every socket that the service's processes listen on."""
    found = set()
    for member in process.family():
        try:
            for connection in member.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    address = "every address" if connection.laddr.ip in _ANY_ADDRESS else connection.laddr.ip
                    found.add(f"{address}, port {connection.laddr.port}")
        except psutil.Error:
            continue
    return sorted(found)
