"""Tests against a small fake registry; tests/docker/test_create.py uses a real one."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256, sha512
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

import pytest

from chutes_wrappers.core.errors import UnsupportedImage
from chutes_wrappers.host.creation import registry as registry_module
from chutes_wrappers.host.creation.image_config import ImageFacts, MalformedDescription
from chutes_wrappers.host.creation.reference import parse_reference
from chutes_wrappers.host.creation.registry import RegistryUnavailable

PASSWORD = "hunter2-canary"
INDEX = {
    "manifests": [
        {"digest": "test:arm", "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": "test:amd", "platform": {"os": "linux", "architecture": "amd64"}},
    ]
}
MANIFEST = {"config": {"digest": "test:config"}, "layers": [{"size": 40}, {"size": 2}]}
CONFIG: dict[str, Any] = {
    "os": "linux",
    "architecture": "amd64",
    "config": {"ExposedPorts": {"9000/tcp": {}}, "Cmd": ["serve"]},
}
INDEX_DIGEST = f"sha256:{sha256(json.dumps(INDEX).encode()).hexdigest()}"
TOO_LONG = b" " * (4 * 1024**2 + 1)
VARIANTS = {
    "manifests": [
        {"digest": "test:attestation", "platform": {"os": "unknown", "architecture": "unknown"}},
        {"digest": "test:v3", "platform": {"os": "linux", "architecture": "amd64", "variant": "v3"}},
        {"digest": "test:amd", "platform": {"os": "linux", "architecture": "amd64"}},
    ]
}


def build_config(**config: Any) -> dict[str, Any]:
    return {**CONFIG, "config": {**CONFIG["config"], **config}}


CONTENT: dict[str, Any] = {
    "/v2/vendor/ocr/manifests/1": INDEX,
    f"/v2/vendor/ocr/manifests/{INDEX_DIGEST}": INDEX,
    "/v2/vendor/ocr/manifests/sha256:" + "ab" * 32: INDEX,
    "/v2/vendor/ocr/manifests/test:amd": MANIFEST,
    "/v2/vendor/ocr/blobs/test:config": CONFIG,
    "/v2/vendor/variants/manifests/1": VARIANTS,
    "/v2/vendor/variants/manifests/test:amd": MANIFEST,
    "/v2/vendor/variants/blobs/test:config": CONFIG,
    "/v2/vendor/bare/manifests/1": {"manifests": [{"digest": "test:amd"}]},
    "/v2/vendor/bare/manifests/test:amd": MANIFEST,
    "/v2/vendor/bare/blobs/test:config": {**CONFIG, "architecture": "arm64"},
    "/v2/vendor/arm/manifests/1": {"manifests": [INDEX["manifests"][0], VARIANTS["manifests"][0]]},
    "/v2/vendor/odd/manifests/1": {"schemaVersion": 1},
    "/v2/vendor/text/manifests/1": "no object",
    "/v2/vendor/path/manifests/1": {"config": {"digest": "../../elsewhere"}, "layers": []},
    "/v2/vendor/deep/manifests/1": b"[" * 200_000,
    "/v2/vendor/long/manifests/1": TOO_LONG,
}
MALFORMED: dict[str, Any] = {
    "cmd": build_config(Cmd="serve"),
    "env": build_config(Env={"A": "1"}),
    "labels": build_config(Labels=["a"]),
    "ports": build_config(ExposedPorts=["9000/tcp"]),
    "check": build_config(Healthcheck={"Test": "curl"}),
    "config": {**CONFIG, "config": "serve"},
    "os": {**CONFIG, "os": "linux\x1b[2J"},
}


class Registry(ThreadingHTTPServer):
    """A fake registry. ``kind`` is its authentication: "" (none), "basic", "bearer" or "both"; ``authorizations`` are the received headers."""

    def __init__(self, kind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kind = kind
        self.authorizations: list[str] = []
        self.token: Any = {"token": "t0ken"}
        self.redirect_host = ""
        self.redirect_body: Any = {}
        self.delay_s = 0.0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        kind, basic = self.server.kind, "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        authorization = self.headers.get("Authorization", "")
        self.server.authorizations.append(authorization)
        if path == "/token":
            allowed = authorization == basic and "scope=repository%3Avendor%2Focr%3Apull" in query
            return self.respond(200 if allowed else 401, self.server.token if allowed else {})
        if kind and authorization != (basic if kind == "basic" else "Bearer t0ken"):
            bearer = f'Bearer realm="http://{self.headers["Host"]}/token",service="s"'
            challenges = {"basic": 'Basic realm="r"', "both": f'Basic realm="r", {bearer}'}
            return self.respond(401, {}, {"WWW-Authenticate": challenges.get(kind, bearer)})
        if self.server.redirect_host and "/blobs/" in path:
            return self.respond(
                307, self.server.redirect_body, {"Location": f"http://{self.server.redirect_host}{path}"}
            )
        return self.respond(200, CONTENT[path]) if path in CONTENT else self.respond(404, {})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        allowed = (form["grant_type"], form["refresh_token"]) == (["refresh_token"], [PASSWORD])
        self.respond(200 if allowed else 401, {"access_token": "t0ken"} if allowed else {})

    def respond(self, status: int, value: Any, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        with contextlib.suppress(OSError):  # a client may close the connection early
            if self.server.delay_s:
                for byte in body:
                    time.sleep(self.server.delay_s)
                    self.wfile.write(bytes([byte]))
            else:
                self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def serving(kind: str = "") -> Iterator[Registry]:
    with Registry(kind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def registry(kind: str = "") -> Iterator[str]:
    """Serve a registry; yields its host:port."""
    with serving(kind) as server:
        yield server.host


def fetch_facts(reference: str) -> ImageFacts:
    return registry_module.fetch_image_facts(parse_reference(reference))


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def log_in(folder: Path, host: str, password: str = PASSWORD) -> None:
    auth = base64.b64encode(f"me:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def test_image_facts_are_read_without_a_pull() -> None:
    with registry() as host:
        facts = fetch_facts(f"{host}/vendor/ocr:1")
    assert facts.size_bytes == 42
    assert facts.cmd == ("serve",)


@pytest.mark.parametrize("kind", ["basic", "bearer", "both"])
def test_saved_docker_logins_are_used(kind: str, docker_config: Path) -> None:
    with registry(kind) as host:
        log_in(docker_config, host)
        assert fetch_facts(f"{host}/vendor/ocr:1").size_bytes == 42


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_a_wrong_password_is_rejected_and_not_shown(kind: str, docker_config: Path) -> None:
    with registry(kind) as host:
        log_in(docker_config, host, PASSWORD + "x")
        with pytest.raises(RegistryUnavailable, match="docker login") as caught:
            fetch_facts(f"{host}/vendor/ocr:1")
    assert PASSWORD not in str(caught.value)


def test_a_credential_helper_is_used(docker_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = docker_config / "docker-credential-canary"
    helper.write_text(f'#!/bin/sh\ncat >/dev/null\necho \'{{"Username": "me", "Secret": "{PASSWORD}"}}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker_config}:/usr/bin:/bin")
    with registry("basic") as host:
        (docker_config / "config.json").write_text(json.dumps({"credHelpers": {host: "canary"}}))
        assert fetch_facts(f"{host}/vendor/ocr:1").size_bytes == 42


def test_an_identity_token_is_exchanged(docker_config: Path) -> None:
    with registry("bearer") as host:
        config = {"auths": {host: {"identitytoken": PASSWORD}}}
        (docker_config / "config.json").write_text(json.dumps(config))
        assert fetch_facts(f"{host}/vendor/ocr:1").size_bytes == 42


@pytest.mark.parametrize(
    ("script", "evidence"),
    [("", "is not on PATH"), ("exit 1", "fails"), (f"echo {PASSWORD}", "fails"), ("echo '{}'", "fails")],
)
def test_a_failing_credential_helper_is_named(
    script: str, evidence: str, docker_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script:
        helper = docker_config / "docker-credential-canary"
        helper.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
        helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker_config}:/usr/bin:/bin")
    with registry("bearer") as host:
        (docker_config / "config.json").write_text(json.dumps({"credHelpers": {host: "canary"}}))
        with pytest.raises(RegistryUnavailable, match="docker-credential-canary") as caught:
            fetch_facts(f"{host}/vendor/ocr:1")
    assert evidence in str(caught.value.evidence)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["[]", '{"auths": ["a"]}', '{"auths": {"a": {"auth": 5}}}', '{"credHelpers": ["a"]}', "5"]
)
def test_an_invalid_docker_config_is_named_where_a_login_is_required(content: str, docker_config: Path) -> None:
    (docker_config / "config.json").write_text(content)
    with registry("basic") as host, pytest.raises(RegistryUnavailable, match=r"config\.json"):
        fetch_facts(f"{host}/vendor/ocr:1")


@pytest.mark.parametrize("token", [[], {"token": 5}, {"token": "two\nlines"}, b"{"])
def test_an_invalid_token_is_not_used(token: Any, docker_config: Path) -> None:
    with serving("bearer") as server:
        server.token = token
        log_in(docker_config, server.host)
        with pytest.raises(RegistryUnavailable, match="returned status 401"):
            fetch_facts(f"{server.host}/vendor/ocr:1")


@pytest.mark.parametrize("kind", ["", "bearer"])
def test_passwords_of_netrc_are_never_sent(kind: str, docker_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = docker_config / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving() as other, serving(kind) as server:
        server.redirect_host = other.host
        log_in(docker_config, server.host)
        assert fetch_facts(f"{server.host}/vendor/ocr:1").size_bytes == 42
    assert {authorization.partition(" ")[0] for authorization in server.authorizations} <= {"", "Basic", "Bearer"}
    assert base64.b64encode(b"someone:canary").decode() not in " ".join(server.authorizations)
    assert other.authorizations == [""], "the token of one host was sent to another"


def test_a_redirect_loop_is_reported() -> None:
    with serving() as server:
        server.redirect_host = server.host
        with pytest.raises(RegistryUnavailable, match="redirects"):
            fetch_facts(f"{server.host}/vendor/ocr:1")


def test_an_invalid_redirect_url_is_reported() -> None:
    with serving() as server:
        server.redirect_host = "[bad"
        with pytest.raises(RegistryUnavailable, match="redirects to an invalid URL"):
            fetch_facts(f"{server.host}/vendor/ocr:1")


def test_a_redirect_that_is_too_long_is_not_read() -> None:
    with serving() as server:
        server.redirect_host, server.redirect_body = server.host, TOO_LONG
        with pytest.raises(RegistryUnavailable, match="longer than 4 MiB"):
            fetch_facts(f"{server.host}/vendor/ocr:1")


def test_control_characters_of_a_registry_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = {"os": "linux", "architecture": "\x1b[2J"}
    monkeypatch.setitem(CONTENT, "/v2/vendor/arm/manifests/1", {"manifests": [{"platform": platform}]})
    with registry() as host, pytest.raises(UnsupportedImage) as caught:
        fetch_facts(f"{host}/vendor/arm:1")
    assert "\x1b" not in str(caught.value)


def test_a_slow_response_runs_into_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "_TOTAL_TIMEOUT_S", 0.3)
    with serving() as server:
        server.delay_s = 0.02
        with pytest.raises(RegistryUnavailable, match="did not complete its responses within"):
            fetch_facts(f"{server.host}/vendor/ocr:1")


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"x: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n{}", b" "),
    ],
    ids=["interim-responses", "header", "chunk-size", "trailers", "body"],
)
def test_a_response_without_an_end_runs_into_the_timeout(
    start: bytes, rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "_TOTAL_TIMEOUT_S", 0.5)

    def respond() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):  # until the client closes the connection
            connection.sendall(start)
            while True:
                connection.sendall(rest)
                time.sleep(0.01)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=respond)
        thread.start()
        with pytest.raises(RegistryUnavailable, match="did not complete its responses within"):
            fetch_facts(f"127.0.0.1:{listener.getsockname()[1]}/vendor/ocr:1")
        thread.join(60)


def test_a_digest_takes_precedence_over_the_tag() -> None:
    with registry() as host:
        assert fetch_facts(f"{host}/vendor/ocr:none@{INDEX_DIGEST}").size_bytes == 42


def test_content_without_the_requested_digest_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    with registry() as host:
        with pytest.raises(RegistryUnavailable, match=f"its response does not have the digest sha256:{'ab' * 32}"):
            fetch_facts(f"{host}/vendor/ocr@sha256:{'ab' * 32}")
        for algorithm in (sha256, sha512):
            digest = f"{algorithm().name}:{algorithm(b'another image').hexdigest()}"
            monkeypatch.setitem(
                CONTENT, "/v2/vendor/ocr/manifests/test:amd", {**MANIFEST, "config": {"digest": digest}}
            )
            monkeypatch.setitem(CONTENT, f"/v2/vendor/ocr/blobs/{digest}", CONFIG)
            with pytest.raises(RegistryUnavailable, match=f"does not have the digest {digest}"):
                fetch_facts(f"{host}/vendor/ocr:1")


def test_an_image_for_other_platforms_is_rejected_with_their_names() -> None:
    with registry() as host, pytest.raises(UnsupportedImage, match="linux/arm64") as caught:
        fetch_facts(f"{host}/vendor/arm:1")
    assert "unknown" not in str(caught.value)


def test_the_entry_without_a_variant_takes_precedence() -> None:
    with registry() as host:
        assert fetch_facts(f"{host}/vendor/variants:1").size_bytes == 42


def test_an_index_without_platforms_uses_the_platform_of_the_image_config() -> None:
    with registry() as host:
        assert fetch_facts(f"{host}/vendor/bare:1").platform == "linux/arm64"


@pytest.mark.parametrize("image", ["vendor/none:1", "vendor/odd:1", "vendor/text:1", "vendor/path:1", "vendor/deep:1"])
def test_an_unusable_registry_response_is_reported(image: str) -> None:
    with registry() as host, pytest.raises(RegistryUnavailable, match="cannot read"):
        fetch_facts(f"{host}/{image}")


def test_a_response_that_is_too_long_is_not_read() -> None:
    with registry() as host, pytest.raises(RegistryUnavailable, match="longer than 4 MiB"):
        fetch_facts(f"{host}/vendor/long:1")


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_description_is_reported(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONTENT, "/v2/vendor/ocr/blobs/test:config", MALFORMED[kind])
    with registry() as host, pytest.raises(MalformedDescription, match="malformed") as caught:
        fetch_facts(f"{host}/vendor/ocr:1")
    assert kind in str(caught.value.evidence).lower()


def test_an_unreachable_registry_is_reported() -> None:
    with pytest.raises(RegistryUnavailable, match="cannot be reached"):
        fetch_facts("127.0.0.1:9/vendor/ocr:1")
