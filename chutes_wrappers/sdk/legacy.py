"""Helpers of earlier toolkits of this shape, for modules that were written with them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from chutes.chute import Chute
from loguru import logger

from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.runtime.launcher import ManagedProcess, service_argv, service_environment, start_once
from chutes_wrappers.runtime.readiness import probes, wait_until_ready
from chutes_wrappers.runtime.services import launch_spec, probe_services, wait_for_services

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
    """Start ``entrypoint`` when the chute starts, with ``env``, and wait up to ``timeout`` seconds for its ports.

    A failure is logged and the chute goes on, unless ``soft_fail`` is False.
    """

    @chute.on_startup(priority=_LAUNCH_PRIORITY)  # type: ignore[untyped-decorator]  # the SDK has no types
    async def launch(self: Any) -> None:
        spec = launch_spec() or LaunchSpec(working_dir=os.getcwd(), home=os.environ.get("HOME", "/"))
        environment = service_environment(spec, os.environ, env or {})
        process = ManagedProcess(service_argv(spec, entrypoint), environment=environment, directory=spec.working_dir)
        try:
            await wait_until_ready(probes(ports, host, {}), timeout, start_once(process))
        except ServiceFailed as failure:
            if not soft_fail:
                raise
            logger.error(str(failure))


def register_startup_wait(
    chute: Chute,
    ports: Sequence[int],
    timeout: float = 600,
    host: str = "127.0.0.1",
    soft_fail: bool = False,
) -> None:
    """Wait for ``ports`` when the chute starts, as ``wait_for_services`` does."""

    @chute.on_startup(priority=_WAIT_PRIORITY)  # type: ignore[untyped-decorator]  # the SDK has no types
    async def wait(self: Any) -> None:
        await wait_for_services(ports, timeout, host=host, soft_fail=soft_fail)


def register_health_check(chute: Chute, ports: Sequence[int], path: str = "/health", timeout: float = 5) -> None:
    """Publish ``GET path``: ``{"status": "healthy"}``, or ``{"status": "unhealthy", "errors": […]}``."""

    async def health(self: Any, *_: Any) -> dict[str, Any]:
        errors = await probe_services(ports, timeout)
        return {"status": "unhealthy", "errors": errors} if errors else {"status": "healthy"}

    chute.cord(path="/cw_health", public_api_path=path, public_api_method="GET", method="GET")(health)
