"""Who gets the login for a registry: the registry, and the token service that it names, and nobody that a redirect leads to."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
import requests

from chutes_wrappers.host.creation.image_config import ImageFacts
from chutes_wrappers.host.creation.reference import parse_reference
from chutes_wrappers.host.creation.registry import RegistryUnavailable, fetch_image_facts
from tests.host.client_environment import NETRC_VARIABLES, remove_proxies, write_netrc
from tests.scenario import find_free_port
from tests.upstreams.certificates import write_certificate
from tests.upstreams.recording import RecordedReply, RecordedRequest, Recorder, serve_recorder

PASSWORD = "hunter2-canary"
REMOTE = "registry.example"
BASIC = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
# bcrypt of PASSWORD with cost 4, as docker-registry's htpasswd requires.
HTPASSWD = "me:$2b$04$abcdefghijklmnopqrstuueDgTPARBGtTsYrBJNzof.Gi/.G0Y41q"
CONFIG = json.dumps({"os": "linux", "architecture": "amd64", "config": {"Cmd": ["serve"]}}).encode()
CONFIG_DIGEST = f"sha256:{sha256(CONFIG).hexdigest()}"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": MANIFEST_TYPE,
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": CONFIG_DIGEST, "size": len(CONFIG)},
    "layers": [],
}


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    remove_proxies(monkeypatch)


def save_login(folder: Path, *hosts: str) -> None:
    auth = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth} for host in hosts}}))


def fetch_facts(host: str) -> ImageFacts:
    return fetch_image_facts(parse_reference(f"{host}/vendor/ocr:1"))


def require_login(realm: str, kind: str = "Bearer") -> RecordedReply:
    quoted_realm = realm.replace("\\", r"\\")
    challenge = f'{kind} realm="{quoted_realm}",service="s",scope="repository:vendor/ocr:pull"'
    return RecordedReply(status=401, headers={"WWW-Authenticate": challenge})


def redirect_to(url: str) -> RecordedReply:
    return RecordedReply(status=307, headers={"Location": url})


class Parties(ExitStack):
    """A registry, the host that it redirects to, and a token service, each on a port of its own."""

    def serve(self, reply: Callable[[RecordedRequest], RecordedReply] | RecordedReply) -> Recorder:
        return self.enter_context(serve_recorder(reply))


@pytest.fixture
def parties() -> Iterator[Parties]:
    with Parties() as stack:
        yield stack


@pytest.mark.parametrize("kind", ["Bearer", "Basic"])
@pytest.mark.parametrize("variable", NETRC_VARIABLES)
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "storage.localhost"])
def test_a_host_that_a_redirect_leads_to_gets_no_login(
    kind: str, variable: str, name: str, parties: Parties, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(variable, tmp_path, monkeypatch)
    tokens = parties.serve(RecordedReply(body=b'{"token": "t0ken"}'))
    storage = parties.serve(require_login(f"{tokens.root}/token", kind))
    registry = parties.serve(redirect_to(f"http://{name}:{storage.port}/x"))
    save_login(tmp_path, f"127.0.0.1:{registry.port}", f"{name}:{storage.port}", f"127.0.0.1:{tokens.port}")
    with pytest.raises(RegistryUnavailable, match="redirects to another host, which requires a login"):
        fetch_facts(f"127.0.0.1:{registry.port}")
    assert tokens.requests == []
    assert [headers.get("authorization") for headers in [*registry.headers, *storage.headers]] == [None, None]


def test_a_redirect_that_leads_back_gets_no_login(parties: Parties, tmp_path: Path) -> None:
    """The host between chose the URL: it would be its request, with the user's login."""
    registries: list[Recorder] = []
    between = parties.serve(lambda _: redirect_to(f"{registries[0].root}/v2/other/secret/manifests/1"))
    tokens = parties.serve(RecordedReply(body=b'{"token": "t0ken"}'))

    def reply(request: RecordedRequest) -> RecordedReply:
        if request.target.startswith("/v2/other/") or "authorization" not in request.headers:
            return require_login(f"{tokens.root}/token")
        return redirect_to(between.root)

    registries.append(parties.serve(reply))
    save_login(tmp_path, f"127.0.0.1:{registries[0].port}")
    with pytest.raises(RegistryUnavailable, match="another host"):
        fetch_facts(f"127.0.0.1:{registries[0].port}")
    assert [request.headers.get("authorization") for request in registries[0].requests] == [None, "Bearer t0ken", None]
    assert [headers.get("authorization") for headers in between.headers] == [None]
    assert len(tokens.requests) == 1


def test_a_redirect_within_the_registry_keeps_the_login(parties: Parties, tmp_path: Path) -> None:
    def reply(request: RecordedRequest) -> RecordedReply:
        if request.headers.get("authorization") != BASIC:
            return require_login("r", "Basic")
        if not request.target.startswith("/moved"):
            return redirect_to(f"/moved{request.target}")
        return RecordedReply(body=CONFIG if "/blobs/" in request.target else json.dumps(MANIFEST).encode())

    registry = parties.serve(reply)
    save_login(tmp_path, f"127.0.0.1:{registry.port}")
    assert fetch_facts(f"127.0.0.1:{registry.port}").cmd == ("serve",)


@pytest.mark.parametrize(
    "realm",
    [
        "http://192.0.2.1/token",
        "http://192.0.2.1\\@127.0.0.1/token",
        "ftp://127.0.0.1/token",
        "",
        "/token",
        "http://[bad/token",
    ],
)
def test_a_token_service_gets_no_login_unencrypted(realm: str, parties: Parties, tmp_path: Path) -> None:
    registry = parties.serve(require_login(realm))
    save_login(tmp_path, f"127.0.0.1:{registry.port}")
    with pytest.raises(RegistryUnavailable, match="token service that is not an https URL"):
        fetch_facts(f"127.0.0.1:{registry.port}")
    assert len(registry.requests) == 1


def test_a_redirect_of_the_token_service_is_not_followed(parties: Parties, tmp_path: Path) -> None:
    other = parties.serve(RecordedReply())
    tokens = parties.serve(redirect_to(other.root))
    registry = parties.serve(require_login(f"{tokens.root}/token"))
    save_login(tmp_path, f"127.0.0.1:{registry.port}")
    with pytest.raises(RegistryUnavailable, match="returned status 401"):
        fetch_facts(f"127.0.0.1:{registry.port}")
    assert [headers["authorization"] for headers in tokens.headers] == [BASIC]
    assert other.requests == []


@pytest.fixture
def remote(parties: Parties, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[RecordedReply], Recorder]:
    """Serve the registry of another machine: by https, and through a proxy, which makes its name known here."""
    certificate = write_certificate(tmp_path, REMOTE)
    proxy = parties.serve(RecordedReply())
    monkeypatch.setenv("HTTPS_PROXY", proxy.root)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

    def serve(reply: RecordedReply) -> Recorder:
        registry = parties.enter_context(serve_recorder(reply, certificate))
        proxy.connect_port = registry.port
        return registry

    return serve


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "a.localhost", "127.0.0.1\\@registry.example"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_registry_in_the_network_leads_nobody_to_this_machine(
    host: str, scheme: str, remote: Callable[[RecordedReply], Recorder], parties: Parties, tmp_path: Path
) -> None:
    here = parties.serve(RecordedReply(body=CONFIG))
    url = f"{scheme}://{host}:{here.port}/x"
    save_login(tmp_path, REMOTE)
    remote(redirect_to(url))
    with pytest.raises(RegistryUnavailable, match=r"redirects (to this machine|from https to http)"):
        fetch_facts(REMOTE)
    registry = remote(require_login(url))
    with pytest.raises(RegistryUnavailable, match="token service that is not an https URL"):
        fetch_facts(REMOTE)
    assert "authorization" not in registry.headers[0]
    assert here.requests == []


def test_a_registry_in_the_network_leads_nobody_from_https_to_http(
    remote: Callable[[RecordedReply], Recorder],
) -> None:
    remote(redirect_to("http://192.0.2.1/x"))
    with pytest.raises(RegistryUnavailable, match="redirects from https to http"):
        fetch_facts(REMOTE)


def test_a_registry_in_the_network_gets_the_login_by_https(
    remote: Callable[[RecordedReply], Recorder], tmp_path: Path
) -> None:
    registry = remote(require_login("r", "Basic"))
    save_login(tmp_path, REMOTE)
    with pytest.raises(RegistryUnavailable, match="returned status 401"):
        fetch_facts(REMOTE)
    assert [headers.get("authorization") for headers in registry.headers] == [None, BASIC]


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_a_redirect_leads_to_http_only(location: str, parties: Parties) -> None:
    registry = parties.serve(redirect_to(location))
    with pytest.raises(RegistryUnavailable, match="redirects from http to"):
        fetch_facts(f"127.0.0.1:{registry.port}")


@contextmanager
def serve_docker_registry(folder: Path, storage_url: str) -> Iterator[str]:
    """Debian's docker-registry with a password, whose blobs are at ``storage_url``; yields its host:port."""
    port = find_free_port()
    (folder / "htpasswd").write_text(f"{HTPASSWD}\n")
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "middleware": {"storage": [{"name": "redirect", "options": {"baseurl": storage_url}}]},
        "auth": {"htpasswd": {"realm": "r", "path": str(folder / "htpasswd")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "registry.yml").write_text(json.dumps(settings))
    argv = ["docker-registry", "serve", str(folder / "registry.yml")]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def publish(host: str) -> None:
    """Wait until the registry listens, and push an image without layers to it."""
    repository = f"http://{host}/v2/vendor/ocr"
    with requests.Session() as session:
        session.auth = ("me", PASSWORD)
        retries = requests.adapters.Retry(connect=12, backoff_factor=0.1, backoff_max=1)
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
        session.get(f"http://{host}/v2/", timeout=60).raise_for_status()
        location = session.post(f"{repository}/blobs/uploads/", timeout=60).headers["Location"]
        session.put(location, params={"digest": CONFIG_DIGEST}, data=CONFIG, timeout=60).raise_for_status()
        session.put(
            f"{repository}/manifests/1", json=MANIFEST, headers={"Content-Type": MANIFEST_TYPE}, timeout=60
        ).raise_for_status()


@pytest.mark.skipif(
    shutil.which("docker-registry") is None, reason="docker-registry is not installed (apt-get install docker-registry)"
)
@pytest.mark.parametrize("is_login_required", [False, True], ids=["open-storage", "storage-wants-a-login"])
def test_a_real_registry_gets_the_login_and_its_storage_does_not(
    is_login_required: bool, parties: Parties, tmp_path: Path
) -> None:
    tokens = parties.serve(RecordedReply(body=b'{"token": "t0ken"}'))
    storage = parties.serve(require_login(f"{tokens.root}/token") if is_login_required else RecordedReply(body=CONFIG))
    with serve_docker_registry(tmp_path, storage.root) as host:
        publish(host)
        save_login(tmp_path, host, f"127.0.0.1:{storage.port}", f"127.0.0.1:{tokens.port}")
        if is_login_required:
            with pytest.raises(RegistryUnavailable, match="another host"):
                fetch_facts(host)
        else:
            assert fetch_facts(host).cmd == ("serve",)
    assert len(storage.requests) == 1
    assert [headers.get("authorization") for headers in storage.headers] == [None]
    assert tokens.requests == []
