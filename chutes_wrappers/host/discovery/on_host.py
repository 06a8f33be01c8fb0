"""Discovery of a service without an image: start it on this machine, probe it, and stop it."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed
from chutes_wrappers.core.exposure import Category
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.module_headers import ModuleHeaders
from chutes_wrappers.host import processes
from chutes_wrappers.host.discovery import composition
from chutes_wrappers.host.discovery.fetching import Service
from chutes_wrappers.host.discovery.probing import Bounds, Finding, Report, probe
from chutes_wrappers.host.missing_settings import find_missing_setting, make_missing_error
from chutes_wrappers.runtime.launcher import build_service_argv, build_service_environment

_EXIT_POLL_S = 0.1
_TAIL_LINES = 20
# Of services that have started already.
_LONGEST_RUNNING_S = 20.0


@dataclass(frozen=True, kw_only=True)
class HostTask:
    """What to discover. ``environment`` is the module's CHUTE_ENV; ``log`` receives the service's output, from a thread.

    ``headers`` are those of the module, with the values of their variables. ``observe`` is called with what was found, before
    it is checked.
    """

    launch: LaunchSpec
    ports: tuple[int, ...]
    bounds: Bounds
    report: Report
    log: Report
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    expose: frozenset[Category] = frozenset()
    has_static_routes: bool = False
    headers: ModuleHeaders = field(default_factory=ModuleHeaders, repr=False)
    observe: Callable[[Sequence[Finding]], None] = lambda findings: None


def build_host_launch(entrypoint: str | Sequence[str], folder: Path) -> LaunchSpec:
    """Return the launch facts of a service that ``entrypoint`` starts in ``folder`` (a string is a shell command)."""
    return LaunchSpec(
        reference="host",
        entrypoint=build_service_argv(LaunchSpec(), entrypoint),
        working_dir=str(folder),
        home=str(Path.home()),
        environment={"PATH": os.environ.get("PATH", os.defpath)},
    )


def discover_on_host(task: HostTask) -> Manifest:
    """Return the manifest of what the service publishes; the service is stopped in every case.

    Raises ConfigurationError for a port that is in use, ServiceFailed when the service exits or does not respond,
    WrapperError when there is nothing to publish.
    """
    check_ports_free(task.ports)
    environment = build_service_environment(task.launch, os.environ, task.environment)
    directory = Path(task.launch.working_dir)
    with processes.start_process(task.launch.argv, environment=environment, directory=directory) as process:
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        threading.Thread(target=_follow_output, args=(process, tail, task.log), daemon=True, name="service-log").start()
        findings = asyncio.run(_probe_until_exit(process, tail, task))
    task.observe(findings)
    composition.check_any_response(findings, next_step="correct HOST_ENTRYPOINT or SERVICE_PORTS in the module")
    roots = {port: f"http://127.0.0.1:{port}" for port in task.ports}
    manifest = composition.build_manifest(findings, roots=roots, launch=task.launch)
    composition.report_findings(manifest, findings, task.report, has_static_routes=task.has_static_routes)
    return manifest


def discover_running(
    ports: Sequence[int], *, headers: ModuleHeaders, expose: frozenset[Category], report: Report
) -> Manifest:
    """Return the manifest of the services that run on these ports of this machine; a port without a service has no routes."""
    roots = {port: f"http://127.0.0.1:{port}" for port in ports if _is_in_use(port)}
    services = [Service(port=port, root=root, headers=headers) for port, root in roots.items()]
    bounds = Bounds(timeout_s=_LONGEST_RUNNING_S)
    return composition.build_manifest(
        asyncio.run(probe(services, bounds=bounds, report=report, expose=expose)), roots=roots
    )


def check_ports_free(ports: Sequence[int]) -> None:
    """Raise ConfigurationError for a port that is in use: the program there would be mistaken for the service."""
    for port in ports:
        if _is_in_use(port):
            raise ConfigurationError(
                f"port {port} is in use by another program on this machine",
                where="SERVICE_PORTS",
                next_step=f"stop that program (find it with ss -ltnp 'sport = :{port}'), or run the service in Docker",
            )


def _is_in_use(port: int) -> bool:
    with socket.socket() as probe_socket:
        probe_socket.settimeout(1)
        return probe_socket.connect_ex(("127.0.0.1", port)) == 0


def _follow_output(process: processes.Process, tail: deque[str], log: Report) -> None:
    for line in processes.read_lines(process):
        tail.append(line)
        log(line)


async def _probe_until_exit(process: processes.Process, tail: deque[str], task: HostTask) -> tuple[Finding, ...]:
    services = [Service(port=port, root=f"http://127.0.0.1:{port}", headers=task.headers) for port in task.ports]
    probe_task = asyncio.ensure_future(probe(services, bounds=task.bounds, report=task.report, expose=task.expose))
    try:
        while not probe_task.done():
            await asyncio.wait({probe_task}, timeout=_EXIT_POLL_S)
            if process.poll() is not None:
                if process.returncode and (missing := find_missing_setting(tail)):
                    how = f"the service exited with code {process.returncode}"
                    raise make_missing_error(missing, how, "\n".join(tail))
                raise ServiceFailed(
                    f"the service exited by itself, with exit code {process.returncode}",
                    evidence="\n".join(tail) or "it printed nothing",
                    next_step="correct HOST_ENTRYPOINT in the module",
                )
        return probe_task.result()
    finally:
        probe_task.cancel()
        await asyncio.gather(probe_task, return_exceptions=True)
