"""The ContainerEngine that speaks to Docker's API."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from chutes_wrappers.core.errors import ConfigurationError, EngineUnavailable, ImageMissing, WrapperError
from chutes_wrappers.host.container_engine.docker_container import DockerContainer, DockerImageFiles
from chutes_wrappers.host.container_engine.docker_errors import quietly, reason, translated, unavailable
from chutes_wrappers.host.container_engine.docker_pull import pull
from chutes_wrappers.host.container_engine.engine import ContainerSpec

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

_T = TypeVar("_T")

# On every container, network and volume: the process that started it, and the machine (and pid namespace) where that process is.
LABEL = "chutes-wrappers.session"
HOST_LABEL = "chutes-wrappers.host"
_API_TIMEOUT_S = 120
_OPEN_TIMEOUT_S = 60


def connect(
    report: Callable[[str], None] = lambda line: None, *, timeout_s: int = _API_TIMEOUT_S, cleans: bool = True
) -> DockerEngine:
    """The engine that the ``docker`` command would use: ``DOCKER_HOST``, else the current context's.

    ``report`` gets the progress of pulls; an answer may take ``timeout_s`` seconds. Unless ``cleans`` is False, what a killed
    process of this toolkit left behind is removed. Raises EngineUnavailable with what to do about it.
    """
    import docker
    from docker.errors import DockerException

    try:
        endpoint = _endpoint()
        _check_socket(str(endpoint.get("base_url")))
        client = docker.DockerClient(version="auto", timeout=timeout_s, use_ssh_client=True, **endpoint)
        client.ping()
    except (DockerException, OSError, ValueError) as error:
        raise unavailable(error) from error
    except (AttributeError, TypeError) as error:  # docker-py takes the shape of Docker's file for granted
        raise EngineUnavailable(
            "no Docker engine can be asked",
            evidence=f"Docker's config.json holds something else than Docker's settings ({reason(error)})",
            next_step="correct or remove ~/.docker/config.json (DOCKER_CONFIG names another folder)",
        ) from error
    engine = DockerEngine(client, report)
    if cleans:
        engine.remove_abandoned()
    return engine


def _endpoint() -> dict[str, Any]:
    from docker.context import ContextAPI
    from docker.errors import ContextNotFound
    from docker.utils import kwargs_from_env

    given: dict[str, Any] = dict(kwargs_from_env())
    if "base_url" in given:
        return given
    name = os.environ.get("DOCKER_CONTEXT") or None
    context = ContextAPI.get_context(name)
    if context is None:
        raise ContextNotFound(name or "current")
    return {"base_url": context.Host, "tls": context.TLSConfig or given.get("tls", False)}


def _check_socket(base_url: str) -> None:
    """Raise the system's own error, with the socket's path, where docker-py would wrap it in text, and leave a socket open."""
    scheme, _, path = base_url.partition("://")
    if scheme in ("unix", "http+unix"):
        place = "/" + path.lstrip("/")
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(place)
            except OSError as error:
                raise type(error)(error.errno, error.strerror or str(error), place) from error


class DockerEngine:
    """Docker's engine. Everything that it starts carries labels of this process and is removed again."""

    def __init__(self, client: DockerClient, report: Callable[[str], None]) -> None:
        self._client = client
        self._report = report
        self._session = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._in_order(os.getpid)  # any call: its thread must run before something can interrupt its start

    def close(self) -> None:
        """Let go of the connection."""
        self._worker.shutdown()
        self._client.close()

    @property
    def is_local(self) -> bool:
        """Whether it is reached by a socket of this machine, whose disks are then its own."""
        return str(self._client.api.base_url).startswith("http+docker:")  # docker-py's name for one

    def remove_abandoned(self) -> None:
        """Remove containers, networks and volumes of processes on this machine that died without the chance to."""
        ours: dict[str, str | list[str] | bool] = {"label": f"{HOST_LABEL}={_host()}"}

        def remove() -> None:
            for container in self._client.containers.list(all=True, filters=ours, ignore_removed=True):
                if _is_abandoned(container.labels):
                    self._report(f"removing {container.name}, which a killed process left behind")
                    quietly(container.remove, force=True, v=True)
            for network in self._client.networks.list(filters=ours):
                if _is_abandoned((network.attrs or {}).get("Labels") or {}):
                    quietly(network.remove)
            for volume in self._client.volumes.list(filters=ours):
                if _is_abandoned((volume.attrs or {}).get("Labels") or {}):
                    quietly(volume.remove)

        quietly(remove)

    def inspect_image(self, reference: str) -> Mapping[str, object]:
        """The engine's description of an image, pulled first when it is not there; WrapperError when neither works."""
        if (found := self.find_image(reference)) is not None:
            return found
        with translated(reference):
            pull(self._client, reference, self._report)
            return self._client.images.get(reference).attrs or {}

    def info(self) -> Mapping[str, Any]:
        """What the engine says of itself: ServerVersion, Architecture, Runtimes, DockerRootDir, …"""
        with translated("docker info"):
            told: Mapping[str, Any] = self._client.info()
            return told

    def find_image(self, reference: str) -> Mapping[str, Any] | None:
        """The engine's description of an image that it has; None where it has none, and nothing is pulled."""
        try:
            with translated(reference):
                return self._client.images.get(reference).attrs or {}
        except ImageMissing:
            return None

    @contextlib.contextmanager
    def files(self, reference: str) -> Iterator[DockerImageFiles]:
        """The files of an image, to be read without running it."""
        # Docker wants a command to create a container, and never looks at it before the start.
        with self._created(ContainerSpec(image=reference, entrypoint=["-"])) as container:
            yield DockerImageFiles(container, reference)

    @contextlib.contextmanager
    def run(self, spec: ContainerSpec) -> Iterator[DockerContainer]:
        """Start a container; it is stopped and removed, with its volumes, when the context ends, however it ends."""
        with self._volumes(spec) as volumes, self._created(spec, volumes) as container:
            with translated(spec.image):
                self._in_order(container.start)
                container.reload()
            yield DockerContainer(container, spec)

    @contextlib.contextmanager
    def _created(self, spec: ContainerSpec, volumes: Mapping[str, str] | None = None) -> Iterator[Container]:
        name = self._new_name()
        try:
            with translated(spec.image):
                options = self._options(spec, volumes or {})
                container: Container = self._in_order(self._client.containers.create, name=name, **options)
            yield container
        finally:
            quietly(self._in_order, self._client.api.remove_container, name, force=True, v=True)

    @contextlib.contextmanager
    def internal_network(self) -> Iterator[str]:
        """The name of a network that leads nowhere, removed when the context ends: leave its containers first."""
        name = self._new_name()
        try:
            with translated(name):
                self._in_order(
                    self._client.networks.create, name, driver="bridge", internal=True, labels=self._labels()
                )
            yield name
        finally:
            quietly(self._in_order, self._client.api.remove_network, name)

    def remove_build_step(self, container_id: str) -> None:
        """Remove the container of a build's step, which the legacy builder keeps when the step fails; any other stays."""

        def remove() -> None:
            container = self._client.containers.get(container_id)
            # A step runs on the image of the step before, which has no name; output can name any container.
            if container.attrs["Config"]["Image"].startswith("sha256:"):
                container.remove(force=True, v=True)

        quietly(self._in_order, remove)

    def _options(self, spec: ContainerSpec, volumes: Mapping[str, str]) -> dict[str, Any]:
        from docker.types import Mount

        return {
            "image": spec.image,
            "command": list(spec.command) if spec.command is not None else None,
            "entrypoint": list(spec.entrypoint) if spec.entrypoint is not None else None,
            "environment": dict(spec.environment),
            "user": spec.user,
            "working_dir": spec.working_dir,
            "ports": {f"{port}/tcp": ("127.0.0.1", None) for port in spec.ports},
            "volumes": [_bind(volume) for volume in spec.volumes],
            "mounts": [Mount(target, volume, type="volume", no_copy=True) for target, volume in volumes.items()],
            "shm_size": spec.shm_bytes,
            "device_requests": _device_requests(spec.gpus),
            "platform": spec.platform,
            "network": spec.network,
            "sysctls": dict(spec.sysctls),
            "healthcheck": {"test": ["NONE"]},
            "labels": self._labels(),
        }

    @contextlib.contextmanager
    def _volumes(self, spec: ContainerSpec) -> Iterator[Mapping[str, str]]:
        """Empty volumes that everybody may write to, as the platform's are: target → volume name."""
        names = {target: self._new_name() for target in spec.empty_volumes}
        try:
            with translated(spec.image):
                for name in names.values():
                    self._in_order(self._client.volumes.create, name, labels=self._labels())
                if names:
                    self._open(spec.image, names)
            yield names
        finally:
            for name in names.values():
                quietly(self._in_order, self._client.api.remove_volume, name)

    def _open(self, image: str, names: Mapping[str, str]) -> None:
        chmod = ContainerSpec(
            image=image, entrypoint=["/bin/chmod"], command=["1777", *names], user="0:0", network="none"
        )
        with self._created(chmod, names) as container:
            self._in_order(container.start)
            outcome = container.wait(timeout=_OPEN_TIMEOUT_S)
        if outcome["StatusCode"] != 0:
            raise WrapperError("empty volumes cannot be prepared: chmod failed", where=image)

    def _in_order(self, call: Callable[..., _T], *arguments: Any, **options: Any) -> _T:
        """Do what makes or removes something in one thread: a removal after an interrupt follows what was interrupted."""
        return self._worker.submit(call, *arguments, **options).result()

    def _new_name(self) -> str:
        return f"chutes-wrappers-{self._session}-{secrets.token_hex(4)}"

    def _labels(self) -> dict[str, str]:
        return {LABEL: self._session, HOST_LABEL: _host()}


def _host() -> str:
    # Pids mean something only where they were given: in a container, /proc names another namespace.
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()}/{os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


def _is_abandoned(labels: Mapping[str, str]) -> bool:
    import psutil

    pid = labels.get(LABEL, "").partition("-")[0]
    return pid.isdigit() and not psutil.pid_exists(int(pid))


def _device_requests(gpus: str | None) -> list[Any] | None:
    """Docker's ``--gpus``: "all", a number, or ``device=0,1``."""
    from docker.types import DeviceRequest

    if not gpus:
        return None
    if gpus.startswith("device="):
        return [DeviceRequest(device_ids=gpus.removeprefix("device=").split(","), capabilities=[["gpu"]])]
    if gpus != "all" and not gpus.isdecimal():
        raise ConfigurationError(f"GPUs {gpus!r} are neither all, nor a number, nor device=ID,ID")
    return [DeviceRequest(count=-1 if gpus == "all" else int(gpus), capabilities=[["gpu"]])]


def _bind(volume: str) -> str:
    """A volume in Docker's notation; a relative or home folder made absolute, as the command line does."""
    if not re.match(r"\.{1,2}(/|:)|~", volume):
        return volume
    source, separator, rest = volume.partition(":")
    return os.path.abspath(os.path.expanduser(source)) + separator + rest
