"""Containers and the files of images, through Docker's API."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.container_engine.docker_errors import run_cleanup, translate_errors
from chutes_wrappers.host.container_engine.engine import ContainerSpec, ExecResult

if TYPE_CHECKING:
    import requests
    from docker.models.containers import Container

_KINDS = ("changed", "added", "deleted")
_LINKS_FOLLOWED = 8
_LARGEST_FILE_BYTES = 64 * 1024**2
_LARGEST_OUTPUT_BYTES = 16 * 1024**2
_LONGEST_LINE_BYTES = 64 * 1024
_STAT_HEADER = "X-Docker-Container-Path-Stat"
# The API uses Go's os.FileMode. These bits are set for everything but regular files.
_GO_TYPE_BITS = 0x8F280000


class DockerImageFiles:
    """ImageFiles, read through a container that is never started."""

    def __init__(self, container: Container, image: str) -> None:
        self._container = container
        self._image = image

    def exists(self, path: str) -> bool:
        return self._resolve(path) is not None

    def read(self, path: str) -> bytes | None:
        stat = self._resolve(path)
        if stat is None or stat["mode"] & _GO_TYPE_BITS or stat["size"] > _LARGEST_FILE_BYTES:
            return None
        with translate_errors(self._image):
            chunks, _ = self._container.get_archive(stat["path"])
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
                member = archive.next()
                file = archive.extractfile(member) if member is not None else None
                return file.read() if file is not None else None

    def _resolve(self, path: str) -> Mapping[str, Any] | None:
        """Return the engine's stat of the file that ``path`` resolves to; None when there is no file."""
        for _ in range(_LINKS_FOLLOWED):
            with (
                translate_errors(self._image),
                _open_response(self._container, "HEAD", "archive", path=path) as response,
            ):
                if response is None:
                    return None
                stat = json.loads(base64.b64decode(response.headers[_STAT_HEADER]))
            if not stat["linkTarget"]:
                return {**stat, "path": path}
            path = stat["linkTarget"]
        return None


@contextlib.contextmanager
def _open_response(
    container: Container, method: str, endpoint: str, **params: str
) -> Iterator[requests.Response | None]:
    """Send a request that docker-py cannot send, and yield the response; None for a 404."""
    with _request(container, method, f"containers/{container.id}/{endpoint}", params=params) as response:
        yield None if response.status_code == 404 else response


@contextlib.contextmanager
def _request(
    container: Container, method: str, path: str, *, timeout_s: float | None = None, **options: Any
) -> Iterator[requests.Response]:
    """Send a request and yield the response, a 404 included. ``timeout_s`` limits the wait for each of its pieces.

    docker-py has no HEAD, and keeps the connection of a stream that is not read to its end.
    """
    import requests
    from docker.errors import create_api_error_from_http_exception

    api: Any = container.client.api  # type: ignore[union-attr]  # set on every container that a client made
    url = f"{api.base_url}/v{api.api_version}/{path}"
    with api.request(method, url, stream=True, timeout=(api.timeout, timeout_s), **options) as response:
        if response.status_code == 404:
            yield response
            return
        try:
            response.raise_for_status()
        except requests.exceptions.HTTPError as error:
            create_api_error_from_http_exception(error)
        yield response


class DockerContainer:
    """The RunningContainer that ``DockerEngine.run`` started."""

    def __init__(self, container: Container, spec: ContainerSpec) -> None:
        self._container = container
        self._spec = spec
        self._ports = _parse_published_ports(container.attrs or {})

    @property
    def host_ports(self) -> Mapping[int, int]:
        return self._ports

    def stream_logs(self, *, has_stderr: bool = True) -> Iterator[str]:
        streams = {"follow": "1", "stdout": "1", "stderr": str(int(has_stderr))}
        with (
            translate_errors(self._spec.image),
            _open_response(self._container, "GET", "logs", **streams) as response,
        ):
            if response is not None:
                yield from split_lines(_read_payloads(response.raw))

    def read_exit_code(self) -> int | None:
        with translate_errors(self._spec.image):
            self._container.reload()
            state = (self._container.attrs or {})["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def read_tail(self, lines: int = 50) -> str:
        with translate_errors(self._spec.image):
            raw: bytes = self._container.logs(tail=lines)
        return "\n".join(split_lines([raw]))

    def wait(self, timeout_s: float) -> int:
        import requests

        with translate_errors(self._spec.image):
            try:
                return int(self._container.wait(timeout=timeout_s)["StatusCode"])
            except requests.exceptions.RequestException as error:
                code = self.read_exit_code()  # raises EngineUnavailable when the engine is gone
                if code is None:
                    raise WrapperError(f"still running after {timeout_s:g} s", where=self._spec.image) from error
                return code

    def execute(self, argv: Sequence[str], *, user: str | None = None, timeout_s: float | None = None) -> ExecResult:
        with translate_errors(self._spec.image):
            api: Any = self._container.client.api  # type: ignore[union-attr]  # as in _request
            created = api.exec_create(self._container.id, list(argv), user=user or self._spec.user or "")
            output = self._read_output(created["Id"], argv[0], timeout_s)
            exit_code = api.exec_inspect(created["Id"])["ExitCode"]
        return ExecResult(exit_code=-1 if exit_code is None else exit_code, output=output.decode(errors="replace"))

    def _read_output(self, exec_id: str, name: str, timeout_s: float | None) -> bytes:
        """Start a command and return what it prints. The image's own program may print, or run, without an end."""
        import requests
        import urllib3

        output, deadline = bytearray(), time.monotonic() + (timeout_s or float("inf"))
        late = WrapperError(f"{name} in the container still runs after {timeout_s or 0:g} s", where=self._spec.image)
        start, options = f"exec/{exec_id}/start", {"Detach": False, "Tty": False}
        try:
            with _request(self._container, "POST", start, timeout_s=timeout_s, json=options) as response:
                for payload in _read_payloads(response.raw):
                    output += payload
                    if len(output) > _LARGEST_OUTPUT_BYTES:
                        limit = f"{_LARGEST_OUTPUT_BYTES // 1024**2} MiB"
                        raise WrapperError(f"{name} in the container printed more than {limit}", where=self._spec.image)
                    if time.monotonic() > deadline:
                        raise late
        except (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError) as error:
            raise late from error
        return bytes(output)

    def list_changed_paths(self) -> Sequence[tuple[str, str]]:
        with translate_errors(self._spec.image):
            return [(_KINDS[int(change["Kind"])], str(change["Path"])) for change in self._container.diff() or ()]

    def measure_written_bytes(self) -> int:
        """Return the size of all files that differ from the image's, without those in volumes."""
        with (
            translate_errors(self._spec.image),
            _open_response(self._container, "GET", "json", size="1") as response,
        ):
            return 0 if response is None else int(response.json().get("SizeRw") or 0)

    def join_network(self, network: str) -> str:
        """Connect the container to one more network, and return its IP address there."""
        with translate_errors(self._spec.image):
            self._container.client.networks.get(network).connect(self._container)  # type: ignore[union-attr]
            return str(self._fetch_networks()[network]["IPAddress"])

    def leave_other_networks(self, network: str) -> None:
        """Disconnect the container from every network but ``network``, and so from the hosts that those reach."""
        with translate_errors(self._spec.image):
            for other in self._fetch_networks().keys() - {network}:
                self._container.client.networks.get(other).disconnect(self._container)  # type: ignore[union-attr]

    def _fetch_networks(self) -> Mapping[str, Any]:
        self._container.reload()
        networks: Mapping[str, Any] = (self._container.attrs or {})["NetworkSettings"]["Networks"]
        return networks

    def stop(self, timeout_s: float = 10) -> None:
        run_cleanup(self._container.stop, timeout=int(timeout_s))


def build_archive(files: Mapping[str, bytes]) -> bytes:
    """Return a tar archive of files by their absolute paths, which root owns and every user may read."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as writer:
        for path, content in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(content), 0o644
            writer.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def _parse_published_ports(attributes: Mapping[str, Any]) -> dict[int, int]:
    bindings = attributes.get("NetworkSettings", {}).get("Ports") or {}
    return {int(port.split("/")[0]): int(hosts[0]["HostPort"]) for port, hosts in bindings.items() if hosts}


def _read_payloads(stream: Any) -> Iterator[bytes]:
    """Yield the output without the engine's frames. A frame has eight bytes of header; the last four are the length."""
    while len(header := stream.read(8)) == 8:
        yield stream.read(int.from_bytes(header[4:], "big"))


def split_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the text lines of a byte stream. A line without an end is split every 64 KiB."""
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        *complete, rest = pending.split(b"\n") if b"\n" in chunk else (pending,)
        for line in complete:
            yield _decode_line(line)
        pending = rest
        while len(pending) > _LONGEST_LINE_BYTES:
            yield _decode_line(pending[:_LONGEST_LINE_BYTES])
            del pending[:_LONGEST_LINE_BYTES]
    if pending:
        yield _decode_line(pending)


def _decode_line(raw: bytes | bytearray) -> str:
    return raw.decode("utf-8", errors="replace").rstrip("\r")
