"""Instances on this machine, without Docker: a child process of this Python in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import SUFFIX, Manifest, write_manifest
from chutes_wrappers.emulator import runner
from chutes_wrappers.emulator.launcher import build_runner_environment, generate_key, write_module
from chutes_wrappers.emulator.records import ChuteRecord
from chutes_wrappers.emulator.transport import InstanceClient
from chutes_wrappers.host import processes

if TYPE_CHECKING:
    import subprocess

_LOOPBACK = "127.0.0.1"
_RUNNER = f"{runner.__name__}:main"
# Of our own environment an instance gets what Python and programs need, and nothing of the account.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "SYSTEMROOT")


@dataclass(frozen=True, kw_only=True)
class HostImage:
    """What an image would bring, where there is none: the baked manifest and the image's environment.

    With ``starts_service`` the module starts its service by the manifest's launch facts, as in an image: they must then fit
    this machine, and the ports of the manifest must be free. Without, somebody else runs the service.
    """

    manifest: Manifest | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    starts_service: bool = False


class HostLauncher:
    """Starts instances as processes here, one at a time because services have fixed ports.

    ``image_of`` says what a chute's image would hold. The network is never locked: the processes are this machine's.
    """

    max_running: int | None = 1

    def __init__(self, image_of: Callable[[ChuteRecord], HostImage] = lambda chute: HostImage()) -> None:
        self._image_of = image_of

    @contextlib.contextmanager
    def launch(self, chute: ChuteRecord) -> Iterator[HostInstance]:
        """A process that serves the chute; ConfigurationError names a port of its service that something else holds."""
        image, key, port = self._image_of(chute), generate_key(), _find_free_port()
        if image.starts_service and image.manifest is not None:
            check_ports_are_free(ports_of(image.manifest), chute.name)
        with tempfile.TemporaryDirectory(prefix="chutes-emulator-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            module = write_module(chute, folder)
            environment = {
                **_build_environment(chute, image, module, folder),
                **build_runner_environment(key, **_build_settings(image, module, port)),
            }
            argv = processes.build_python_argv(_RUNNER, chute.reference)
            with processes.start_process(argv, environment=environment, directory=folder) as process:
                client = InstanceClient(f"http://{_LOOPBACK}:{port}", runner.SessionCipher(key))
                yield HostInstance(process, client)


class HostInstance:
    """A running process."""

    def __init__(self, process: subprocess.Popen[bytes], client: InstanceClient) -> None:
        self._process = process
        self.client = client

    def read_lines(self) -> Iterator[str]:
        """What the process prints, until it ends."""
        return processes.read_lines(self._process)

    def poll_exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def list_listening_ports(self) -> Collection[int]:
        """The ports that the process and its children listen on now."""
        ports = set()
        with contextlib.suppress(psutil.Error, OSError):
            chute = psutil.Process(self._process.pid)
            for process in (chute, *chute.children(recursive=True)):
                connections = process.net_connections("inet")
                ports |= {connection.laddr[1] for connection in connections if connection.status == psutil.CONN_LISTEN}
        return ports

    def lock_network(self) -> None:
        """Nothing: a process here has this machine's network."""


def ports_of(manifest: Manifest) -> list[int]:
    """Every port that a manifest's service listens on, as far as it says."""
    exposed = manifest.image.exposed_ports if manifest.image is not None else ()
    return sorted({*exposed, *(route.port for route in manifest.routes if route.port is not None)})


def check_ports_are_free(ports: list[int], where: str) -> None:
    """Raise ConfigurationError that names a port that something listens on, and what it is, where that can be told."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_LOOPBACK, port))
            except OSError as error:
                raise ConfigurationError(
                    f"port {port}, which the service needs, is held by {_find_port_holder(port)} ({error.strerror})",
                    where=where,
                    next_step="stop what holds it, or run the instance in Docker",
                ) from error


def _find_port_holder(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another process"


def _build_environment(chute: ChuteRecord, image: HostImage, module: Path, folder: Path) -> Mapping[str, str]:
    if image.manifest is not None:
        write_manifest(image.manifest, module.with_suffix(SUFFIX))
    cache, scratch = folder / "cache", folder / "tmp"
    cache.mkdir()
    scratch.mkdir()
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {
        **inherited,
        **image.environment,
        **chute.environment,
        "HOME": str(folder),
        "HF_HOME": str(cache),
        "TMPDIR": str(scratch),
        "PYTHONPATH": "",
        "PYTHONUNBUFFERED": "1",  # what it prints just before it dies must arrive
        "CHUTES_USERNAME": chute.username,
        "CHUTES_ALLOW_MISSING": "true",
        platform_rules.EXECUTION_CONTEXT_VARIABLE: platform_rules.REMOTE_CONTEXT,
    }


def _build_settings(image: HostImage, module: Path, port: int) -> Mapping[str, str]:
    launch = {runner.LAUNCH_VARIABLE: str(module.with_suffix(SUFFIX))} if image.starts_service else {}
    return {
        runner.HOST_VARIABLE: _LOOPBACK,
        runner.PORT_VARIABLE: str(port),
        runner.LOGGING_PORT_VARIABLE: str(_find_free_port()),
        runner.EVIDENCE_PORT_VARIABLE: str(_find_free_port()),
        runner.PARENT_VARIABLE: str(os.getpid()),
        **launch,
    }


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
