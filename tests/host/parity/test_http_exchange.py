"""One request of the parity check, as the emulator receives it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from chutes_wrappers.host.parity import http_exchange
from chutes_wrappers.host.parity.http_exchange import send_request
from tests.host.client_environment import NETRC_VARIABLES, remove_proxies, write_netrc
from tests.scenario import find_free_port
from tests.upstreams.recording import RecordedReply, serve_recorder
from tests.upstreams.scripted import Reply, serve_script

HEADERS = {"Host": "tester-case.localhost", "Authorization": "Bearer cpk_secret"}


@pytest.mark.parametrize("variable", NETRC_VARIABLES)
def test_the_key_is_sent_in_spite_of_netrc_and_not_to_a_proxy(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_proxies(monkeypatch)
    write_netrc(variable, tmp_path, monkeypatch)
    with serve_recorder() as proxy, serve_recorder() as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.root)
        response = send_request("POST", f"{server.root}/x", timeout_s=60, headers=HEADERS, json={"a": 1})
    assert (response.status, response.body, response.problem) == (200, b"{}", "")
    (request,) = server.requests
    assert (request.target, request.body) == ("/x", b'{"a": 1}')
    assert (request.headers["host"], request.headers["authorization"]) == tuple(HEADERS.values())
    assert proxy.requests == []


def test_a_redirect_is_the_response() -> None:
    with (
        serve_recorder() as other,
        serve_recorder(RecordedReply(status=302, headers={"Location": other.root})) as server,
    ):
        assert send_request("GET", server.root, timeout_s=60, headers=HEADERS).status == 302
    assert other.requests == []


def test_a_network_error_is_a_value() -> None:
    response = send_request("GET", f"http://127.0.0.1:{find_free_port()}/", timeout_s=60)
    assert (response.status, "ConnectionError" in response.problem) == (0, True)


def test_a_stream_without_an_end_is_not_read_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_exchange, "_MAX_BODY_BYTES", 2 * 1024**2)
    endless = {"/x": lambda: Reply(body=itertools.repeat(b"x" * 1024**2), content_type="text/event-stream")}
    with serve_script(endless) as server:
        response = send_request("GET", f"{server.root}/x", timeout_s=60)
    assert (response.status, response.problem) == (0, "the response is larger than 2 MiB")
