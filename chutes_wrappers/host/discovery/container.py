"""Discovery from an image: run it, probe it, read which paths it wrote, and remove the container."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed, WrapperError
from chutes_wrappers.core.exposure import Category
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.module_headers import ModuleHeaders
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.platform_checks import find_service_port_problem, suggest_service_port
from chutes_wrappers.host.container_engine.engine import (
    ContainerEngine,
    ContainerSpec,
    RunningContainer,
    start_container,
)
from chutes_wrappers.host.discovery import composition
from chutes_wrappers.host.discovery.fetching import Service
from chutes_wrappers.host.discovery.guard_concerns import (
    READ_COMMAND_LINES,
    describe_guard_concerns,
    parse_command_lines,
)
from chutes_wrappers.host.discovery.probing import Bounds, Finding, Report, probe
from chutes_wrappers.host.discovery.sockets import Listener, parse_listeners
from chutes_wrappers.host.inspection import find_refused_changes, find_writable_paths
from chutes_wrappers.host.missing_settings import find_missing_setting, make_missing_error

_EXIT_POLL_S = 0.25
_HINT_EVERY_S = 15.0
_MAX_LISTED_PATHS = 5
# The programs are the image's: they may run without an end.
_COMMAND_TIMEOUT_S = 10.0
_MAX_CHECKED_PATHS = 200
_EXIT_HINTS = {
    126: "the command cannot be executed: check ENTRYPOINT and its permissions",
    127: "the command was not found: check ENTRYPOINT",
    137: "it was killed, most often because memory ran out: give Docker more memory",
    139: "it crashed: it may need a GPU, or a different processor than this machine has",
}


@dataclass(frozen=True, kw_only=True)
class ContainerTask:
    """What to discover: how to run the image, which ports to probe, and for how long.

    ``report`` and ``log`` are also called from other threads. ``headers`` are those of the module, with the values of their
    variables. ``observe`` is called with what was found, before it is checked.
    """

    container: ContainerSpec
    launch: LaunchSpec
    bounds: Bounds
    report: Report
    log: Report
    probe_paths: tuple[str, ...] = ()
    expose: frozenset[Category] = frozenset()
    has_static_routes: bool = False
    headers: ModuleHeaders = field(default_factory=ModuleHeaders, repr=False)
    observe: Callable[[Sequence[Finding]], None] = lambda findings: None

    @property
    def ports(self) -> tuple[int, ...]:
        """The service's ports, in the order of the module."""
        return tuple(self.container.ports)


def check_ports(ports: Sequence[int], launch: LaunchSpec) -> None:
    """Raise ConfigurationError for a port that a service cannot use on an instance; ``next_step`` shows how to change it."""
    for port in ports:
        problem = find_service_port_problem(port)
        if problem:
            next_step = _suggest_port_move(port, ports, launch)
            refuse("service-port", ConfigurationError(problem, where="SERVICE_PORTS", next_step=next_step))


def _suggest_port_move(port: int, ports: Sequence[int], launch: LaunchSpec) -> str:
    free_port = suggest_service_port(port)
    new_ports = [free_port if other_port == port else other_port for other_port in ports]
    names = [name for name in sorted(launch.environment) if name.upper().endswith("PORT")]
    port_variables = [name for name in names if launch.environment[name] == str(port)]
    if port_variables:
        settings = ", ".join(f'"{name}": "{free_port}"' for name in port_variables)
        return f"move it: CHUTE_ENV = {{{settings}}} and SERVICE_PORTS = {new_ports}"
    return (
        f"set another port, such as {free_port}, with the service's variable (CHUTE_ENV) or argument (ENTRYPOINT), "
        f"and set SERVICE_PORTS = {new_ports}"
    )


def discover_container(
    engine: ContainerEngine, task: ContainerTask, save_manifest: Callable[[Manifest], None]
) -> Manifest:
    """Run the image, and return the manifest of what its service publishes.

    ``save_manifest`` is called with the manifest before the container is stopped, because stopping may take a while.
    Raises ServiceFailed when the container exits by itself or a port does not respond, WrapperError when there is nothing
    to publish. The container is removed in every case.
    """
    check_ports(task.ports, task.launch)
    with start_container(engine, task.container, task.report) as container, _forward_log(container, task.log):
        findings = asyncio.run(_probe_until_exit(container, task))
        task.observe(findings)
        _check_ports_respond(container, findings, task)
        _report_guard_concerns(container, task)
        changes = container.list_changed_paths()
        is_folder = _make_folder_check(container)
        manifest = composition.build_manifest(
            findings,
            roots={port: f"http://127.0.0.1:{port}" for port in task.ports},
            launch=task.launch,
            writes=find_writable_paths(changes, is_folder),
        )
        _report_refused_changes(find_refused_changes(changes, is_folder), task.report)
        composition.report_findings(manifest, findings, task.report, has_static_routes=task.has_static_routes)
        if not manifest.routes:
            task.report("no routes were discovered: only those of CHUTE_STATIC_ROUTES are published")
        save_manifest(manifest)
        task.report("stopping the container")
    return manifest


def _make_folder_check(container: RunningContainer) -> Callable[[str], bool]:
    """Return whether a path in the container is a folder: a command for each of the first 200, false for others."""
    checked: dict[str, bool] = {}
    has_failed = False

    def is_folder(path: str) -> bool:
        nonlocal has_failed
        if path not in checked and not has_failed and len(checked) < _MAX_CHECKED_PATHS:
            try:
                result = container.execute(["test", "-d", path], timeout_s=_COMMAND_TIMEOUT_S)
                checked[path] = result.exit_code == 0
            except WrapperError:
                has_failed = True
        return checked.get(path, False)

    return is_folder


def _report_guard_concerns(container: RunningContainer, task: ContainerTask) -> None:
    """Report programs, of the image's command and of what runs now, that the guard library may end."""
    command_lines = [(*(task.container.entrypoint or ()), *(task.container.command or ())) or task.launch.argv]
    with contextlib.suppress(WrapperError):  # the container has exited, or has no cat that ends
        result = container.execute(READ_COMMAND_LINES, timeout_s=_COMMAND_TIMEOUT_S)
        command_lines += parse_command_lines(result.output)
    for concern in describe_guard_concerns(command_lines, {**task.launch.environment, **task.container.environment}):
        task.report(concern)


def _report_refused_changes(paths: Sequence[str], report: Report) -> None:
    if paths:
        more = f" and {len(paths) - _MAX_LISTED_PATHS} more" if len(paths) > _MAX_LISTED_PATHS else ""
        report(
            f"the service creates or changes {', '.join(paths[:_MAX_LISTED_PATHS])}{more}: on an instance it cannot, "
            "because the folder belongs to the system"
        )


@contextlib.contextmanager
def _forward_log(container: RunningContainer, log: Report) -> Iterator[None]:
    """Forward the container's log while the body runs. The thread ends with the container, so it is not joined."""

    def follow() -> None:
        with contextlib.suppress(WrapperError):
            for line in container.stream_logs():
                if done.is_set():
                    return
                log(line)

    done = threading.Event()
    threading.Thread(target=follow, daemon=True, name="container-log").start()
    try:
        yield
    finally:
        done.set()


async def _probe_until_exit(container: RunningContainer, task: ContainerTask) -> tuple[Finding, ...]:
    services = _build_services(container, task)
    probe_task = asyncio.ensure_future(
        probe(
            services,
            bounds=task.bounds,
            report=task.report,
            probe_paths=task.probe_paths,
            health_check=task.launch.health_check,
            expose=task.expose,
        )
    )
    exit_task = asyncio.ensure_future(_wait_for_exit(container))
    hint_task = asyncio.ensure_future(_report_other_ports(container, task))
    try:
        await asyncio.wait({probe_task, exit_task}, return_when=asyncio.FIRST_COMPLETED)
        if not probe_task.done():
            raise _build_exit_error(container, exit_task.result())
        return probe_task.result()
    finally:
        for background_task in (probe_task, exit_task, hint_task):
            background_task.cancel()
        await asyncio.gather(probe_task, exit_task, hint_task, return_exceptions=True)


def _build_services(container: RunningContainer, task: ContainerTask) -> list[Service]:
    ports, host_ports = task.ports, container.host_ports
    missing = [port for port in ports if port not in host_ports]
    if not missing:
        roots = {port: f"http://127.0.0.1:{host_ports[port]}" for port in ports}
        return [Service(port=port, root=root, headers=task.headers) for port, root in roots.items()]
    code = container.read_exit_code()
    if code is not None:  # it exited before the engine published its ports
        raise _build_exit_error(container, code)
    raise WrapperError(
        f"the engine published no loopback port for port {missing[0]}",
        next_step="check that the engine can publish ports: docker run --rm -p 127.0.0.1::80 IMAGE",
    )


async def _wait_for_exit(container: RunningContainer) -> int:
    while True:
        code = await asyncio.to_thread(container.read_exit_code)
        if code is not None:
            return code
        await asyncio.sleep(_EXIT_POLL_S)


def _build_exit_error(container: RunningContainer, code: int) -> ServiceFailed:
    tail = container.read_tail(50)
    if code and (missing := find_missing_setting(tail.splitlines())):
        return make_missing_error(missing, f"the container exited with code {code}", tail)
    return ServiceFailed(
        f"the container exited by itself, with exit code {code}",
        evidence=tail or "it printed nothing",
        next_step=_EXIT_HINTS.get(code, "check CHUTE_ENV for variables that the image needs, and ENTRYPOINT"),
    )


async def _report_other_ports(container: RunningContainer, task: ContainerTask) -> None:
    """Report early that the service listens on another port: the timeout may be minutes."""
    last_hint = ""
    while True:
        await asyncio.sleep(_HINT_EVERY_S)
        listeners = await asyncio.to_thread(_read_listeners, container)
        hints = [_suggest_port_fix(port, listeners) for port in task.ports if not _is_reachable(port, listeners)]
        hint = "; ".join(dict.fromkeys(hints)) if listeners else ""
        if hint and hint != last_hint:
            last_hint = hint
            task.report(f"so far: {hint}")


def _check_ports_respond(container: RunningContainer, findings: Sequence[Finding], task: ContainerTask) -> None:
    """Raise ServiceFailed for a port without a listener: the chute would wait for it forever."""
    unresponsive = [finding for finding in findings if not finding.has_responded]
    if not unresponsive:
        return
    listeners = _read_listeners(container)
    for finding in unresponsive:
        if _is_reachable(finding.port, listeners):
            task.report(f"port {finding.port} is open but does not respond to HTTP; it gets no routes")
            continue
        raise ServiceFailed(
            f"no response on port {finding.port} after {task.bounds.timeout_s:.0f} s",
            evidence=container.read_tail(20) or None,
            next_step=_suggest_port_fix(finding.port, listeners),
        )


def _read_listeners(container: RunningContainer) -> tuple[Listener, ...]:
    try:
        tables = container.execute(["cat", "/proc/net/tcp", "/proc/net/tcp6"], timeout_s=_COMMAND_TIMEOUT_S)
        return parse_listeners(tables.output)
    except WrapperError:  # the container has exited, or has no cat that ends
        return ()


def _is_reachable(port: int, listeners: Sequence[Listener]) -> bool:
    return any(listener.port == port and not listener.is_loopback for listener in listeners)


def _suggest_port_fix(port: int, listeners: Sequence[Listener]) -> str:
    """Return where the service listens instead of on ``port``, and the fix."""
    loopback_listener = next((listener for listener in listeners if listener.port == port), None)
    if loopback_listener:
        return (
            f"the service listens on {loopback_listener.address}:{port} only, not reachable from outside its container: "
            "set 0.0.0.0 with its variable (CHUTE_ENV, often HOST) or argument (ENTRYPOINT)"
        )
    other_ports = sorted({listener.port for listener in listeners})
    problems = [problem for other in other_ports if (problem := find_service_port_problem(other))]
    if problems and len(problems) == len(other_ports):
        return (
            f"the service listens on {', '.join(map(str, other_ports))}, not on {port}, and {'; '.join(problems)}: move it "
            f"to {port} with its variable (CHUTE_ENV, often PORT) or argument (ENTRYPOINT)"
        )
    if other_ports:
        return f"the service listens on {', '.join(map(str, other_ports))}, not on {port}: correct SERVICE_PORTS"
    return "the service listens on no port yet: allow more time with --startup-delay and --probe-timeout, or check CHUTE_ENV"
