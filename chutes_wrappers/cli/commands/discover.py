"""``--discover`` and ``tools/discover_routes.py``: discovery of a service's routes, and its manifest."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from chutes_wrappers.cli import output
from chutes_wrappers.cli.module_cords import parse_static_routes, plan_module_cords
from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.cord_plan import CordPlan, plan_cords
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.exposure import Category
from chutes_wrappers.core.files import write_atomically
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.overruled_rules import refuse

if TYPE_CHECKING:
    from chutes_wrappers.core.launch_spec import LaunchSpec
    from chutes_wrappers.host.container_engine.engine import ContainerEngine, ContainerSpec
    from chutes_wrappers.host.discovery.probing import Bounds, Finding
    from chutes_wrappers.host.modules.module_facts import ModuleFacts

Observer: TypeAlias = "Callable[[Sequence[Finding]], None]"

STARTUP_DELAY_S = 120.0
PROBE_TIMEOUT_S = 180.0
GPUS = "all"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a discovery. ``environment`` may contain secrets and is excluded from ``repr``."""

    startup_delay_s: float = STARTUP_DELAY_S
    probe_timeout_s: float = PROBE_TIMEOUT_S
    probe_paths: tuple[str, ...] = ()
    gpus: str = GPUS
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    volumes: tuple[str, ...] = ()
    shm_bytes: int = platform_rules.INSTANCE_SHM_BYTES
    user: str | None = None
    entrypoint: tuple[str, ...] | None = None
    expose: frozenset[Category] = frozenset()
    openapi: Path | None = None

    @property
    def bounds(self) -> Bounds:
        """The maximum wait: delay plus timeout. Discovery does not sleep through the delay."""
        from chutes_wrappers.host.discovery.probing import Bounds

        return Bounds(timeout_s=self.startup_delay_s + self.probe_timeout_s)


def discover_url(base_url: str, port: int | None, settings: Settings, path: Path | None) -> Manifest:
    """Discover a service that is already running; return its manifest and write it to ``path``, if given."""
    from chutes_wrappers.host.discovery.remote import discover_service

    _check_port(base_url, port)
    for target in filter(None, (path, settings.openapi)):
        check_writable(target)
    manifest = discover_service(
        base_url,
        port,
        bounds=settings.bounds,
        report=output.report,
        probe_paths=settings.probe_paths,
        expose=settings.expose,
    )
    if path is not None:
        _write_and_report(manifest, path)
    if settings.openapi is not None:
        ports = [route.port for route in manifest.routes if route.port is not None]
        plan = plan_cords(manifest.routes, ports[0] if ports else 0)
        _write_openapi(plan, settings.openapi, name="chute", version="")
    return manifest


def _check_port(base_url: str, port: int | None) -> None:
    """Raise ConfigurationError for a port that the chute itself uses: no module could load such routes."""
    service_port = port
    with contextlib.suppress(ValueError):  # an invalid URL is reported where it is parsed
        service_port = service_port or urlsplit(base_url).port
    if service_port is not None and (problem := platform_checks.find_reserved_port_problem(service_port)):
        refuse(
            "service-port",
            ConfigurationError(
                f"{problem}, so no service can use it there",
                where="--base-url" if port is None else "--port",
                next_step=f"give the port that the service will have in its image: --base-url {base_url} --port 8080",
            ),
        )


def discover_file(chute_file: str, settings: Settings, path: Path | None) -> Manifest:
    """Run the image of a deploy module; return its manifest and write it to ``path``, by default beside the module."""
    from chutes_wrappers.cli.placement_warnings import load_and_warn_about_placement
    from chutes_wrappers.host.container_engine.docker_engine import connect
    from chutes_wrappers.host.modules.module_facts import read_module
    from chutes_wrappers.host.modules.module_files import resolve_module

    facts = read_module(resolve_module(chute_file), output.report)
    load_and_warn_about_placement(facts)
    return discover_and_write(facts, connect(output.report), settings, path or facts.manifest_path)


def discover_with_defaults(facts: ModuleFacts, engine: ContainerEngine, observe: Observer | None = None) -> Manifest:
    """Discover and write the manifest of a module with every setting at its default."""
    return discover_and_write(facts, engine, Settings(), facts.manifest_path, observe)


def discover_and_write(
    facts: ModuleFacts, engine: ContainerEngine, settings: Settings, path: Path, observe: Observer | None = None
) -> Manifest:
    """Run the module's image, find its routes and write the manifest to ``path``.

    ``observe`` gets what was found, before it is checked; by default refused requests are reported.
    """
    for target in filter(None, (path, settings.openapi)):
        check_writable(target)

    def save(manifest: Manifest) -> None:
        _write_and_report(manifest, path)
        if settings.openapi is not None:
            plan = plan_module_cords(facts, manifest)
            _write_openapi(plan, settings.openapi, name=facts.chute_name, version=facts.chute_tag)

    return discover_image(facts, engine, settings, save, observe)


def _write_and_report(manifest: Manifest, path: Path) -> None:
    """Write the manifest and report how many routes it has."""
    write_manifest(manifest, path)
    note_count = sum(map(len, manifest.notes.values()))
    notes = f", {note_count} note{'s' * (note_count > 1)} on what no call sends" if note_count else ""
    output.success(f"{path}: {len(manifest.routes)} routes, {len(manifest.skipped)} skipped with their reasons{notes}")


def _write_openapi(plan: CordPlan, path: Path, *, name: str, version: str) -> None:
    from chutes_wrappers.host.public_api_document import build_api_document

    write_atomically(path, build_api_document(plan, name=name, version=version))
    output.success(f"{path}: the public API in OpenAPI 3.1, {len(plan.cords)} cords")


def discover_image(
    facts: ModuleFacts,
    engine: ContainerEngine,
    settings: Settings,
    save: Callable[[Manifest], None],
    observe: Observer | None = None,
) -> Manifest:
    """Inspect and run the module's image; return the manifest of what it publishes, after calling ``save`` with it."""
    from chutes_wrappers.host.discovery.container import ContainerTask, check_ports, discover_container
    from chutes_wrappers.host.inspection import describe_concerns, inspect_image
    from chutes_wrappers.host.modules.header_variables import read_header_variables

    static_routes = parse_static_routes(facts)
    variables = read_header_variables(facts, settings.environment)
    container = _build_container_spec(facts, settings, variables)
    output.print_heading(f"Inspecting {facts.base_image}")
    launch = inspect_image(engine, facts.base_image)
    check_ports(facts.service_ports, launch)
    for concern in describe_concerns(launch):
        output.warning(concern)
    warn_about_losses(facts, engine, launch)
    output.print_heading(
        f"Starting {facts.base_image}; probing {_format_ports(facts.service_ports)} for at most "
        f"{settings.bounds.timeout_s:.0f} s"
    )
    task = ContainerTask(
        container=container,
        launch=launch,
        bounds=settings.bounds,
        report=output.report,
        log=output.log,
        probe_paths=settings.probe_paths,
        expose=settings.expose | facts.expose,
        has_static_routes=bool(static_routes),
        headers=facts.headers.resolve(variables),
        observe=observe or (lambda findings: report_refusals(facts, findings)),
    )
    return discover_container(engine, task, save)


def report_refusals(facts: ModuleFacts, findings: Sequence[Finding]) -> None:
    """Warn about a service that refuses requests for want of credentials, with the line that sends them."""
    from chutes_wrappers.core.module_headers import format_secret_command
    from chutes_wrappers.host.discovery.credentials import suggest_header
    from chutes_wrappers.host.discovery.probing import list_refusals

    refusals = list_refusals(findings)
    if not refusals:
        return
    output.warning(f"the service wants {'other ' if facts.headers else ''}credentials: {refusals[0]}")
    suggestion = suggest_header([route for finding in findings for route in finding.operations.routes], refusals)
    if suggestion is not None and not facts.headers:
        output.report_next_step(
            f"add {suggestion.line} to {facts.path.name}, export {suggestion.variable} ({suggestion.meaning}), and run the "
            f"command again. On the platform it is a secret: {format_secret_command(facts.chute_name, suggestion.variable)}"
        )


def warn_about_losses(facts: ModuleFacts, engine: ContainerEngine, launch: LaunchSpec) -> None:
    """Warn about what the forge removes from the module's base image, whose launch facts are ``launch``."""
    from chutes_wrappers.host.forge_losses import describe_losses

    with output.show_status(f"Checking what the forge removes from {facts.base_image}"):
        losses = describe_losses(engine, facts.base_image, launch, facts.env)
    for loss in losses:
        output.warning(loss)


def _format_ports(ports: Sequence[int]) -> str:
    return f"port{'s' if len(ports) > 1 else ''} {', '.join(map(str, ports))}"


def _build_container_spec(facts: ModuleFacts, settings: Settings, variables: Mapping[str, str]) -> ContainerSpec:
    from chutes_wrappers.host.container_engine.engine import ContainerSpec

    entrypoint = facts.entrypoint
    module_entrypoint = ("/bin/sh", "-c", entrypoint) if isinstance(entrypoint, str) else entrypoint
    return ContainerSpec(
        image=facts.base_image,
        entrypoint=settings.entrypoint or module_entrypoint or None,
        environment={**facts.env, **variables, **settings.environment},
        user=settings.user,
        ports=facts.service_ports,
        volumes=settings.volumes,
        shm_bytes=settings.shm_bytes,
        gpus=_parse_gpus(settings.gpus),
    )


def _parse_gpus(text: str) -> str | None:
    if text in ("", "none", "0"):
        return None
    if text != "all" and not re.fullmatch("[0-9]{1,3}", text):
        raise ConfigurationError("is not all, none or a number", where=f"--docker-gpus {text}")
    return text


def check_writable(path: Path) -> None:
    """Raise ConfigurationError for a path that is not writable, before minutes are spent on a discovery."""
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK) or path.is_dir():
        raise ConfigurationError(
            "the file is not writable",
            where=str(path),
            next_step="give a file in a folder that you may write to",
        )


def parse_environment(assignments: Sequence[str]) -> dict[str, str]:
    """Parse ``KEY=VALUE``; ``KEY`` alone copies the value from this process, so that no command line contains it."""
    environment = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not name or (not separator and name not in os.environ):
            raise ConfigurationError(
                "is not set in this environment" if name else "has no variable name",
                where=f"--docker-env {name}",
                next_step="give KEY=VALUE, or export KEY and give KEY alone",
            )
        environment[name] = value if separator else os.environ[name]
    return environment


def parse_size(text: str) -> int:
    """Parse a size in Docker's notation (``512m``, ``16g``) and return bytes."""
    match = re.fullmatch(r"([1-9][0-9]{0,14}) ?([bkmg]?)b?", text.strip().lower())
    if not match:
        raise ConfigurationError(
            "is not a valid size", where=f"--shm-size {text}", next_step="give a size such as 512m or 16g"
        )
    unit: int = 1024 ** "bkmg".index(match[2] or "b")
    return int(match[1]) * unit
