"""The environment in which ``--emulate`` runs a module's chute: Docker, or this machine with the module's HOST_ENTRYPOINT."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.cli import module_preparation, output
from chutes_wrappers.cli.commands.discover import report_refusals
from chutes_wrappers.cli.module_cords import parse_static_routes
from chutes_wrappers.core.errors import ConfigurationError, EngineUnavailable, ImageMissing
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.overruled_rules import build_variables
from chutes_wrappers.emulator.docker_launcher import DockerLauncher
from chutes_wrappers.emulator.host_launcher import HostImage, HostLauncher
from chutes_wrappers.emulator.launcher import Launcher
from chutes_wrappers.emulator.records import ChuteRecord
from chutes_wrappers.host.container_engine.docker_engine import connect
from chutes_wrappers.host.discovery.container import check_ports
from chutes_wrappers.host.discovery.on_host import HostTask, build_host_launch, discover_on_host
from chutes_wrappers.host.discovery.probing import Bounds
from chutes_wrappers.host.modules.header_variables import resolve_headers
from chutes_wrappers.host.modules.module_facts import ModuleFacts

_LONGEST_START_S = 120.0


@dataclass(frozen=True, kw_only=True)
class PreparedImage:
    """A module's manifest and the launcher of its chute's instances; ``docker``: they run in the Docker engine."""

    manifest: Manifest
    launcher: Launcher
    docker: bool


def is_engine_reachable() -> bool:
    """Return whether a Docker engine is reachable now."""
    try:
        connect(has_cleanup=False).close()
    except EngineUnavailable:
        return False
    return True


def has_engine(facts: ModuleFacts) -> bool:
    """Return whether to use Docker: always without a HOST_ENTRYPOINT, else if a reachable engine has the image."""
    if facts.host_entrypoint is None:
        return True
    try:
        engine = connect()
        try:
            with engine.open_files(facts.base_image):  # this pulls nothing
                return True
        finally:
            engine.close()
    except EngineUnavailable as error:
        output.report(f"{error.what}: running the service on this machine with the module's HOST_ENTRYPOINT")
        return False
    except ImageMissing:
        output.report(
            f"{facts.base_image} is not on this machine: running the service here with the module's HOST_ENTRYPOINT. "
            "Build or pull the image to run it in Docker"
        )
        return False


@contextlib.contextmanager
def prepare_in_docker(facts: ModuleFacts, *, keep_cache: bool = False) -> Iterator[PreparedImage]:
    """Prepare images and instances in Docker. With ``keep_cache``, the chute's /cache lasts as long as the module's file."""
    with contextlib.closing(connect(output.report)) as engine:
        manifest = module_preparation.ensure_manifest(facts, engine)
        launcher = DockerLauncher(engine, output.report, cache_owner=facts.path if keep_cache else None)
        yield PreparedImage(manifest=manifest, launcher=launcher, docker=True)


def prepare_on_host(facts: ModuleFacts, *, keep_cache: bool = False) -> PreparedImage:
    """Prepare the module's service as a process of this machine. With ``keep_cache``, the user's cache folder has its /cache."""
    if facts.host_entrypoint is None:
        raise ConfigurationError(
            "the module has no HOST_ENTRYPOINT to start its service without Docker",
            where=str(facts.path),
            next_step="set HOST_ENTRYPOINT to a command that runs in the module's folder, or omit --no-docker",
        )
    check_ports(facts.service_ports, LaunchSpec())
    launch = build_host_launch(facts.host_entrypoint, facts.path.parent)
    launch = launch.model_copy(update={"exposed_ports": facts.service_ports})
    manifest = _resolve_manifest(facts, launch)

    def host_image_of(chute: ChuteRecord) -> HostImage:
        return HostImage(manifest=manifest, environment={**facts.env, **build_variables()}, starts_service=True)

    launcher = HostLauncher(host_image_of, cache_root=_find_user_cache() if keep_cache else None)
    return PreparedImage(manifest=manifest, launcher=launcher, docker=False)


def _find_user_cache() -> Path:
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "chutes-wrappers" / "emulator"


def _resolve_manifest(facts: ModuleFacts, launch: LaunchSpec) -> Manifest:
    """Return the module's manifest, else what its service publishes. Never written: the launch facts are this machine's."""
    manifest = module_preparation.find_manifest(facts)
    if manifest is not None:
        readiness = manifest.image.readiness if manifest.image is not None else {}
        return manifest.model_copy(update={"image": launch.model_copy(update={"readiness": readiness})})
    output.print_heading("Discovering what the service publishes")
    with output.Progress("Starting the service") as progress:
        return discover_on_host(
            HostTask(
                launch=launch,
                ports=facts.service_ports,
                bounds=Bounds(timeout_s=_LONGEST_START_S),
                report=output.report,
                log=progress.add_line,
                environment=facts.env,
                expose=facts.expose,
                has_static_routes=bool(parse_static_routes(facts)),
                headers=resolve_headers(facts),
                observe=lambda findings: report_refusals(facts, findings),
            )
        )
