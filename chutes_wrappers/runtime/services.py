"""Starting the wrapped service and waiting for it: the helpers that deploy modules call on an instance."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from chutes_wrappers.core.caller import caller_globals
from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.layout import BAKED_MANIFEST, LAUNCH_SETTINGS_VARIABLE
from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.runtime.launcher import ManagedProcess, service_argv, service_environment, start_once
from chutes_wrappers.runtime.readiness import probes, readiness_paths, wait_until_ready

PORTS_VARIABLE = "CHUTE_PORTS"
DEFAULT_PORTS = "8020,8080"
_QUICK_LOOK_S = 1.0


def parse_service_ports(env_value: str | None = None) -> list[int]:
    """Ports from ``env_value``, else from ``CHUTE_PORTS``, else 8020 and 8080. ConfigurationError names a bad part."""
    text = env_value if env_value is not None else os.environ.get(PORTS_VARIABLE, DEFAULT_PORTS)
    ports = []
    for part in text.split(","):
        stripped = part.strip()
        if not (stripped.isascii() and stripped.isdigit() and 1 <= int(stripped[:6]) <= 65535):
            raise ConfigurationError(
                f"{part!r} in {text!r} is not a port (1-65535)",
                where=PORTS_VARIABLE,
                next_step="give ports as in 8020,8080",
            )
        ports.append(int(stripped))
    return ports


def wait_for_services(
    ports: Sequence[int], timeout: float = 600, *, host: str = "127.0.0.1", soft_fail: bool = False
) -> Awaitable[bool]:
    """Wait until a service is ready on every port; awaited, it returns True.

    Ready means that the known HTTP readiness path answers 2xx, else that the port accepts a connection. In a wrapped image
    what the base image would have started is started first, once, unless the ports already answer: with the calling
    module's ``ENTRYPOINT`` and ``CHUTE_ENV``. After ``timeout`` seconds, or as soon as that service ends, ServiceFailed says
    why; with ``soft_fail`` that is logged and the result is False.
    """
    _check(ports)
    return _wait(ports, timeout, host, soft_fail, launch_spec(), caller_globals())


async def probe_services(ports: Sequence[int], timeout: float = 5) -> list[str]:
    """One sentence for each port that is not ready within ``timeout`` seconds, all looked at in parallel; [] if all are."""
    _check(ports)
    spec = launch_spec()
    checks = probes(ports, "127.0.0.1", readiness_paths(spec) if spec else {})
    return [problem for problem in await asyncio.gather(*(check.problem(timeout) for check in checks)) if problem]


def launch_spec() -> LaunchSpec | None:
    """The launch facts baked into a wrapped image; None anywhere else."""
    path = Path(BAKED_MANIFEST)
    return load_manifest(path).image if path.exists() else None


async def _wait(
    ports: Sequence[int],
    timeout_s: float,
    host: str,
    soft_fail: bool,
    spec: LaunchSpec | None,
    module: Mapping[str, Any],
) -> bool:
    try:
        process = None
        if spec is not None and await _is_needed(ports, host):
            process = _start(spec, module)
        await wait_until_ready(probes(ports, host, readiness_paths(spec) if spec else {}), timeout_s, process)
    except ServiceFailed as failure:
        if not soft_fail:
            raise
        logger.error(str(failure))
        return False
    logger.info(f"the service is ready on port{'s' if len(ports) > 1 else ''} {', '.join(map(str, ports))}")
    return True


async def _is_needed(ports: Sequence[int], host: str) -> bool:
    answers = await asyncio.gather(*(check.problem(_QUICK_LOOK_S) for check in probes(ports, host, {})))
    if any(answers):
        return True
    logger.info("the ports already answer: the service is not started again")
    return False


def _start(spec: LaunchSpec, module: Mapping[str, Any]) -> ManagedProcess | None:
    settings = json.loads(os.environ.get(LAUNCH_SETTINGS_VARIABLE) or "{}")
    if not settings.get("autostart", True):
        logger.info("autostart is off: the module starts the service itself")
        return None
    argv = service_argv(spec, module.get("ENTRYPOINT") or settings.get("entrypoint"))
    if not argv:
        raise ServiceFailed("the base image names no command to run", next_step="set ENTRYPOINT in the module")
    environment = service_environment(spec, os.environ, module.get("CHUTE_ENV") or {}, settings.get("env", ()))
    return start_once(ManagedProcess(argv, environment=environment, directory=spec.working_dir))


def _check(ports: Sequence[int]) -> None:
    for port in ports:
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            raise ConfigurationError(
                f"{port!r} is not a port (1-65535)", next_step="give a list of ports, as in [8020, 8080]"
            )
