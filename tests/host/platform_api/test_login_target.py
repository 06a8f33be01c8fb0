"""Where the API client sends the account's signature and the key, and where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.account.credentials import KeyCredentials, NoCredentials
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.api_urls import resolve_api_url
from tests.host.client_environment import NETRC_VARIABLES, remove_proxies, write_netrc
from tests.upstreams.recording import RecordedReply, serve_recorder

KEY = "cpk_secret"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove_proxies(monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CHUTES_API_URL", "CHUTES_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", NETRC_VARIABLES)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "api.localhost"])
def test_the_key_is_sent_in_spite_of_netrc(
    host: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(variable, tmp_path, monkeypatch)
    with (
        serve_recorder() as proxy,
        serve_recorder() as server,
        PlatformApi(f"http://{host}:{server.port}", KeyCredentials(key=KEY)) as api,
    ):
        monkeypatch.setenv("HTTP_PROXY", proxy.root)
        api.get("/x", "requesting x", purpose="x")
        api.post("/x", "creating x", {})
        assert list(api.stream_lines("/x", "reading x", purpose="x")) == ["{}"]
    assert [headers["authorization"] for headers in server.headers] == [f"Bearer {KEY}"] * 3
    assert proxy.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error(status: int) -> None:
    with serve_recorder() as other:
        reply = RecordedReply(status=status, headers={"Location": other.root})
        with serve_recorder(reply) as server, PlatformApi(server.root, KeyCredentials(key=KEY)) as api:
            with pytest.raises(PlatformRequestFailed, match=str(status)):
                api.get("/x", "requesting x", purpose="x")
            with pytest.raises(PlatformRequestFailed, match=str(status)):
                list(api.stream_lines("/x", "reading x", purpose="x"))
    assert other.requests == []


@pytest.mark.parametrize("url", ["http://192.0.2.1", "http://api.chutes.ai/", "http://localhost.example:8000"])
def test_an_unencrypted_url_of_the_variable_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTES_API_URL", url)
    with pytest.raises(ConfigurationError, match="unencrypted") as caught:
        resolve_api_url()
    assert (caught.value.where, caught.value.exit_code) == ("CHUTES_API_URL", 2)
    assert url in str(caught.value)


def test_an_unencrypted_url_of_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.ini"
    path.write_text("[api]\nbase_url = http://192.0.2.1\n")
    monkeypatch.setenv("CHUTES_CONFIG_PATH", str(path))
    monkeypatch.setenv("CHUTES_API_URL", "https://api.example")
    with pytest.raises(ConfigurationError, match="unencrypted") as caught:
        resolve_api_url()
    assert caught.value.where == f"base_url in [api] of {path}"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://[::1]:8000", "http://api.localhost:8000", "https://x.y"]
)
def test_local_and_encrypted_urls_are_accepted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTES_API_URL", f"{url}/")
    assert resolve_api_url() == url


def test_a_password_in_the_url_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTES_API_URL", "https://me:hunter2@api.example")
    with pytest.raises(ConfigurationError, match="contains a user name or a password") as caught:
        resolve_api_url()
    assert "hunter2" not in str(caught.value)


def test_an_unencrypted_request_needs_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session itself refuses a login, whatever the URL's source is."""
    with serve_recorder() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.root)
        with PlatformApi("http://platform.example", NoCredentials()) as api:
            api.get("/pricing", "requesting prices", purpose="x")
        with PlatformApi("http://platform.example", KeyCredentials(key=KEY)) as api:
            with pytest.raises(ConfigurationError, match="unencrypted"):
                api.get("/x", "requesting x", purpose="x")
            with pytest.raises(ConfigurationError, match="unencrypted"):
                list(api.stream_lines("/x", "reading x", purpose="x"))
    assert [request.target for request in proxy.requests] == ["http://platform.example/pricing"]
