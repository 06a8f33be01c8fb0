"""The sessions of aiohttp: the same rules as for requests."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from yarl import URL

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.async_sessions import AsyncSession
from chutes_wrappers.host.forwarding.chute_client import Chute, ChuteAddress, PublicCall
from chutes_wrappers.host.forwarding.transport import ForwardingError
from tests.host.client_environment import NETRC_VARIABLES, remove_proxies, write_netrc
from tests.upstreams.certificates import write_certificate
from tests.upstreams.recording import RecordedReply, serve_recorder

KEY = {"Authorization": "Bearer cpk_secret"}
HOST = "platform.example"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    remove_proxies(monkeypatch)


@pytest.mark.parametrize("variable", NETRC_VARIABLES)
@pytest.mark.parametrize("headers", [{}, KEY])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "case.localhost"])
async def test_netrc_is_never_read(
    host: str, headers: dict[str, str], variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(variable, tmp_path, monkeypatch)
    with serve_recorder() as server:
        url = URL(f"http://{host}:{server.port}/%2E%2Fx?a=%20", encoded=True)
        async with AsyncSession(has_proxies=True) as session, session.request("GET", url, headers=headers) as response:
            assert response.status == 200
    (received,) = server.requests
    assert received.target == "/%2E%2Fx?a=%20"
    assert received.headers.get("authorization") == headers.get("Authorization")
    assert received.headers["host"] == f"{host}:{server.port}"


@pytest.mark.parametrize("status", [301, 303, 307])
async def test_redirects_are_not_followed_and_cookies_are_not_kept(status: int) -> None:
    with serve_recorder() as other:
        reply = RecordedReply(status=status, headers={"Location": other.root, "Set-Cookie": "session=canary; Path=/"})
        with serve_recorder(reply) as server:
            async with AsyncSession(headers=KEY) as session:
                for host in ("127.0.0.1", "localhost", "localhost"):
                    async with session.request("POST", URL(f"http://{host}:{server.port}/")) as response:
                        assert response.status == status
    assert other.requests == []
    assert [headers.get("cookie") for headers in server.headers] == [None] * 3


@pytest.mark.parametrize("has_proxies", [False, True])
async def test_a_login_is_not_sent_unencrypted(has_proxies: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with AsyncSession(has_proxies=has_proxies, headers=KEY) as session:
        with pytest.raises(ConfigurationError, match=f"{HOST} would send your login unencrypted"):
            session.request("GET", URL(f"http://{HOST}/"))


async def test_a_proxy_is_used_for_the_network_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_recorder() as proxy, serve_recorder() as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:proxy%20password@127.0.0.1:{proxy.port}")
        async with AsyncSession(has_proxies=True) as session:
            for url in (f"http://{HOST}/x", server.root, f"http://case.localhost:{server.port}/"):
                async with session.request("GET", URL(url)) as response:
                    assert response.status == 200
    (through_proxy,) = proxy.requests
    assert through_proxy.target == f"http://{HOST}/x"
    assert through_proxy.headers["proxy-authorization"] == "Basic bWU6cHJveHkgcGFzc3dvcmQ="
    assert len(server.requests) == 2
    assert not any("proxy-authorization" in headers for headers in server.headers)


async def test_no_error_has_the_proxys_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_recorder() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:proxy-password@127.0.0.1:{proxy.port}")
        async with Chute(ChuteAddress(url=f"https://{HOST}", key="cpk_secret")) as chute:
            with pytest.raises(ForwardingError, match="502") as caught:
                async with chute.call(PublicCall(method="GET", path="/x")):
                    pass
    assert proxy.headers[0]["proxy-authorization"] == "Basic bWU6cHJveHktcGFzc3dvcmQ="
    assert "authorization" not in proxy.headers[0]
    assert "proxy-password" not in f"{caught.value} {caught.value!r}"


async def test_services_are_called_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of a container is not a loopback address, but no proxy reaches it."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serve_recorder() as server:
        url = URL(f"http://0.0.0.0:{server.port}/")
        async with AsyncSession() as session, session.request("GET", url) as response:
            assert response.status == 200


async def test_a_key_goes_through_the_proxy_to_its_host_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = write_certificate(tmp_path, HOST)
    with serve_recorder() as proxy, serve_recorder(certificate=certificate) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.root)
        proxy.connect_port = server.port
        context = ssl.create_default_context(cafile=certificate)
        async with (
            AsyncSession(has_proxies=True, headers=KEY) as session,
            session.request("POST", URL(f"https://{HOST}/x"), json={}, ssl=context) as response,
        ):
            assert await response.read() == b"{}"
    assert [request.target for request in proxy.requests] == [f"{HOST}:443"]
    assert "authorization" not in proxy.headers[0]
    assert [headers["authorization"] for headers in server.headers] == [KEY["Authorization"]]


async def test_the_forwarder_uses_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_recorder() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.root)
        async with (
            Chute(ChuteAddress(url=f"http://{HOST}")) as chute,
            chute.call(PublicCall(method="GET", path="/x")) as response,
        ):
            assert response.status == 200
    assert [request.target for request in proxy.requests] == [f"http://{HOST}/x"]


async def test_an_invalid_proxy_ends_the_start_of_the_forwarder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:secret@127.0.0.1:1080")
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        async with Chute(ChuteAddress(url=f"https://{HOST}")):
            pass
    assert "secret" not in str(caught.value)
