"""Clients of the original API, through the typed routes of a chute under the SDK's ``chutes run --dev``."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.exposure import CATEGORIES
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.chute_client import Chute, ChuteAddress
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.host.forwarding.route_transport import RouteTransport
from chutes_wrappers.runtime.tunnel_frames import TunnelCall
from tests.dev_chute import dev_chute
from tests.host.forwarding.forwarders import forwarder_thread
from tests.upstreams.http_fixture import EVERY_BYTE, HttpFixture

ROUTES: list[dict[str, Any]] = [
    *({"path": "/echo", "method": method} for method in ("GET", "PUT", "PATCH", "DELETE")),
    {"path": "/echo", "method": "POST", "parameters": [{"name": "tag", "in": "query"}]},
    {"path": "/Echo/{id}/X.y", "method": "DELETE"},
    {"path": "/form", "request": {"encoding": "multipart", "files": ["file"]}},
    {"path": "/bytes", "method": "GET"},
    {"path": "/large", "method": "GET"},
    {"path": "/large", "method": "HEAD"},
    {"path": "/status/{code}", "method": "GET"},
    {"path": "/slow", "method": "GET"},
    {"path": "/events", "method": "GET", "stream": True},
    {"path": "/chat", "stream": "switch"},
]


@pytest.fixture(scope="module")
def url(service: HttpFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    plan = plan_cords([Route.model_validate(route) for route in ROUTES], service.port, expose=CATEGORIES)
    with (
        dev_chute(tmp_path_factory.mktemp("chute"), ROUTES, service.port) as chute,
        forwarder_thread(
            chute.base_url, service.port, lambda target: RouteTransport(target, RouteTable(plan.cords))
        ) as port,
    ):
        yield f"http://127.0.0.1:{port}"


async def test_json_without_an_end_is_streamed() -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[1")
        with contextlib.suppress(OSError):  # until the client closes the connection
            while True:
                writer.write(b", 1" * 1000)
                await writer.drain()
        writer.close()

    routes = RouteTable(
        plan_cords([Route.model_validate({"path": "/echo", "request": {"encoding": "none"}})], 9000).cords
    )
    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with (
        server,
        Chute(ChuteAddress(url=url)) as chute,
        RouteTransport(chute, routes).send(TunnelCall(port=9000, method="POST", target="/echo")) as response,
    ):
        assert response.head.headers == (("Content-Type", "application/json"),)
        assert (await anext(response.pieces)).startswith(b"[1")
        assert await anext(response.pieces)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_reaches_the_service_as_itself(url: str, method: str) -> None:
    body = None if method == "GET" else {"a": [1, {"b": "é"}]}
    seen = requests.request(method, f"{url}/echo?q=%C3%A9", json=body, timeout=60).json()
    assert (seen["method"], seen["target"]) == (method, "/echo?q=%C3%A9")
    assert seen["body"].encode("latin-1").decode() == ("" if body is None else '{"a":[1,{"b":"é"}]}')


def test_path_parameters_and_repeated_ones_arrive(url: str) -> None:
    assert requests.delete(f"{url}/Echo/a%20b%2Fc/X.y", timeout=60).json()["target"] == "/Echo/a%20b%2Fc/X.y"
    assert requests.post(f"{url}/echo?tag=1&tag=2", json={}, timeout=60).json()["target"] == "/echo?tag=1&tag=2"
    assert requests.post(f"{url}/echo", json=[1], timeout=60).json()["body"] == "[1]"


def test_an_upload_arrives_with_its_name_type_and_bytes(url: str) -> None:
    files = {"file": ("ä.bin", EVERY_BYTE, "x/y")}
    assert requests.post(f"{url}/form", files=files, data={"x": ["1", "2"], "data": "3"}, timeout=60).json() == [
        ["x", "1"],
        ["x", "2"],
        ["data", "3"],
        ["file", {"filename": "ä.bin", "type": "x/y", "sha256": hashlib.sha256(EVERY_BYTE).hexdigest()}],
    ]


def test_bytes_are_returned_with_their_media_type(url: str) -> None:
    response = requests.get(f"{url}/bytes", timeout=60)
    assert (response.content, response.headers["Content-Type"]) == (EVERY_BYTE, "audio/wav")
    assert requests.get(f"{url}/large?megabytes=20", timeout=60).content == EVERY_BYTE * 4096 * 20


def test_a_head_is_carried_by_a_route_of_its_own_only(url: str) -> None:
    assert requests.head(f"{url}/bytes", timeout=60).status_code == 404
    response = requests.head(f"{url}/large?megabytes=1", timeout=60)
    assert (response.status_code, response.content, "Content-Length" in response.headers) == (200, b"", False)


def test_a_success_has_the_services_status(url: str) -> None:
    assert requests.get(f"{url}/status/201", timeout=60).status_code == 201


@pytest.mark.parametrize("status", [204, 206, 302, 401, 404, 422, 429, 500])
def test_the_services_status_and_body_are_returned(url: str, status: int) -> None:
    response = requests.get(f"{url}/status/{status}", timeout=60)
    assert response.status_code == status
    assert response.text == ("" if status == 204 else f"this is {status}")


def test_events_arrive_as_they_are_made_and_the_switch_decides(url: str, service: HttpFixture) -> None:
    service.assert_streams_incrementally(f"{url}/events")
    assert requests.post(f"{url}/chat", json={"text": "a b"}, timeout=60).json() == {"answer": "a b"}
    assert (
        requests.post(f"{url}/chat", json={"text": "a", "stream": True}, timeout=60).text
        == "data: a\n\ndata: [DONE]\n\n"
    )


def test_a_client_disconnect_ends_the_call_to_the_service(url: str, service: HttpFixture) -> None:
    service.assert_detects_disconnect(f"{url}/slow")


def test_a_request_without_a_route_suggests_the_tunnel(url: str) -> None:
    response = requests.get(f"{url}/nowhere", timeout=60)
    assert response.status_code == 404
    assert "add register_tunnel(chute, SERVICE_PORTS) to the module" in response.text
