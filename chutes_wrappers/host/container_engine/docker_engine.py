"""The ContainerEngine that uses Docker's API."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from chutes_wrappers.core.errors import ConfigurationError, EngineUnavailable, ImageMissing, WrapperError
from chutes_wrappers.host.container_engine.docker_container import DockerContainer, DockerImageFiles, build_archive
from chutes_wrappers.host.container_engine.docker_errors import (
    build_unavailable_error,
    format_reason,
    run_cleanup,
    translate_errors,
)
from chutes_wrappers.host.container_engine.docker_pull import pull_image
from chutes_wrappers.host.container_engine.engine import ContainerSpec, KeptVolume

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

_T = TypeVar("_T")

# Labels of every container, network and volume: the process that created it, and the machine and pid namespace of that process.
LABEL = "chutes-wrappers.session"
HOST_LABEL = "chutes-wrappers.host"
# The label of a volume that outlives its process: the path on this machine that it belongs to.
OWNER_LABEL = "chutes-wrappers.owner"
# An internal network alone lets a container call every server of this machine that listens on all addresses.
_NO_HOST_ADDRESS = {"com.docker.network.bridge.inhibit_ipv4": "true"}
_API_TIMEOUT_S = 120
_PREPARE_TIMEOUT_S = 60


def connect(
    report: Callable[[str], None] = lambda line: None, *, timeout_s: int = _API_TIMEOUT_S, has_cleanup: bool = True
) -> DockerEngine:
    """Connect to the engine that the ``docker`` command would use: ``DOCKER_HOST``, else the current context's.

    ``report`` receives the progress of pulls; ``timeout_s`` limits each response. With ``has_cleanup``, resources that a killed
    process of this toolkit left behind are removed. Raises EngineUnavailable with the next step.
    """
    from docker.errors import DockerException

    from chutes_wrappers.host.container_engine.docker_client import open_client

    try:
        client = open_client(timeout_s)
    except (DockerException, OSError, ValueError) as error:
        raise build_unavailable_error(error) from error
    except (AttributeError, TypeError) as error:  # docker-py does not validate Docker's config.json
        raise EngineUnavailable(
            "no Docker engine is reachable",
            evidence=f"Docker's config.json does not contain Docker's settings ({format_reason(error)})",
            next_step="correct or remove ~/.docker/config.json (or that file in the folder of DOCKER_CONFIG)",
        ) from error
    engine = DockerEngine(client, report)
    if has_cleanup:
        engine.remove_abandoned_resources()
    return engine


class DockerEngine:
    """The ContainerEngine of Docker. All resources that it creates have labels of this process, and are removed again."""

    def __init__(self, client: DockerClient, report: Callable[[str], None]) -> None:
        self._client = client
        self._report = report
        self._session = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._run_in_worker(os.getpid)  # any call: it starts the thread before an interrupt can prevent that

    def close(self) -> None:
        """Close the connection."""
        self._worker.shutdown()
        self._client.close()

    @property
    def is_local(self) -> bool:
        """Whether a Unix socket reaches the engine, so that its disks are this machine's."""
        return str(self._client.api.base_url).startswith("http+docker:")  # docker-py's scheme for a Unix socket

    def remove_abandoned_resources(self) -> None:
        """Remove containers, networks and volumes of processes on this machine that were killed, and volumes of paths that are gone."""
        filters: dict[str, str | list[str] | bool] = {"label": f"{HOST_LABEL}={_find_host_id()}"}

        def remove() -> None:
            for container in self._client.containers.list(all=True, filters=filters, ignore_removed=True):
                if _is_abandoned(container.labels):
                    self._report(f"removing {container.name}, which a killed process left behind")
                    run_cleanup(container.remove, force=True, v=True)
            for network in self._client.networks.list(filters=filters):
                if _is_abandoned((network.attrs or {}).get("Labels") or {}):
                    run_cleanup(network.remove)
            for volume in self._client.volumes.list(filters=filters):
                labels = (volume.attrs or {}).get("Labels") or {}
                if _is_abandoned(labels) or _is_gone(labels.get(OWNER_LABEL, "/")):
                    run_cleanup(volume.remove)

        run_cleanup(remove)

    def inspect_image(self, reference: str) -> Mapping[str, object]:
        if (attributes := self.find_image(reference)) is not None:
            return attributes
        with translate_errors(reference):
            pull_image(self._client, reference, self._report)
            return self._client.images.get(reference).attrs or {}

    def info(self) -> Mapping[str, Any]:
        """Return the data of ``docker info``: ServerVersion, Architecture, Runtimes, DockerRootDir, …"""
        with translate_errors("docker info"):
            details: Mapping[str, Any] = self._client.info()
            return details

    def find_image(self, reference: str) -> Mapping[str, Any] | None:
        """Return the engine's description of an image, or None when the engine does not have it. Pulls nothing."""
        try:
            with translate_errors(reference):
                return self._client.images.get(reference).attrs or {}
        except ImageMissing:
            return None

    @contextlib.contextmanager
    def open_files(self, reference: str) -> Iterator[DockerImageFiles]:
        # Docker requires a command when it creates a container, but validates it only at the start.
        with self._create_container(ContainerSpec(image=reference, entrypoint=["-"])) as container:
            yield DockerImageFiles(container, reference)

    @contextlib.contextmanager
    def run(self, spec: ContainerSpec) -> Iterator[DockerContainer]:
        with self._create_volumes(spec) as volumes, self._create_container(spec, volumes) as container:
            with translate_errors(spec.image):
                if spec.files:
                    container.put_archive("/", build_archive(spec.files))
                self._run_in_worker(container.start)
                container.reload()
            yield DockerContainer(container, spec)

    @contextlib.contextmanager
    def _create_container(self, spec: ContainerSpec, volumes: Mapping[str, str] | None = None) -> Iterator[Container]:
        name = self._make_name()
        try:
            with translate_errors(spec.image):
                options = self._build_options(spec, volumes or {})
                container: Container = self._run_in_worker(self._client.containers.create, name=name, **options)
            yield container
        finally:
            run_cleanup(self._run_in_worker, self._client.api.remove_container, name, force=True, v=True)

    @contextlib.contextmanager
    def internal_network(self) -> Iterator[str]:
        """Create a network without a route to others or to this machine, and yield its name.

        It is removed when the context ends. Remove its containers first.
        """
        name = self._make_name()
        try:
            with translate_errors(name):
                self._run_in_worker(
                    self._client.networks.create,
                    name,
                    driver="bridge",
                    internal=True,
                    options=_NO_HOST_ADDRESS,
                    labels=self._build_labels(),
                )
            yield name
        finally:
            run_cleanup(self._run_in_worker, self._client.api.remove_network, name)

    def remove_volume(self, name: str) -> None:
        """Remove a volume. Does nothing when it does not exist, or a container uses it."""
        run_cleanup(self._run_in_worker, self._client.api.remove_volume, name)

    def remove_build_step(self, container_id: str) -> None:
        """Remove the container of a failed build step, which the legacy builder keeps. Any other container stays."""

        def remove() -> None:
            container = self._client.containers.get(container_id)
            # A step's image is the previous step, which has no name. The id comes from output, which can contain any id.
            if container.attrs["Config"]["Image"].startswith("sha256:"):
                container.remove(force=True, v=True)

        run_cleanup(self._run_in_worker, remove)

    def _build_options(self, spec: ContainerSpec, volumes: Mapping[str, str]) -> dict[str, Any]:
        from docker.types import Mount

        return {
            "image": spec.image,
            "command": list(spec.command) if spec.command is not None else None,
            "entrypoint": list(spec.entrypoint) if spec.entrypoint is not None else None,
            "environment": dict(spec.environment),
            "user": spec.user,
            "working_dir": spec.working_dir,
            "ports": {f"{port}/tcp": ("127.0.0.1", None) for port in spec.ports},
            "volumes": [_resolve_volume(volume) for volume in spec.volumes],
            "mounts": [Mount(target, volume, type="volume", no_copy=True) for target, volume in volumes.items()],
            "cap_drop": None if spec.capabilities is None else ["ALL"],
            "cap_add": list(spec.capabilities or ()),
            "security_opt": _build_security_options(spec),
            "shm_size": spec.shm_bytes,
            "device_requests": _build_device_requests(spec.gpus),
            "platform": spec.platform,
            "network": spec.network,
            "sysctls": dict(spec.sysctls),
            "healthcheck": {"test": ["NONE"]},
            "labels": self._build_labels(),
        }

    @contextlib.contextmanager
    def _create_volumes(self, spec: ContainerSpec) -> Iterator[Mapping[str, str]]:
        """Create empty volumes with mode 1777, as on the platform, and missing kept ones. Yield target → volume name."""
        empty = {target: self._make_name() for target in spec.empty_volumes}
        names = {**empty, **{volume.target: volume.name for volume in spec.kept_volumes}}
        try:
            with translate_errors(spec.image):
                for name in empty.values():
                    self._run_in_worker(self._client.volumes.create, name, labels=self._build_labels())
                for volume in spec.kept_volumes:
                    labels = self._build_labels(volume.owner)
                    self._run_in_worker(self._client.volumes.create, volume.name, labels=labels)
                if names:
                    self._prepare_volumes(spec, names)
            yield names
        finally:
            for name in empty.values():
                self.remove_volume(name)

    def _prepare_volumes(self, spec: ContainerSpec, names: Mapping[str, str]) -> None:
        prepare = ContainerSpec(
            image=spec.image,
            entrypoint=["/bin/sh"],
            command=["-c", build_volume_script(spec.empty_volumes, spec.kept_volumes)],
            user="0:0",
            network="none",
            environment={"LD_PRELOAD": ""},
        )
        with self._create_container(prepare, names) as container:
            self._run_in_worker(container.start)
            result = container.wait(timeout=_PREPARE_TIMEOUT_S)
        if result["StatusCode"] != 0:
            raise WrapperError("the volumes cannot be prepared: chmod or chown failed", where=spec.image)

    def _run_in_worker(self, call: Callable[..., _T], *arguments: Any, **options: Any) -> _T:
        """Run creations and removals in one thread, so that a removal comes after an interrupted creation."""
        return self._worker.submit(call, *arguments, **options).result()

    def _make_name(self) -> str:
        return f"chutes-wrappers-{self._session}-{secrets.token_hex(4)}"

    def _build_labels(self, owner: str | None = None) -> dict[str, str]:
        """Return the labels of what belongs to this process or, with ``owner``, to that path."""
        label = {LABEL: self._session} if owner is None else {OWNER_LABEL: owner}
        return {**label, HOST_LABEL: _find_host_id()}


def build_volume_script(empty: Sequence[str], kept: Sequence[KeptVolume]) -> str:
    """Return the shell script that sets the modes of empty volumes, and the owners of kept ones."""
    commands = [f"/bin/chmod 1777 {shlex.quote(target)}" for target in empty]
    commands += [f"/bin/chown {volume.uid}:{volume.uid} {shlex.quote(volume.target)}" for volume in kept]
    return " && ".join(commands)


def _build_security_options(spec: ContainerSpec) -> list[str]:
    profile = [] if spec.seccomp_profile is None else [f"seccomp={spec.seccomp_profile}"]
    return [*profile, *([] if spec.capabilities is None else ["no-new-privileges"])]


def _find_host_id() -> str:
    # A pid is valid only in its namespace, and a container has another one than its host.
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()}/{os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


def _is_abandoned(labels: Mapping[str, str]) -> bool:
    import psutil

    pid = labels.get(LABEL, "").partition("-")[0]
    return pid.isdigit() and not psutil.pid_exists(int(pid))


def _is_gone(path: str) -> bool:
    """Return whether ``path`` does not exist. A path that this user may not read counts as existing."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # ValueError: a NUL in it
        return False
    return False


def _build_device_requests(gpus: str | None) -> list[Any] | None:
    """Parse Docker's ``--gpus``: "all", a number, or ``device=0,1``."""
    from docker.types import DeviceRequest

    if not gpus:
        return None
    if gpus.startswith("device="):
        return [DeviceRequest(device_ids=gpus.removeprefix("device=").split(","), capabilities=[["gpu"]])]
    if gpus != "all" and not gpus.isdecimal():
        raise ConfigurationError(f"invalid GPUs {gpus!r}: expected all, a number, or device=ID,ID")
    return [DeviceRequest(count=-1 if gpus == "all" else int(gpus), capabilities=[["gpu"]])]


def _resolve_volume(volume: str) -> str:
    """Return a volume in Docker's notation, with a relative or home folder made absolute as ``docker run`` does."""
    if not re.match(r"\.{1,2}(/|:)|~", volume):
        return volume
    source, separator, rest = volume.partition(":")
    return os.path.abspath(os.path.expanduser(source)) + separator + rest
