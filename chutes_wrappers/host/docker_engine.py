"""The ContainerEngine that speaks to Docker's API."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chutes_wrappers.core.errors import EngineUnavailable, WrapperError
from chutes_wrappers.host.engine import ContainerSpec, ExecResult

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

LABEL = "chutes-wrappers.session"
_KINDS = ("changed", "added", "deleted")
_API_TIMEOUT_S = 120
_LINKS_FOLLOWED = 8
_LARGEST_FILE_BYTES = 64 * 1024**2


def connect(report: Callable[[str], None] = lambda line: None) -> DockerEngine:
    """The engine that the ``docker`` command would use: ``DOCKER_HOST``, else the current context's.

    ``report`` gets the progress of pulls. Raises EngineUnavailable with what to do about it.
    """
    import docker
    from docker.errors import DockerException

    try:
        client = docker.DockerClient(base_url=_endpoint(), timeout=_API_TIMEOUT_S, version="auto")
        client.ping()
    except (DockerException, OSError, ValueError) as error:
        raise EngineUnavailable(
            "no Docker engine answers", evidence=_reason(error), next_step=_how_to_reach(str(error))
        ) from error
    return DockerEngine(client, report)


def _endpoint() -> str | None:
    from docker.context import ContextAPI

    if "DOCKER_HOST" in os.environ:
        return os.environ["DOCKER_HOST"]
    context = ContextAPI.get_current_context()
    return str(context.Host) if context is not None and context.Host else None


def _how_to_reach(text: str) -> str:
    if "Permission denied" in text or "PermissionError" in text:
        return "your user may not use the engine: add it to the group docker and log in again, or run as root"
    if "FileNotFoundError" in text or "No such file" in text:
        return "install Docker, or start it (systemctl start docker; Docker Desktop), or set DOCKER_HOST"
    return "start the engine (systemctl start docker; Docker Desktop), or correct DOCKER_HOST or `docker context use`"


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[-1][:300] if str(error).strip() else type(error).__name__


class DockerEngine:
    """Docker's engine. Everything that it starts carries a label of this process and is removed again."""

    def __init__(self, client: DockerClient, report: Callable[[str], None]) -> None:
        self._client = client
        self._report = report
        self._session = f"{os.getpid()}-{secrets.token_hex(4)}"

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def inspect_image(self, reference: str) -> Mapping[str, object]:
        """The engine's description of an image, pulled first when it is not there; WrapperError when neither works."""
        from docker.errors import ImageNotFound

        with _translated(reference):
            try:
                return self._client.images.get(reference).attrs or {}
            except ImageNotFound:
                self._pull(reference)
                return self._client.images.get(reference).attrs or {}

    @contextlib.contextmanager
    def files(self, reference: str) -> Iterator[DockerImageFiles]:
        """The files of an image, to be read without running it."""
        # Docker wants a command to create a container, and never looks at it before the start.
        with self._created(ContainerSpec(image=reference, entrypoint=["-"])) as container:
            yield DockerImageFiles(container)

    @contextlib.contextmanager
    def run(self, spec: ContainerSpec) -> Iterator[DockerContainer]:
        """Start a container; it is stopped and removed, with its volumes, when the context ends, however it ends."""
        with self._volumes(spec) as volumes, self._created(spec, volumes) as container:
            with _translated(spec.image):
                container.start()
                container.reload()
            yield DockerContainer(container, spec)

    @contextlib.contextmanager
    def _created(self, spec: ContainerSpec, volumes: Mapping[str, str] | None = None) -> Iterator[Container]:
        with _translated(spec.image):
            container = self._client.containers.create(**self._options(spec, volumes or {}))
        try:
            yield container
        finally:
            _gone(lambda: container.remove(force=True, v=True))

    def _options(self, spec: ContainerSpec, volumes: Mapping[str, str]) -> dict[str, Any]:
        from docker.types import DeviceRequest, Mount

        gpus = None
        if spec.gpus:
            count = -1 if spec.gpus == "all" else int(spec.gpus)
            gpus = [DeviceRequest(count=count, capabilities=[["gpu"]])]
        return {
            "image": spec.image,
            "command": list(spec.command) if spec.command is not None else None,
            "entrypoint": list(spec.entrypoint) if spec.entrypoint is not None else None,
            "environment": dict(spec.environment),
            "user": spec.user,
            "working_dir": spec.working_dir,
            "ports": {f"{port}/tcp": ("127.0.0.1", None) for port in spec.ports},
            "volumes": list(spec.volumes),
            "mounts": [Mount(target, volume, type="volume", no_copy=True) for target, volume in volumes.items()],
            "shm_size": spec.shm_bytes,
            "device_requests": gpus,
            "platform": spec.platform,
            "network": spec.network,
            "healthcheck": {"test": ["NONE"]},
            "labels": {LABEL: self._session},
        }

    @contextlib.contextmanager
    def _volumes(self, spec: ContainerSpec) -> Iterator[Mapping[str, str]]:
        """Empty volumes that everybody may write to, as the platform's are: target → volume name."""
        names: dict[str, str] = {}
        try:
            with _translated(spec.image):
                for target in spec.empty_volumes:
                    name = f"chutes-wrappers-{self._session}-{secrets.token_hex(4)}"
                    self._client.volumes.create(name, labels={LABEL: self._session})
                    names[target] = name
                if names:
                    self._open(spec.image, names)
            yield names
        finally:
            for name in names.values():
                _gone(lambda name=name: self._client.volumes.get(name).remove())  # type: ignore[misc]  # mypy infers no lambda default

    def _open(self, image: str, names: Mapping[str, str]) -> None:
        chmod = ContainerSpec(
            image=image, entrypoint=["/bin/chmod"], command=["1777", *names], user="0:0", network="none"
        )
        with self._created(chmod, names) as container:
            container.start()
            outcome = container.wait(timeout=60)
        if outcome["StatusCode"] != 0:
            raise WrapperError("empty volumes cannot be prepared: chmod failed", where=image)

    def _pull(self, reference: str) -> None:
        from docker.errors import APIError

        self._report(f"pulling {reference}")
        try:
            self._pull_layers(*_split(reference))
        except APIError as error:
            raise WrapperError(
                "the image is not on this machine and cannot be pulled",
                where=reference,
                evidence=str(error.explanation or error),
                next_step="correct the name, log in with `docker login`, or build the image here",
            ) from error

    def _pull_layers(self, name: str, tag: str | None) -> None:
        from docker.errors import APIError

        shown: dict[str, str] = {}
        events: Any = self._client.api.pull(name, tag=tag, platform="linux/amd64", stream=True, decode=True)
        for event in events:
            if "error" in event:
                raise APIError(str(event["error"]))
            layer, status = event.get("id", ""), event.get("status", "")
            if status and shown.get(layer) != status:
                shown[layer] = status
                self._report(f"{layer} {status} {event.get('progress', '')}".strip())


class DockerImageFiles:
    """The files of an image, read through a container that never runs."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def read(self, path: str) -> bytes | None:
        """A file's content, symbolic links followed; None when there is no such file (or it is above 64 MiB)."""
        from docker.errors import NotFound

        for _ in range(_LINKS_FOLLOWED):
            try:
                chunks, described = self._container.get_archive(path)
            except NotFound:
                return None
            stat = described or {}
            content = b"".join(chunks) if int(stat.get("size", 0)) <= _LARGEST_FILE_BYTES else b""
            if not stat.get("linkTarget"):
                return _only_member(content)
            path = stat["linkTarget"]
        return None


def _only_member(archive: bytes) -> bytes | None:
    if not archive:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        member = files.next()
        file = files.extractfile(member) if member is not None and member.isfile() else None
        return file.read() if file is not None else None


class DockerContainer:
    """A container that ``DockerEngine.run`` started."""

    def __init__(self, container: Container, spec: ContainerSpec) -> None:
        self._container = container
        self._spec = spec
        self._ports = self._published()

    @property
    def host_ports(self) -> Mapping[int, int]:
        """Container port → loopback port."""
        return self._ports

    def _published(self) -> dict[int, int]:
        bindings = (self._container.attrs or {}).get("NetworkSettings", {}).get("Ports") or {}
        return {int(port.split("/")[0]): int(hosts[0]["HostPort"]) for port, hosts in bindings.items() if hosts}

    def logs(self) -> Iterator[str]:
        """Lines as the container prints them, from its start; ends when it exits."""
        pending = b""
        with _translated(self._spec.image):
            for chunk in self._container.logs(stream=True, follow=True):
                *complete, pending = (pending + chunk).split(b"\n")
                for line in complete:
                    yield _text(line)
        if pending:
            yield _text(pending)

    def exit_code(self) -> int | None:
        """None while it runs."""
        with _translated(self._spec.image):
            self._container.reload()
            state = (self._container.attrs or {})["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def tail(self, lines: int = 50) -> str:
        """The last lines that it printed."""
        with _translated(self._spec.image):
            raw: bytes = self._container.logs(tail=lines)
        return "\n".join(_text(line) for line in raw.splitlines())

    def wait(self, timeout_s: float) -> int:
        """The exit code; raises WrapperError when it still runs after ``timeout_s``."""
        import requests

        try:
            return int(self._container.wait(timeout=timeout_s)["StatusCode"])
        except requests.exceptions.RequestException as error:
            raise WrapperError(f"still runs after {timeout_s:.0f} s", where=self._spec.image) from error

    def execute(self, argv: Sequence[str], *, user: str | None = None) -> ExecResult:
        """Run a command inside."""
        with _translated(self._spec.image):
            exit_code, printed = self._container.exec_run(list(argv), user=user or self._spec.user or "")
        output = _text(printed) if isinstance(printed, bytes) else ""
        return ExecResult(exit_code=-1 if exit_code is None else exit_code, output=output)

    def changed_paths(self) -> Sequence[tuple[str, str]]:
        """(kind, absolute path) of what differs from the image; kind is "added", "changed" or "deleted"."""
        with _translated(self._spec.image):
            return [(_KINDS[int(change["Kind"])], str(change["Path"])) for change in self._container.diff() or ()]

    def stop(self, timeout_s: float = 10) -> None:
        """SIGTERM, then SIGKILL; no error when it is gone."""
        _gone(lambda: self._container.stop(timeout=int(timeout_s)))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace").rstrip("\r")


def _gone(remove: Callable[[], object]) -> None:
    """Remove something; it may be gone already, and a dead engine must not hide the first error."""
    import requests
    from docker.errors import DockerException

    with contextlib.suppress(DockerException, requests.exceptions.RequestException):
        remove()


@contextlib.contextmanager
def _translated(where: str) -> Iterator[None]:
    """Docker's errors → ours."""
    import requests
    from docker.errors import APIError, DockerException, NotFound

    try:
        yield
    except NotFound as error:
        raise WrapperError(
            str(error.explanation), where=where, next_step="build or pull it first, and check its name"
        ) from error
    except APIError as error:
        raise WrapperError(
            f"the Docker engine refused: {error.explanation or error}", where=where, next_step="correct what it names"
        ) from error
    except (DockerException, requests.exceptions.RequestException) as error:
        raise EngineUnavailable(
            "the Docker engine stopped answering",
            where=where,
            evidence=_reason(error),
            next_step="start it and try again",
        ) from error


def _split(reference: str) -> tuple[str, str | None]:
    """Repository and tag (or digest) of a reference; without either, "latest"."""
    if "@" in reference:
        name, digest = reference.split("@", 1)
        return name, digest
    name, separator, tag = reference.rpartition(":")
    return (name, tag) if separator and "/" not in tag else (reference, "latest")
