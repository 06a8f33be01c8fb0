"""Start of the wrapped service, and waiting for it: the helpers that deploy modules call on an instance."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from chutes_wrappers.core import platform_checks
from chutes_wrappers.core.calling_module import find_caller_globals
from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.layout import BAKED_MANIFEST, BAKED_MANIFEST_VARIABLE, LAUNCH_SETTINGS_VARIABLE
from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.runtime.launcher import ManagedProcess, build_service_argv, build_service_environment
from chutes_wrappers.runtime.module_headers import ServiceHeaders, read_service_headers
from chutes_wrappers.runtime.readiness import (
    ReadinessProbe,
    build_probes,
    find_problems,
    find_readiness_paths,
    wait_until_ready,
)
from chutes_wrappers.runtime.supervision import get_services, start_once
from chutes_wrappers.runtime.upstream import HOST

PORTS_VARIABLE = "CHUTE_PORTS"
DEFAULT_PORTS = "8020,8080"
_PORT_CHECK_TIMEOUT_S = 1.0
_ready: set[int] = set()
_headers: ServiceHeaders | None = None


def parse_service_ports(env_value: str | None = None) -> list[int]:
    """Parse ports from ``env_value``, else from ``CHUTE_PORTS``, else use 8020 and 8080 (also if that is blank).

    Spaces around a port are allowed. Raises ConfigurationError for a part that is not a valid port, such as an empty one.
    """
    text = env_value if env_value is not None else os.environ.get(PORTS_VARIABLE, "").strip() or DEFAULT_PORTS
    ports = []
    for part in text.split(","):
        if not re.fullmatch(r"[0-9]{1,5}", part.strip()) or not 1 <= int(part) <= 65535:
            raise ConfigurationError(
                f"{part!r} in {text!r} is not a port (1-65535)",
                where=PORTS_VARIABLE,
                next_step=f"use ports as in {DEFAULT_PORTS}",
            )
        ports.append(int(part))
    return ports


def wait_for_services(
    ports: Sequence[int], timeout: float = 600, *, host: str = HOST, soft_fail: bool = False
) -> Awaitable[bool]:
    """Wait until a service is ready on every port; the awaited result is True.

    Ready means that the known HTTP readiness path returns 2xx, else that the port accepts a connection. In a wrapped image
    the base image's service is started first, once, unless the ports already accept connections. It gets the calling
    module's ``ENTRYPOINT`` and ``CHUTE_ENV``. Raises ServiceFailed after ``timeout`` seconds, or as soon as that service
    ends. With ``soft_fail`` the error is logged and the result is False. Raises ConfigurationError immediately for an
    invalid list of ports, and when it is awaited for a variable of ``CHUTE_HEADERS`` that the instance does not have.
    """
    check_ports(ports)
    # Read now, not when it is awaited: then the caller may be another frame.
    return wait_for_services_as(find_caller_globals(), ports, timeout, host=host, soft_fail=soft_fail)


async def probe_services(ports: Sequence[int], timeout: float = 5) -> list[str]:
    """Probe all ports in parallel; return one sentence for each that is not ready within ``timeout`` seconds, [] if all are."""
    check_ports(ports)
    return await find_problems(build_service_probes(ports), timeout)


def build_service_probes(ports: Sequence[int]) -> list[ReadinessProbe]:
    """Return the probes of the services on ``ports`` of this instance, with the headers of its module."""
    return build_probes(ports, HOST, find_readiness_paths(load_launch_spec()), _headers)


async def wait_for_services_as(
    module: Mapping[str, Any], ports: Sequence[int], timeout_s: float, *, host: str, soft_fail: bool
) -> bool:
    """Run ``wait_for_services`` for the module with these globals; ``ports`` have been checked."""
    spec, headers = load_launch_spec(), read_service_headers(module)
    use_headers(headers)  # before anything is started
    try:
        if spec is not None:
            _check_against_platform(ports)
            if not await is_already_listening(ports, host):
                _start_service(spec, module)
        probes = build_probes(ports, host, find_readiness_paths(spec), headers)
        await wait_until_ready(probes, timeout_s, get_services())
    except ServiceFailed as failure:
        if not soft_fail:
            raise
        logger.error("{}", failure)
        return False
    _ready.update(ports)
    logger.info(f"the service is ready on {', '.join(map(str, ports))}")
    return True


def use_headers(headers: ServiceHeaders) -> None:
    """Send ``headers`` with all probes of this instance from now on. Raises ConfigurationError for an unset variable."""
    global _headers
    headers.resolve()
    _headers = headers


def load_launch_spec() -> LaunchSpec | None:
    """Return the launch facts in a wrapped image, or those that replace them; None anywhere else."""
    path = Path(os.environ.get(BAKED_MANIFEST_VARIABLE) or BAKED_MANIFEST)
    return load_manifest(path).image if path.exists() else None


def has_been_ready(port: int) -> bool:
    """Return whether a wait for ``port`` of this instance has succeeded."""
    return port in _ready


async def is_already_listening(ports: Sequence[int], host: str) -> bool:
    """Return whether every port accepts connections, so that nothing needs to be started."""
    if await find_problems(build_probes(ports, host, {}), _PORT_CHECK_TIMEOUT_S):
        return False
    logger.info(f"{', '.join(map(str, ports))} already accept connections: the service is not started again")
    return True


def check_ports(ports: Sequence[int]) -> None:
    """Raise ConfigurationError unless ``ports`` is a list of at least one port."""
    next_step = "use a list of ports, as in SERVICE_PORTS = [8020, 8080]"
    if isinstance(ports, str) or not isinstance(ports, Sequence) or not ports:
        raise ConfigurationError(f"{ports!r} is not a list of ports", next_step=next_step)
    for port in ports:
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            raise ConfigurationError(f"{port!r} in {ports!r} is not a port (1-65535)", next_step=next_step)


def _check_against_platform(ports: Sequence[int]) -> None:
    for port in ports:
        # The chute itself listens there, and would be mistaken for the service.
        if problem := platform_checks.find_reserved_port_problem(port):
            next_step = "make the service listen on another port (CHUTE_ENV or ENTRYPOINT), and set it in SERVICE_PORTS"
            refuse("service-port", ConfigurationError(problem, next_step=next_step))


def _start_service(spec: LaunchSpec, module: Mapping[str, Any]) -> None:
    settings = json.loads(os.environ.get(LAUNCH_SETTINGS_VARIABLE) or "{}")
    if get_services():
        return
    if not settings.get("autostart", True):
        logger.info("autostart is off: the module starts the service itself")
        return
    argv = build_service_argv(spec, module.get("ENTRYPOINT") or settings.get("entrypoint"))
    if not argv:
        raise ServiceFailed(
            "the service cannot be started: the base image has no command", next_step="set ENTRYPOINT in the module"
        )
    environment = build_service_environment(spec, os.environ, module.get("CHUTE_ENV") or {}, settings.get("env", ()))
    start_once(ManagedProcess(argv, environment=environment, directory=spec.working_dir))
