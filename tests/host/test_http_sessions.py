"""The sessions of requests: what they never send, which proxy they use, and that nobody creates another."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
import requests
from requests.utils import get_netrc_auth

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.http_sessions import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    HostSession,
    can_carry_login,
    describe_unreadable,
    find_proxy,
    is_local_host,
)
from tests.host.client_environment import NETRC_PASSWORD, NETRC_VARIABLES, remove_proxies, write_netrc
from tests.upstreams.raw import serve_reply
from tests.upstreams.recording import RecordedReply, serve_recorder

ROOT = Path(__file__).resolve().parents[2]
KEY = {"Authorization": "Bearer cpk_secret"}
SIGNATURE = {"X-Chutes-Hotkey": "5Case", "X-Chutes-Signature": "00"}
# The modules that create a session. Those of the second line run on an instance, and call its own service.
CREATORS = {
    *("host/http_sessions.py", "host/container_engine/docker_client.py"),
    *("runtime/client_sessions.py", "runtime/connection_pool.py", "emulator/runner.py"),
}
_METHODS = "request get post put patch delete head options"
_FACTORIES = {
    *(f"requests.{name}" for name in f"Session session {_METHODS}".split()),
    *(f"requests.api.{name}" for name in _METHODS.split()),
    *(f"httpx.{name}" for name in f"Client AsyncClient stream {_METHODS}".split()),
    *("requests.sessions.Session", "aiohttp.ClientSession", "aiohttp.client.ClientSession", "aiohttp.request"),
    *("aiohttp.TCPConnector", "aiohttp.connector.TCPConnector"),
    *("docker.DockerClient", "docker.APIClient", "docker.from_env", "docker.client.DockerClient"),
    *("urllib.request.urlopen", "urllib.request.build_opener", "urllib.request.urlretrieve"),
    *("http.client.HTTPConnection", "http.client.HTTPSConnection"),
    *("urllib3.PoolManager", "urllib3.ProxyManager", "urllib3.request"),
    *("urllib3.HTTPConnectionPool", "urllib3.HTTPSConnectionPool"),
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    remove_proxies(monkeypatch)


def find_session_factories(source: str) -> set[str]:
    """Return what ``source`` calls, or inherits from, to create HTTP sessions, however it is imported."""
    full_names: dict[str, str] = {}
    nodes = [*ast.walk(ast.parse(source))]
    for node in nodes:
        if isinstance(node, ast.Import):
            full_names.update({each.asname: each.name for each in node.names if each.asname})
        elif isinstance(node, ast.ImportFrom):
            full_names.update({each.asname or each.name: f"{node.module}.{each.name}" for each in node.names})
    uses = [node.func for node in nodes if isinstance(node, ast.Call)]
    uses += [base for node in nodes if isinstance(node, ast.ClassDef) for base in node.bases]
    return {_resolve_name(ast.unparse(use), full_names) for use in uses} & _FACTORIES


def _resolve_name(name: str, full_names: Mapping[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return f"{full_names.get(first, first)}{dot}{rest}"


@pytest.mark.parametrize(
    "source",
    [
        "import requests\nrequests.get('x')",
        "import requests as r\nr.Session()",
        "from requests import Session\nSession()",
        "import requests\nclass A(requests.Session): pass",
        "from aiohttp import ClientSession\nClientSession()",
        "import urllib.request\nurllib.request.urlopen('x')",
        "import docker\ndocker.from_env()",
        "from http.client import HTTPSConnection\nHTTPSConnection('x')",
        "import httpx\nhttpx.get('x')",
    ],
)
def test_a_session_is_found_however_it_is_created(source: str) -> None:
    assert find_session_factories(source)


def test_nobody_else_creates_an_http_session() -> None:
    """One door for requests of the host: the rules of this module hold for all of them."""
    package = ROOT / "chutes_wrappers"
    sources = {str(path.relative_to(package)): path.read_text() for path in package.rglob("*.py")}
    sources.update({f"tools/{path.name}": path.read_text() for path in (ROOT / "tools").glob("*.py")})
    assert {path for path, source in sources.items() if find_session_factories(source)} == CREATORS
    assert [path for path, source in sources.items() if "trust_env" in source] == []


@pytest.mark.parametrize("variable", NETRC_VARIABLES)
@pytest.mark.parametrize("headers", [{}, KEY])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "case.localhost"])
def test_netrc_is_never_read(
    host: str, headers: dict[str, str], variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(variable, tmp_path, monkeypatch)
    with serve_recorder() as server, HostSession() as session:
        assert get_netrc_auth(server.root) == ("someone", NETRC_PASSWORD)
        assert session.get(f"http://{host}:{server.port}/", headers=headers).ok
    (received,) = server.headers
    assert received.get("authorization") == headers.get("Authorization")
    assert received["host"] == f"{host}:{server.port}"


def test_the_password_of_a_url_does_not_replace_the_key() -> None:
    with serve_recorder() as server, HostSession() as session:
        session.get(f"http://someone:{NETRC_PASSWORD}@127.0.0.1:{server.port}/", headers=KEY)
    assert server.headers[0]["authorization"] == KEY["Authorization"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with serve_recorder() as other:
        reply = RecordedReply(status=status, headers={"Location": f"{other.root}/x"})
        with serve_recorder(reply) as server, HostSession() as session:
            assert session.get(server.root, headers=KEY).status_code == status
            assert session.post(server.root, headers=KEY, data=b"{}", allow_redirects=True).status_code == status
    assert other.requests == []


def test_cookies_are_not_kept() -> None:
    reply = RecordedReply(headers={"Set-Cookie": "session=canary; Path=/"})
    with serve_recorder(reply) as server, HostSession() as session:
        for _ in range(2):
            session.get(server.root)
    assert [headers.get("cookie") for headers in server.headers] == [None, None]


@pytest.mark.parametrize("login", [KEY, SIGNATURE])
@pytest.mark.parametrize("host", ["192.0.2.1", "platform.example", "127.0.0.1.example", "localhost.example"])
def test_a_login_is_not_sent_unencrypted(host: str, login: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_recorder() as proxy, HostSession() as session:
        monkeypatch.setenv("HTTP_PROXY", proxy.root)
        with pytest.raises(ConfigurationError, match=f"{host} would send your login unencrypted"):
            session.get(f"http://{host}/", headers=login)
        with pytest.raises(ConfigurationError, match="use an https URL"):
            session.get(f"http://{host}/", auth=("user", "password"))
        assert session.get(f"http://{host}/").ok
    assert [request.target for request in proxy.requests] == [f"http://{host}/"]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_the_proxy_of_the_environment_is_used_but_not_for_this_machine(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_recorder() as proxy, serve_recorder() as server, HostSession() as session:
        monkeypatch.setenv(variable, proxy.root.replace("//", "//me:proxy-password@"))
        assert session.get("http://platform.example/x").ok
        for host in ("127.0.0.1", "localhost", "case.localhost"):
            assert session.get(f"http://{host}:{server.port}/", headers=KEY).ok
    (through_proxy,) = proxy.requests
    assert through_proxy.target == "http://platform.example/x"
    assert through_proxy.headers["proxy-authorization"].startswith("Basic ")
    assert "authorization" not in through_proxy.headers
    assert len(server.requests) == 3
    assert not any("proxy-authorization" in headers for headers in server.headers)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_an_https_request_asks_the_proxy_for_a_tunnel_without_the_key(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_recorder() as proxy, HostSession() as session:
        monkeypatch.setenv(variable, proxy.root)
        with pytest.raises(requests.exceptions.ProxyError):
            session.get("https://platform.example/x", headers=KEY)
    (through_proxy,) = proxy.requests
    assert (through_proxy.method, through_proxy.target) == ("CONNECT", "platform.example:443")
    assert "authorization" not in through_proxy.headers


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("value", ["platform.example", ".example", "other, platform.example:80", "*"])
def test_no_proxy_names_hosts_without_a_proxy(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert find_proxy("http://platform.example:80/x") == "http://127.0.0.1:9"
    monkeypatch.setenv(variable, value)
    assert find_proxy("http://platform.example:80/x") is None


def test_a_proxy_needs_no_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "127.0.0.1:3128")
    assert find_proxy("https://platform.example/") == "http://127.0.0.1:3128"
    assert find_proxy("http://platform.example/") is None


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value", ["ftp://me:secret@box:1", "http://me:secret@[box:1", "http://me:secret@:1", "http://b:99999"]
)
def test_an_invalid_proxy_is_named_without_its_password(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with HostSession() as session, pytest.raises(ConfigurationError, match="is not a valid URL") as caught:
        session.get("https://platform.example/")
    assert caught.value.where == variable
    assert "secret" not in str(caught.value)
    assert "NO_PROXY" in str(caught.value.next_step)


def test_a_socks_proxy_is_for_sessions_that_can_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1080")
    assert find_proxy("https://platform.example/", can_use_socks=True) == "socks5h://127.0.0.1:1080"
    with pytest.raises(ConfigurationError, match="schemes http, https") as caught:
        find_proxy("https://platform.example/")
    assert caught.value.where == "ALL_PROXY"


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("a.b.LocalHost", True),
        ("0.0.0.0", False),
        ("192.168.0.1", False),
        ("notlocalhost", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("", False),
    ],
)
def test_this_machine_is_loopback_and_the_names_below_localhost(host: str, is_local: bool) -> None:
    assert is_local_host(host) is is_local
    assert can_carry_login(f"http://{'[::1]' if host == '::1' else host}/") is is_local
    assert can_carry_login(f"https://{'[::1]' if host == '::1' else host}/")


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (b"X: " + b"x" * (MAX_HEADER_BYTES - 10) + b"\r\n", None),
        (b"X: 1\r\n" * (MAX_HEADERS - 10), None),
        (b"X: " + b"x" * MAX_HEADER_BYTES + b"\r\n", "a header is longer than 256 KiB"),
        (b"X: 1\r\n" * (MAX_HEADERS + 1), "it has more than 1000 headers"),
    ],
)
async def test_the_limits_of_a_response_are_ours_and_named(headers: bytes, reason: str | None) -> None:
    async with serve_reply(b"HTTP/1.1 200 OK\r\n" + headers + b"Content-Length: 2\r\n\r\nok") as port:
        with HostSession() as session:
            request = asyncio.to_thread(session.get, f"http://127.0.0.1:{port}/")
            if reason is None:
                assert (await request).text == "ok"
                return
            with pytest.raises(requests.ConnectionError) as caught:
                await request
    assert describe_unreadable(caught.value) == reason


@pytest.mark.parametrize(("reply", "reason"), [(b"220 ready\r\n", "it is not HTTP ('220 ready"), (b"", "None")])
async def test_what_is_not_a_response_is_told_from_none(reply: bytes, reason: str) -> None:
    async with serve_reply(reply) as port:
        with HostSession() as session, pytest.raises(requests.ConnectionError) as caught:
            await asyncio.to_thread(session.get, f"http://127.0.0.1:{port}/")
    assert str(describe_unreadable(caught.value)).startswith(reason)
