"""Requests to the engine, as a scripted engine receives them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from chutes_wrappers.host.container_engine.docker_engine import connect
from tests.host.client_environment import NETRC_VARIABLES, remove_proxies, write_netrc
from tests.upstreams.recording import RecordedReply, serve_recorder


@pytest.mark.parametrize("variable", NETRC_VARIABLES)
def test_a_local_engine_gets_no_password_of_netrc_and_no_request_by_a_proxy(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_proxies(monkeypatch)
    write_netrc(variable, tmp_path, monkeypatch)
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    with serve_recorder() as proxy, serve_recorder(RecordedReply(body=b'{"ApiVersion": "1.41"}')) as engine:
        monkeypatch.setenv("HTTP_PROXY", proxy.root)
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{engine.port}")
        with contextlib.closing(connect(has_cleanup=False)):
            pass
    assert [request.target for request in engine.requests] == ["/version", "/v1.41/_ping"]
    assert not any("authorization" in headers for headers in engine.headers)
    assert proxy.requests == []
