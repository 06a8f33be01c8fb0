"""Requests to Docker's API, against a small server that responds as an engine does."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from docker.errors import APIError, ImageNotFound, InvalidVersion, NotFound
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.errors import ConfigurationError, EngineUnavailable, WrapperError
from chutes_wrappers.host.container_engine import docker_engine
from chutes_wrappers.host.container_engine.docker_container import split_lines
from chutes_wrappers.host.container_engine.docker_engine import HOST_LABEL, LABEL, OWNER_LABEL, DockerEngine, connect
from chutes_wrappers.host.container_engine.docker_errors import build_unavailable_error, translate_errors
from chutes_wrappers.host.container_engine.engine import ContainerSpec, KeptVolume

VERSION = {"ApiVersion": "1.41", "Version": "20.10.24", "MinAPIVersion": "1.12"}
NO_SUCH_IMAGE = (404, {"message": "No such image: team/service:v1"})


class Api(ThreadingHTTPServer):
    """Returns ``answers["METHOD /path"]``: a status and JSON, lines, or None to close the connection. The default is 200 {}."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Any] = {"GET /containers/json": [], "GET /volumes": {"Volumes": []}}
        self.asked: list[tuple[str, dict[str, list[str]], Any]] = []

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.server_address[1]}"

    def calls(self, method: str) -> list[str]:
        return [what for what, _, _ in self.asked if what.startswith(method)]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that disconnects."""


class _Handler(BaseHTTPRequestHandler):
    server: Api
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        target = urlsplit(self.path)
        path = target.path.removeprefix("/v1.41")
        what = f"{self.command} {path}"
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((what, parse_qs(target.query), json.loads(body) if body else None))
        found = self.server.answers.get(what, VERSION if path == "/version" else {})
        if found is None:
            self.close_connection = True
            return
        status, value = found if isinstance(found, tuple) else (200, found)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if isinstance(value, list) and path == "/images/create":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in value:
                content = json.dumps(line).encode() + b"\r\n"
                self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
            return
        content = json.dumps(value).encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_HEAD = _answer

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Api]:
    for name in ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with Api() as server:
        monkeypatch.setenv("DOCKER_HOST", server.url)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def engine(api: Api, reports: list[str]) -> Iterator[DockerEngine]:
    found = connect(reports.append)
    api.asked.clear()
    yield found
    found.close()


@pytest.fixture
def reports() -> list[str]:
    return []


def make_context(config: Path, name: str, host: str) -> None:
    folder = config / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    endpoint = {"docker": {"Host": host, "SkipTLSVerify": True}}
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoint}))


def test_the_engine_of_the_current_context_is_used(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    make_context(tmp_path, "faraway", api.url)
    (tmp_path / "config.json").write_text('{"currentContext": "faraway"}')
    connect().close()
    assert "GET /_ping" in api.calls("GET")


def test_the_context_that_the_environment_names_beats_the_current_one(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONTEXT", "faraway")
    make_context(tmp_path, "faraway", api.url)
    (tmp_path / "config.json").write_text('{"currentContext": "elsewhere"}')
    connect().close()
    assert "GET /_ping" in api.calls("GET")


def test_docker_host_beats_any_context(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "faraway")
    make_context(tmp_path, "faraway", "tcp://127.0.0.1:1")
    (tmp_path / "config.json").write_text("{}")
    connect().close()
    assert "GET /_ping" in api.calls("GET")


def test_an_unknown_context_is_named(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONTEXT", "faraway")
    with pytest.raises(EngineUnavailable) as caught:
        connect()
    assert "faraway" in str(caught.value.evidence)
    assert "docker context use" in str(caught.value.next_step)


def test_without_a_socket_the_next_step_is_to_install_or_start_docker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(EngineUnavailable) as caught:
        connect()
    assert "install Docker" in str(caught.value.next_step)
    assert f"{tmp_path}/docker.sock" in str(caught.value.evidence)


def test_a_socket_without_a_server_suggests_starting_the_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "docker.sock"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(EngineUnavailable) as caught:
        connect()
    assert str(caught.value.next_step).startswith("start the engine")


def test_a_server_that_is_not_docker_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"SSH-2.0-OpenSSH\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_address[1]}")
        with pytest.raises(EngineUnavailable):
            connect()
        server.shutdown()
        thread.join()


def test_a_user_without_permission_is_told_about_the_group() -> None:
    assert "group docker" in str(build_unavailable_error(PermissionError(13, "Permission denied")).next_step)


@pytest.mark.parametrize("address", ["nonsense://x", "tcp://"])
def test_an_invalid_address_raises_engine_unavailable(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(EngineUnavailable):
        connect()


def test_an_existing_image_is_not_pulled(api: Api, engine: DockerEngine) -> None:
    api.answers["GET /images/team/service:v1/json"] = {"Id": "sha256:1d"}
    assert engine.inspect_image("team/service:v1") == {"Id": "sha256:1d"}
    assert api.calls("POST") == []


def test_a_pull_shows_each_step_once_and_asks_for_the_instances_platform(
    api: Api, engine: DockerEngine, reports: list[str]
) -> None:
    api.answers["GET /images/team/service:v1/json"] = NO_SUCH_IMAGE
    api.answers["POST /images/create"] = [
        {"status": "Pulling from team/service", "id": "v1"},
        {"status": "Downloading", "id": "aa", "progress": "[=>] 1MB/9MB"},
        {"status": "Downloading", "id": "aa", "progress": "[==>] 2MB/9MB"},
        {"status": "Pull complete", "id": "aa"},
        {"status": "Status: Downloaded newer image"},
    ]
    with pytest.raises(WrapperError, match="no such image"):
        engine.inspect_image("team/service:v1")
    assert reports == [
        "pulling team/service:v1",
        "v1 Pulling from team/service",
        "aa Downloading [=>] 1MB/9MB",
        "aa Pull complete",
        "Status: Downloaded newer image",
    ]
    _, query, _ = next(call for call in api.asked if call[0] == "POST /images/create")
    assert query == {"fromImage": ["team/service"], "tag": ["v1"], "platform": ["linux/amd64"]}


@pytest.mark.parametrize(
    "response", [[{"status": "Pulling"}, {"error": "unauthorized: log in"}], (500, {"message": "unauthorized: log in"})]
)
def test_a_failed_pull_names_the_image_the_reason_and_the_next_step(
    api: Api, engine: DockerEngine, response: Any
) -> None:
    api.answers["GET /images/team/service:v1/json"] = NO_SUCH_IMAGE
    api.answers["POST /images/create"] = response
    with pytest.raises(WrapperError, match="cannot be pulled") as caught:
        engine.inspect_image("team/service:v1")
    assert caught.value.where == "team/service:v1"
    assert "unauthorized" in str(caught.value.evidence)
    assert "docker login" in str(caught.value.next_step)


def test_container_options_are_in_the_request_body(api: Api, engine: DockerEngine) -> None:
    api.answers["POST /containers/create"] = (500, {"message": "stop here"})
    spec = ContainerSpec(
        image="team/service:v1",
        entrypoint=["/start.sh"],
        command=["serve"],
        environment={"TOKEN": "canary"},
        user="1000:1000",
        working_dir="/app",
        ports=[9090],
        volumes=["models:/models:ro", "./here:/there"],
        shm_bytes=1024,
        gpus="device=1,2",
        network="none",
        capabilities=["IPC_LOCK"],
        seccomp_profile='{"defaultAction": "SCMP_ACT_ALLOW"}',
    )
    with pytest.raises(WrapperError, match="stop here"), engine.run(spec):
        pytest.fail("started")
    created, query, body = next(call for call in api.asked if call[0] == "POST /containers/create")
    assert query["platform"] == ["linux/amd64"]
    assert "canary" not in created + json.dumps(query)
    assert body["Env"] == ["TOKEN=canary"]
    assert (body["Entrypoint"], body["Cmd"]) == (["/start.sh"], ["serve"])
    assert (body["User"], body["WorkingDir"]) == ("1000:1000", "/app")
    assert body["Healthcheck"]["Test"] == ["NONE"]
    assert body["Labels"].keys() == {LABEL, HOST_LABEL}
    assert body["Labels"][LABEL].startswith(f"{os.getpid()}-")
    host = body["HostConfig"]
    assert host["PortBindings"] == {"9090/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    assert host["Binds"] == ["models:/models:ro", f"{Path.cwd()}/here:/there"]
    assert (host["ShmSize"], host["NetworkMode"]) == (1024, "none")
    assert host["DeviceRequests"][0]["DeviceIDs"] == ["1", "2"]
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], ["IPC_LOCK"])
    assert host["SecurityOpt"] == ['seccomp={"defaultAction": "SCMP_ACT_ALLOW"}', "no-new-privileges"]


def test_without_capabilities_the_engines_default_stays(api: Api, engine: DockerEngine) -> None:
    api.answers["POST /containers/create"] = (500, {"message": "stop here"})
    with pytest.raises(WrapperError, match="stop here"), engine.run(ContainerSpec(image="x")):
        pytest.fail("started")
    host = next(body for what, _, body in api.asked if what == "POST /containers/create")["HostConfig"]
    assert not host.get("CapDrop")
    assert not host.get("SecurityOpt")


def test_a_kept_volume_outlives_its_containers_and_belongs_to_the_process_or_to_a_path(
    api: Api, engine: DockerEngine, tmp_path: Path
) -> None:
    api.answers["POST /containers/create"] = NO_SUCH_IMAGE
    own = KeptVolume(name="own", target="/cache", uid=1000)
    kept = KeptVolume(name="kept", target="/more", uid=1000, owner=str(tmp_path))
    with pytest.raises(WrapperError), engine.run(ContainerSpec(image="x", kept_volumes=[own, kept])):
        pytest.fail("started")
    assert api.calls("DELETE /volumes") == []
    engine.remove_volume("own")
    assert api.calls("DELETE /volumes") == ["DELETE /volumes/own"]
    labels = [body["Labels"] for what, _, body in api.asked if what == "POST /volumes/create"]
    assert [label.get(OWNER_LABEL) for label in labels] == [None, str(tmp_path)]
    assert [LABEL in label for label in labels] == [True, False]


def test_a_failed_container_creation_leaves_no_volume(api: Api, engine: DockerEngine) -> None:
    api.answers["POST /containers/create"] = NO_SUCH_IMAGE
    with (
        pytest.raises(WrapperError, match="no such image"),
        engine.run(ContainerSpec(image="x", empty_volumes=["/tmp", "/cache"])),
    ):
        pytest.fail("started")
    assert len(api.calls("POST /volumes/create")) == 2
    assert len(api.calls("DELETE /volumes/")) == 2
    assert len(api.calls("DELETE /containers/")) == 1


@pytest.mark.parametrize(
    ("gpus", "count"),
    [("all", -1), ("2", 2)],
)
def test_gpus_are_all_or_a_number(gpus: str, count: int) -> None:
    (request,) = docker_engine._build_device_requests(gpus) or []
    assert (request["Count"], request["Capabilities"]) == (count, [["gpu"]])


@pytest.mark.parametrize("gpus", ["some", "-1", "1.5", '"all"'])
def test_invalid_gpus_are_rejected(gpus: str) -> None:
    with pytest.raises(ConfigurationError, match="device=ID"):
        docker_engine._build_device_requests(gpus)


def test_without_gpus_there_is_no_device_request() -> None:
    assert docker_engine._build_device_requests(None) is None
    assert docker_engine._build_device_requests("") is None


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ("models:/models", "models:/models"),
        ("/srv:/data:ro", "/srv:/data:ro"),
        ("/data", "/data"),
        (".hidden:/x", ".hidden:/x"),
        (".:/x", f"{Path.cwd()}:/x"),
        ("../a:/x:ro", f"{Path.cwd().parent}/a:/x:ro"),
        ("~/a:/x", f"{Path.home()}/a:/x"),
    ],
)
def test_folders_of_volumes_are_relative_to_where_the_command_runs(volume: str, expected: str) -> None:
    assert docker_engine._resolve_volume(volume) == expected


def container(identifier: str, session: str) -> dict[str, Any]:
    labels = {LABEL: session, HOST_LABEL: docker_engine._find_host_id()}
    return {"Id": identifier, "Name": f"/{identifier}", "Labels": labels, "Config": {"Labels": labels}}


def test_resources_of_a_killed_process_are_removed_by_the_next_and_volumes_of_paths_that_are_gone(
    api: Api, reports: list[str], tmp_path: Path
) -> None:
    dead, alive = container("dead", "999999999-ab"), container("alive", f"{os.getppid()}-cd")
    api.answers["GET /containers/json"] = [dead, alive]
    api.answers |= {"GET /containers/dead/json": dead, "GET /containers/alive/json": alive}
    api.answers["GET /volumes"] = {
        "Volumes": [
            {"Name": "old", "Labels": {LABEL: "999999999-ab"}},
            {"Name": "used", "Labels": {LABEL: f"{os.getppid()}-cd"}},
            {"Name": "odd", "Labels": None},
            {"Name": "cache", "Labels": {OWNER_LABEL: str(tmp_path)}},
            {"Name": "cache-of-nothing", "Labels": {OWNER_LABEL: str(tmp_path / "removed")}},
        ]
    }
    api.answers["GET /networks"] = [
        {"Id": "cut", "Name": "cut", "Labels": {LABEL: "999999999-ab"}},
        {"Id": "kept", "Name": "kept", "Labels": {LABEL: f"{os.getppid()}-cd"}},
    ]
    connect(reports.append).close()
    assert api.calls("DELETE") == [
        *("DELETE /containers/dead", "DELETE /networks/cut", "DELETE /volumes/old", "DELETE /volumes/cache-of-nothing")
    ]
    assert reports == ["removing dead, which a killed process left behind"]
    filters = [json.loads(query["filters"][0]) for _, query, _ in api.asked if "filters" in query]
    assert filters == [{"label": [f"{HOST_LABEL}={docker_engine._find_host_id()}"]}] * 3


def test_an_internal_network_has_no_address_of_this_machine(api: Api) -> None:
    api.answers["POST /networks/create"] = {"Id": "n-1"}
    engine = connect(has_cleanup=False)
    try:
        with engine.internal_network():
            pass
    finally:
        engine.close()
    (body,) = (body for what, _, body in api.asked if what == "POST /networks/create")
    assert (body["Internal"], body["Options"]) == (True, {"com.docker.network.bridge.inhibit_ipv4": "true"})


def test_the_volume_of_another_users_hidden_path_stays(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answers["GET /volumes"] = {"Volumes": [{"Name": "cache", "Labels": {OWNER_LABEL: str(tmp_path / "hidden")}}]}
    stat = os.stat

    def refuse(path: Any, **options: Any) -> os.stat_result:
        if str(path).endswith("hidden"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    connect().close()
    assert api.calls("DELETE") == []


def test_without_cleanup_nothing_is_removed(api: Api) -> None:
    left = container("dead", "999999999-ab")
    api.answers |= {"GET /containers/json": [left], "GET /containers/dead/json": left}
    connect(has_cleanup=False).close()
    assert api.calls("DELETE") == []


@pytest.mark.parametrize("content", ["[]", "5", '{"proxies": ["a"]}'])
def test_a_docker_config_of_another_shape_is_named(api: Api, tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(EngineUnavailable) as caught:
        connect()
    assert "config.json" in str(caught.value)


def test_an_engine_at_a_tcp_address_is_not_local(engine: DockerEngine) -> None:
    assert not engine.is_local


def test_a_lost_connection_is_reported_as_engine_unavailable(api: Api, engine: DockerEngine) -> None:
    api.answers["GET /images/team/service:v1/json"] = None
    with pytest.raises(EngineUnavailable, match="stopped responding") as caught:
        engine.inspect_image("team/service:v1")
    assert caught.value.where == "team/service:v1"


def response(status: int) -> requests.Response:
    answer = requests.Response()
    answer.status_code = status
    return answer


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImageNotFound("x", response(404), "No such image: x"), "no such image"),
        (NotFound("x", response(404), "No such container: x"), "not found by the Docker engine: No such container"),
        (APIError("x", response(409), "Container is not running"), "rejected the request: Container is not running"),
        (APIError("no explanation"), "rejected the request: no explanation"),
        (InvalidVersion("too old"), "too old"),
    ],
)
def test_the_engines_errors_name_the_image_and_the_reason(error: Exception, words: str) -> None:
    with pytest.raises(WrapperError, match=words) as caught, translate_errors("team/service:v1"):
        raise error
    assert caught.value.where == "team/service:v1"
    assert caught.value.next_step
    assert not isinstance(caught.value, EngineUnavailable)


@given(st.lists(st.binary(max_size=20)))
def test_lines_do_not_depend_on_chunk_boundaries(chunks: list[bytes]) -> None:
    assert list(split_lines(chunks)) == list(split_lines([b"".join(chunks)]))


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), min_size=1)), st.integers(1, 7))
def test_every_line_comes_out_as_it_was_printed(lines: list[str], size: int) -> None:
    raw = "".join(f"{line}\r\n" for line in lines).encode()
    assert list(split_lines(raw[start : start + size] for start in range(0, len(raw), size))) == lines


def test_invalid_utf_8_affects_nothing_else() -> None:
    assert list(split_lines([b"a\xff\n", b"\n", b"last"])) == ["a�", "", "last"]


def test_a_line_without_an_end_is_split() -> None:
    pieces = list(split_lines([b"x" * 50_000] * 4))
    assert "".join(pieces) == "x" * 200_000
    assert max(map(len, pieces)) == 65_536


STEP = "0123456789ab"


@pytest.mark.parametrize(("image", "removed"), [("sha256:" + "0" * 64, True), ("team/service:v1", False)])
def test_only_a_container_that_a_build_made_is_removed_as_its_step(
    api: Api, engine: DockerEngine, image: str, removed: bool
) -> None:
    api.answers[f"GET /containers/{STEP}/json"] = {"Id": STEP * 5, "Config": {"Image": image}}
    engine.remove_build_step(STEP)
    assert bool(api.calls("DELETE")) is removed


def test_a_removed_build_step_is_not_an_error(api: Api, engine: DockerEngine) -> None:
    api.answers[f"GET /containers/{STEP}/json"] = (404, {"message": "No such container"})
    engine.remove_build_step(STEP)
    assert api.calls("DELETE") == []


def test_kernel_settings_reach_the_container(api: Api, engine: DockerEngine) -> None:
    api.answers["POST /containers/create"] = (500, {"message": "enough seen"})
    spec = ContainerSpec(image="team/service:v1", sysctls={"net.ipv4.ip_unprivileged_port_start": "1024"})
    with pytest.raises(WrapperError, match="enough seen"), engine.run(spec):
        pytest.fail("it runs")
    (body,) = [body for what, _, body in api.asked if what == "POST /containers/create"]
    assert body["HostConfig"]["Sysctls"] == {"net.ipv4.ip_unprivileged_port_start": "1024"}
