"""Helpers of earlier toolkits with the same purpose, for modules that were written for those."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from chutes.chute import Chute
from loguru import logger

from chutes_wrappers.core.calling_module import find_caller_globals
from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.runtime.launcher import ManagedProcess, build_service_argv, build_service_environment
from chutes_wrappers.runtime.readiness import build_probes, wait_until_ready
from chutes_wrappers.runtime.startup import (
    check_ports,
    is_already_listening,
    load_launch_spec,
    probe_services,
    wait_for_services_as,
)
from chutes_wrappers.runtime.supervision import start_once

# Before the module's own hooks, whose default priority is 50.
_LAUNCH_PRIORITY = 10
_WAIT_PRIORITY = 20


def register_service_launcher(
    chute: Chute,
    entrypoint: str | Sequence[str],
    ports: Sequence[int],
    host: str = "127.0.0.1",
    timeout: float = 600,
    soft_fail: bool = True,
    env: Mapping[str, str] | None = None,
) -> None:
    """Start ``entrypoint`` when the chute starts, and wait up to ``timeout`` seconds for its ports.

    ``env``, by default the calling module's ``CHUTE_ENV``, is added to its environment. It is not started when its ports
    are already reachable. A failure is logged and the chute continues, unless ``soft_fail`` is False.
    """
    check_ports(ports)
    service_env = env if env is not None else find_caller_globals().get("CHUTE_ENV") or {}

    @chute.on_startup(priority=_LAUNCH_PRIORITY)  # type: ignore[untyped-decorator]  # the SDK has no types
    async def launch(self: Any) -> None:
        try:
            if not await is_already_listening(ports, host):
                service = start_once(_build_service(entrypoint, service_env))
                await wait_until_ready(build_probes(ports, host, {}), timeout, [service])
        except ServiceFailed as failure:
            if not soft_fail:
                raise
            logger.error("{}", failure)


def register_startup_wait(
    chute: Chute,
    ports: Sequence[int],
    timeout: float = 600,
    host: str = "127.0.0.1",
    soft_fail: bool = False,
) -> None:
    """Wait for ``ports`` when the chute starts, as ``wait_for_services`` does."""
    check_ports(ports)
    module = find_caller_globals()

    @chute.on_startup(priority=_WAIT_PRIORITY)  # type: ignore[untyped-decorator]  # the SDK has no types
    async def wait(self: Any) -> None:
        await wait_for_services_as(module, ports, timeout, host=host, soft_fail=soft_fail)


def register_health_check(chute: Chute, ports: Sequence[int], path: str = "/health", timeout: float = 5) -> None:
    """Publish ``GET path``. It returns ``{"status": "healthy"}`` or ``{"status": "unhealthy", "errors": […]}``."""
    check_ports(ports)

    async def health_check(self: Any, *_: Any) -> dict[str, Any]:
        errors = await probe_services(ports, timeout)
        return {"status": "unhealthy", "errors": errors} if errors else {"status": "healthy"}

    # Internal paths of routes are below /cw_get and the like (core/cord_plan.py); those of modules never begin with /cw_.
    internal_path = "/cw_health" + ("" if path == "/health" else path.replace("_", "__").replace("-", "_d_"))
    chute.cord(path=internal_path, public_api_path=path, public_api_method="GET", method="GET")(health_check)


def _build_service(entrypoint: str | Sequence[str], env: Mapping[str, str]) -> ManagedProcess:
    # Outside a wrapped image the command runs in the chute's folder, with its HOME and PATH.
    fallback_environment = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    spec = load_launch_spec() or LaunchSpec(working_dir=os.getcwd(), environment=fallback_environment)
    argv = build_service_argv(spec, entrypoint)
    if not argv:
        raise ServiceFailed("missing command to start", next_step="pass one to register_service_launcher")
    return ManagedProcess(
        argv, environment=build_service_environment(spec, os.environ, env), directory=spec.working_dir
    )
