"""The tunnel's cord, and calls through it under the SDK's own ``chutes run --dev``."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import requests
from chutes.chute import Chute, NodeSelector

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.runtime.tunnel_frames import PUBLIC_PATH
from chutes_wrappers.sdk.cords import register_passthrough_routes
from chutes_wrappers.sdk.describe import describe
from chutes_wrappers.sdk.tunnel_cord import register_tunnel
from tests.dev_chute import DevChute, dev_chute
from tests.upstreams.http_fixture import EVERY_BYTE, HttpFixture

MODULE = "from tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, [{port}])\n"
BAD_CALLS: list[Any] = [
    {},
    {"port": 22, "method": "GET", "target": "/"},
    {"port": "8020", "method": "GET", "target": "/"},
    {"port": 0, "method": "GET", "target": "/../etc/passwd"},
    {"port": 0, "method": "GET", "target": "http://example.com/"},
    {"port": 0, "method": "GET", "target": "/", "headers": [["a", "b\r\nc: d"]]},
    {"port": 0, "method": "GET", "target": "/", "body": "not base64"},
    {"port": 0, "method": "G\nT", "target": "/"},
    {"stream": False},
    {"json": {}, "params": {}, "headers": 1, "timeout": "x"},
    [],
    "port",
]


@pytest.fixture
def bare_chute() -> Chute:
    return Chute(
        username="tester",
        name="case",
        image="tester/case:v1",
        tee=True,
        node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
    )


@pytest.fixture(scope="module")
def chute(service: HttpFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevChute]:
    folder = tmp_path_factory.mktemp("chute")
    with dev_chute(folder, [], service.port, more=MODULE.format(port=service.port)) as running:
        yield running


def call_tunnel(chute: DevChute, port: int, target: str, **call: Any) -> requests.Response:
    """Call the tunnel as any client can do."""
    body = {"port": port, "method": "GET", "target": target, **call}
    return requests.post(f"{chute.base_url}{PUBLIC_PATH}", json=body, timeout=60, stream=True)


def test_the_cord_is_a_valid_stream_of_the_passthrough_of_the_sdk(bare_chute: Chute) -> None:
    register_tunnel(bare_chute, [8020, 8080])
    (cord,) = describe(bare_chute)["cords"]
    assert (cord["public_api_method"], cord["public_api_path"]) == ("POST", PUBLIC_PATH)
    assert cord["stream"]
    assert cord["passthrough"]
    assert platform_rules.API_PUBLIC_PATH.match(cord["public_api_path"])
    assert platform_rules.API_INTERNAL_PATH.match(cord["path"])


def test_it_does_not_collide_with_any_route(bare_chute: Chute) -> None:
    register_tunnel(bare_chute, [8020])
    register_passthrough_routes(bare_chute, [{"path": f"/{name}"} for name in ("cw_tunnel", "tunnel", "carry")], 8020)
    assert len(bare_chute.cords) == 4


@pytest.mark.parametrize("ports", [[], "8020", ["8020"], [0], [70000], None])
def test_an_invalid_list_of_ports_is_rejected(bare_chute: Chute, ports: Any) -> None:
    with pytest.raises(ConfigurationError):
        register_tunnel(bare_chute, ports)


def test_nothing_is_registered_while_a_module_is_only_read(bare_chute: Chute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTES_SKIP_ROUTE_REGISTRATION", "1")
    register_tunnel(bare_chute, [8020])
    assert bare_chute.cords == []


def test_a_call_returns_the_status_headers_and_bytes_of_the_service(chute: DevChute, service: HttpFixture) -> None:
    head, *data, end = call_tunnel(chute, service.port, "/bytes").iter_lines()
    assert json.loads(head)["status"] == 200
    assert ["Content-Type", "audio/wav"] in json.loads(head)["headers"]
    assert b"".join(map(base64.b64decode, data)) == EVERY_BYTE
    assert json.loads(end) == {"end": True}


@pytest.mark.parametrize("status", [204, 301, 401, 404, 422, 426, 429, 500, 503])
def test_the_status_of_the_service_is_not_the_status_of_the_instance(
    chute: DevChute, service: HttpFixture, status: int
) -> None:
    response = call_tunnel(chute, service.port, f"/status/{status}")
    assert response.status_code == 200
    assert json.loads(next(response.iter_lines()))["status"] == status


@pytest.mark.parametrize("call", BAD_CALLS, ids=str)
def test_an_invalid_call_is_a_400_with_the_reason(chute: DevChute, service: HttpFixture, call: Any) -> None:
    body = {**call, "port": service.port} if isinstance(call, dict) and call.get("port") == 0 else call
    response = chute.post(PUBLIC_PATH, body)
    assert response.status_code == 400
    assert response.json()["detail"]["error"]


def test_the_first_bytes_arrive_before_the_service_has_finished(chute: DevChute, service: HttpFixture) -> None:
    service.release.clear()
    with call_tunnel(chute, service.port, "/events?hold=1") as response:
        lines = response.iter_lines(chunk_size=1)
        assert json.loads(next(lines))["status"] == 200
        assert b"data: 0" in base64.b64decode(next(lines))
        service.release.set()
        assert json.loads([*lines][-1]) == {"end": True}


@pytest.mark.parametrize(("target", "lines", "times"), [("/slow", 1, 2), ("/events?hold=1", 2, 6)])
def test_a_client_that_disconnects_ends_the_call_to_the_service(
    chute: DevChute, service: HttpFixture, target: str, lines: int, times: int
) -> None:
    for _ in range(times):
        service.release.clear()
        service.aborted.clear()
        response = call_tunnel(chute, service.port, target)
        # All that there are: the SDK can miss a client that leaves just as it sends the next one.
        assert len([*itertools.islice(response.iter_lines(chunk_size=1), lines)]) == lines
        response.close()
        assert service.aborted.wait(60)
    service.release.set()
    assert call_tunnel(chute, service.port, "/bytes").status_code == 200


def test_a_response_of_any_size_needs_constant_memory(chute: DevChute, service: HttpFixture) -> None:
    def receive(megabytes: int) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        for line in call_tunnel(chute, service.port, f"/large?megabytes={megabytes}").iter_lines(chunk_size=2**18):
            if not line.startswith(b"{"):
                piece = base64.b64decode(line)
                digest.update(piece)
                size += len(piece)
        assert size == megabytes * 2**20
        return digest.hexdigest(), psutil.Process(chute.process.pid).memory_info().rss

    _, before = receive(5)
    digest, after = receive(200)
    assert digest == hashlib.sha256(EVERY_BYTE * 4096 * 200).hexdigest()
    assert after - before < 40 * 2**20


def test_fifty_megabytes_are_uploaded(chute: DevChute, service: HttpFixture) -> None:
    data = os.urandom(50 * 2**20)
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    call = {
        "method": "POST",
        "headers": [["Content-Type", "multipart/form-data; boundary=x"]],
        "body": base64.b64encode(head + data + b"\r\n--x--\r\n").decode(),
    }
    lines = [line for line in call_tunnel(chute, service.port, "/form", **call).iter_lines() if line[:1] != b"{"]
    ((_, file),) = json.loads(b"".join(map(base64.b64decode, lines)))
    assert file["sha256"] == hashlib.sha256(data).hexdigest()
