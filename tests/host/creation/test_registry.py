"""Against a registry of a few lines; tests/docker/test_create.py asks a real one."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError, UnsupportedImage
from chutes_wrappers.host.creation.registry import RegistryUnavailable, look_up

PASSWORD = "hunter2-canary"
INDEX = {
    "manifests": [
        {"digest": "sha256:arm", "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": "sha256:amd", "platform": {"os": "linux", "architecture": "amd64"}},
    ]
}
MANIFEST = {"config": {"digest": "sha256:config"}, "layers": [{"size": 40}, {"size": 2}]}
CONFIG = {"os": "linux", "architecture": "amd64", "config": {"ExposedPorts": {"9000/tcp": {}}, "Cmd": ["serve"]}}
CONTENT: dict[str, Any] = {
    "/v2/vendor/ocr/manifests/1": INDEX,
    "/v2/vendor/ocr/manifests/sha256:amd": MANIFEST,
    "/v2/vendor/ocr/blobs/sha256:config": CONFIG,
    "/v2/vendor/arm/manifests/1": {"manifests": INDEX["manifests"][:1]},
    "/v2/vendor/odd/manifests/1": {"schemaVersion": 1},
    "/v2/vendor/text/manifests/1": "no object",
}


@contextmanager
def registry(kind: str = "") -> Iterator[str]:
    """Its host:port; ``kind`` is how it wants to be asked: openly, "basic" or "bearer"."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            basic = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
            said = self.headers.get("Authorization", "")
            if path == "/token":
                allowed = said == basic and "scope=repository%3Avendor%2Focr%3Apull" in query
                return self.say(200 if allowed else 401, {"token": "t0ken"} if allowed else {})
            if kind and said != (basic if kind == "basic" else "Bearer t0ken"):
                realm = f"http://{self.headers['Host']}/token"
                challenge = 'Basic realm="r"' if kind == "basic" else f'Bearer realm="{realm}",service="s"'
                return self.say(401, {}, challenge)
            return self.say(200, CONTENT[path]) if path in CONTENT else self.say(404, {})

        def say(self, status: int, value: Any, challenge: str = "") -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if challenge:
                self.send_header("WWW-Authenticate", challenge)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def log_in(folder: Path, host: str, password: str = PASSWORD) -> None:
    auth = base64.b64encode(f"me:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def test_the_image_for_our_platform_is_described_without_a_pull() -> None:
    with registry() as host:
        found = look_up(f"{host}/vendor/ocr:1")
    assert found.size_bytes == 42
    assert found.attributes["Config"]["Cmd"] == ["serve"]


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_what_docker_login_keeps_opens_a_closed_registry(kind: str, docker_config: Path) -> None:
    with registry(kind) as host:
        log_in(docker_config, host)
        assert look_up(f"{host}/vendor/ocr:1").size_bytes == 42


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_a_wrong_password_is_refused_and_not_shown(kind: str, docker_config: Path) -> None:
    with registry(kind) as host:
        log_in(docker_config, host, PASSWORD + "x")
        with pytest.raises(RegistryUnavailable, match="docker login") as refused:
            look_up(f"{host}/vendor/ocr:1")
    assert PASSWORD not in str(refused.value)


def test_a_credential_helper_is_asked(docker_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = docker_config / "docker-credential-canary"
    helper.write_text(f'#!/bin/sh\ncat >/dev/null\necho \'{{"Username": "me", "Secret": "{PASSWORD}"}}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker_config}:/usr/bin:/bin")
    with registry("basic") as host:
        (docker_config / "config.json").write_text(json.dumps({"credHelpers": {host: "canary"}}))
        assert look_up(f"{host}/vendor/ocr:1").size_bytes == 42


def test_an_image_of_other_platforms_is_refused_with_their_names() -> None:
    with registry() as host, pytest.raises(UnsupportedImage, match="linux/arm64"):
        look_up(f"{host}/vendor/arm:1")


@pytest.mark.parametrize("image", ["vendor/none:1", "vendor/odd:1", "vendor/text:1"])
def test_a_registry_that_does_not_tell_is_said(image: str) -> None:
    with registry() as host, pytest.raises(RegistryUnavailable, match="does not tell"):
        look_up(f"{host}/{image}")


def test_a_registry_that_is_not_there_is_said() -> None:
    with pytest.raises(RegistryUnavailable, match="cannot be reached"):
        look_up("127.0.0.1:9/vendor/ocr:1")


@pytest.mark.parametrize("reference", ["", " ", "a b", "https://example.org/x", "-x/y"])
def test_what_is_no_reference_is_wrong_usage(reference: str) -> None:
    with pytest.raises(ConfigurationError, match="no image reference"):
        look_up(reference)
