"""Instances without Docker: child processes of this Python, each in its own folder."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import requests

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import SUFFIX, Manifest, write_manifest
from chutes_wrappers.emulator import runner
from chutes_wrappers.emulator.launcher import build_runner_environment, find_module_file, generate_key
from chutes_wrappers.emulator.pod_limits import describe_probe_timeout
from chutes_wrappers.emulator.records import ChuteRecord
from chutes_wrappers.emulator.transport import InstanceClient
from chutes_wrappers.host import processes
from chutes_wrappers.host.http_sessions import HostSession
from chutes_wrappers.host.local_ports import probe_port

_LOOPBACK = "127.0.0.1"
_RUNNER = f"{runner.__name__}:main"
# Instances inherit only the variables that programs need, and none of the account.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "SYSTEMROOT")


@dataclass(frozen=True, kw_only=True)
class HostImage:
    """A substitute for an image: the baked manifest and the image's environment.

    With ``starts_service`` the module starts its service from the manifest's launch facts, as in an image. The launch facts
    must then be valid on this machine, and the manifest's ports must be free. Otherwise the user runs the service.
    """

    manifest: Manifest | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    starts_service: bool = False


class HostLauncher:
    """Starts instances as processes on this machine, one at a time because services have fixed ports.

    ``image_of`` returns the substitute for a chute's image. ``cache_root`` has a folder for each chute that outlives its
    instances; without it, they are in a temporary folder until ``close``. Not emulated: a locked network, a sandbox, and a
    limit of the disk.
    """

    max_running: int | None = 1

    def __init__(
        self,
        image_of: Callable[[ChuteRecord], HostImage] = lambda chute: HostImage(),
        *,
        cache_root: Path | None = None,
    ) -> None:
        self._image_of = image_of
        self._cache_root = cache_root
        self._temporary_root: Path | None = None

    @contextlib.contextmanager
    def launch(self, chute: ChuteRecord) -> Iterator[HostInstance]:
        """Start a process that serves the chute. Raises ConfigurationError when a port of its service is in use."""
        image, key, port, logging_port = self._image_of(chute), generate_key(), probe_port(), probe_port()
        if image.starts_service and image.manifest is not None:
            check_ports_are_free(ports_of(image.manifest), chute.name)
        with tempfile.TemporaryDirectory(prefix="chutes-emulator-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            module = folder / find_module_file(chute)
            module.write_text(chute.code, encoding="utf-8")
            cache = self._find_cache_root() / chute.chute_id
            environment = {
                **_build_environment(chute, image, module, folder, cache.absolute()),
                **build_runner_environment(key, **_build_settings(image, module, port, logging_port)),
            }
            argv = processes.build_python_argv(_RUNNER, chute.reference)
            with processes.start_process(
                argv, environment=environment, directory=folder, parent_variable=runner.PARENT_VARIABLE
            ) as process:
                client = InstanceClient(f"http://{_LOOPBACK}:{port}", runner.SessionCipher(key))
                yield HostInstance(process, client, logging_port)

    def describe_cache(self, chute_id: str) -> str:
        """Return the path of a chute's folder, and the command that removes it."""
        folder = self._find_cache_root() / chute_id
        return f"the folder {folder}. To remove it: rm -r {shlex.quote(str(folder))}"

    def remove_cache(self, chute_id: str) -> None:
        """Remove the folder of a deleted chute."""
        _remove_folder(self._find_cache_root() / chute_id)

    def close(self) -> None:
        """Remove the temporary folder with the folders of all chutes."""
        if self._temporary_root is not None:
            _remove_folder(self._temporary_root)

    def _find_cache_root(self) -> Path:
        if self._cache_root is not None:
            return self._cache_root
        if self._temporary_root is None:
            self._temporary_root = Path(tempfile.mkdtemp(prefix="chutes-emulator-cache-"))
        return self._temporary_root


class HostInstance:
    """A running process."""

    def __init__(self, process: processes.Process, client: InstanceClient, logging_port: int) -> None:
        self._process = process
        self._logging_port = logging_port
        self.client = client

    def read_lines(self) -> Iterator[str]:
        return processes.read_lines(self._process)

    def poll_exit_code(self) -> int | None:
        return self._process.poll()

    def list_listening_ports(self) -> Collection[int]:
        """Return the ports that the process and its children listen on now."""
        ports = set()
        with contextlib.suppress(psutil.Error, OSError):
            chute = psutil.Process(self._process.pid)
            for process in (chute, *chute.children(recursive=True)):
                connections = process.net_connections("inet")
                ports |= {connection.laddr[1] for connection in connections if connection.status == psutil.CONN_LISTEN}
        return ports

    def find_probe_problem(self) -> str:
        url = f"http://{_LOOPBACK}:{self._logging_port}{platform_rules.PROBE_PATH}"
        try:
            with HostSession() as session:
                status = session.get(url, timeout=platform_rules.PROBE_TIMEOUT_S).status_code
        except requests.Timeout:
            return describe_probe_timeout()
        except requests.RequestException as error:
            return "" if self.poll_exit_code() is not None else str(error)
        return "" if status < 400 else f"its response has the status {status}"

    def measure_written_bytes(self) -> int:
        """Return 0: what the process writes on this machine is not known."""
        return 0

    def lock_network(self) -> None:
        """Do nothing: the process uses this machine's network."""


def _remove_folder(path: Path) -> None:
    """Remove a folder, also with folders in it that a service has made read-only."""
    for parent, names, _ in os.walk(path):
        for folder in (Path(parent, name) for name in names):
            if not folder.is_symlink():
                with contextlib.suppress(OSError):
                    folder.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)


def ports_of(manifest: Manifest) -> list[int]:
    """Return the ports of a manifest's service: the image's exposed ports and those of the routes."""
    exposed = manifest.image.exposed_ports if manifest.image is not None else ()
    return sorted({*exposed, *(route.port for route in manifest.routes if route.port is not None)})


def check_ports_are_free(ports: list[int], where: str) -> None:
    """Raise ConfigurationError for a port in use, with the process that uses it where that is known."""
    for port in ports:
        try:
            probe_port(port)
        except OSError as error:
            raise ConfigurationError(
                f"port {port}, which the service needs, is in use by {_find_port_holder(port)} ({error.strerror})",
                where=where,
                next_step="stop that process, or run the instance in Docker",
            ) from error


def _find_port_holder(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another process"


def _build_environment(
    chute: ChuteRecord, image: HostImage, module: Path, folder: Path, cache: Path
) -> Mapping[str, str]:
    if image.manifest is not None:
        write_manifest(image.manifest, module.with_suffix(SUFFIX))
    scratch = folder / "tmp"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)  # it outlives the private folder of the instance
    scratch.mkdir()
    in_cache = {
        name: value.replace(platform_rules.CACHE_FOLDER, str(cache), 1)
        for name, value in platform_rules.HOST_VARIABLES.items()
        if value.startswith(platform_rules.CACHE_FOLDER)
    }
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {
        **inherited,
        **image.environment,
        **chute.environment,
        **platform_rules.HOST_VARIABLES,
        **in_cache,
        "HOME": str(folder),
        "TMPDIR": str(scratch),
        "PYTHONPATH": "",
        "PYTHONUNBUFFERED": "1",  # the last output before a crash must not be lost
        "CHUTES_USERNAME": chute.username,
        "CHUTES_ALLOW_MISSING": "true",
    }


def _build_settings(image: HostImage, module: Path, port: int, logging_port: int) -> Mapping[str, str]:
    launch = {runner.LAUNCH_VARIABLE: str(module.with_suffix(SUFFIX))} if image.starts_service else {}
    return {
        runner.HOST_VARIABLE: _LOOPBACK,
        runner.PORT_VARIABLE: str(port),
        runner.LOGGING_PORT_VARIABLE: str(logging_port),
        runner.EVIDENCE_PORT_VARIABLE: str(probe_port()),
        **launch,
    }
