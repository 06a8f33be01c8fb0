"""PLATFORM.md, section 2, sentence by sentence, for instances: the SDK's own code in a real instance."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from chutes_wrappers.emulator.transport import InstanceClient
from tests.emulator.platforms import HEAD, Platform, is_active, make_chute, run_invocation_platform
from tests.upstreams.http_fixture import HttpFixture, serve_http_fixture

MODULE = """
import asyncio, threading

chute.passthrough_headers = {{"X-Chute": "ours"}}
LOOPS = set()


@chute.cord(path="/inner", public_api_path="/outer")
async def outer(self, *args):
    return list(args)


@chute.cord(public_api_path="/item", public_api_method="GET", path="/item_get", method="GET")
async def item_get(self, *args):
    return "got"


@chute.cord(public_api_path="/threads")
def threads(self):
    return threading.current_thread().name


@chute.cord(public_api_path="/threads_now", path="/threads_now")
async def threads_now(self):
    return len([t for t in threading.enumerate() if t.name.startswith("chute-user")])


@chute.cord(public_api_path="/loop")
async def loop(self):
    loop = asyncio.get_running_loop()
    before = len(LOOPS)
    LOOPS.add(loop)
    return {{"is_new": len(LOOPS) == before + 1, "before": before}}


def passthrough(name, target, method="POST", public="POST", stream=False):
    async def handler(self, *args):
        ...
    handler.__name__ = name
    chute.cord(
        path="/" + name, public_api_path="/" + name, public_api_method=public, method=method, passthrough=True,
        passthrough_path=target, passthrough_port={port}, stream=stream,
    )(handler)


passthrough("echo", "/echo")
passthrough("echo_get", "/echo", method="GET", public="GET")
passthrough("echo_slash", "/echo/")
passthrough("echo_put", "/echo", method="PUT")
passthrough("form", "/form")
passthrough("wav", "/bytes", method="GET")
passthrough("text", "/status/200", method="GET")
passthrough("empty", "/status/204", method="GET")
passthrough("missing", "/status/404", method="GET")
passthrough("events", "/events", stream=True)
passthrough("slow", "/slow", method="GET")
"""
STUCK = """
@chute.cord(public_api_path="/endless", stream=True)
def endless(self):
    while True:
        yield "x" * 1000


@chute.cord(public_api_path="/quick")
def quick(self):
    return "quick"
"""


@pytest.fixture(scope="module")
def service() -> Iterator[HttpFixture]:
    with serve_http_fixture() as running:
        yield running


@pytest.fixture(scope="module")
def chute(service: HttpFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    code = HEAD.format(concurrency=8) + MODULE.format(port=service.port)
    with run_invocation_platform() as running:
        record = running.deploy(make_chute(tmp_path_factory.mktemp("module"), code))
        assert is_active(record), record
        yield running


@pytest.fixture(autouse=True)
def _reset_failures(chute: Platform) -> Iterator[None]:
    yield
    chute.post("/outer", {"a": 1})
    assert chute.get_newest().failures == 0


def send_to_instance(chute: Platform, path: str, payload: Any) -> int:
    """Send a call to the instance itself, and return the status."""
    client: InstanceClient = chute.instances._instances[chute.get_newest().instance_id].client

    async def ask() -> int:
        async with client.post(path, payload) as response:
            return response.status

    return chute.run(ask())


def test_on_the_instance_each_cord_is_post_of_its_internal_path(chute: Platform) -> None:
    assert send_to_instance(chute, "/inner", {"a": 1}) == 200
    assert send_to_instance(chute, "/item_get", {}) == 200
    assert send_to_instance(chute, "/outer", {"a": 1}) == 404
    assert send_to_instance(chute, "/item", {}) == 404
    assert "Added new API route: /item_get calling item_get via POST" in chute.log(chute.get_newest().instance_id)


def test_the_instance_rejects_callers_without_its_key(chute: Platform) -> None:
    base_url = chute.instances._instances[chute.get_newest().instance_id].client._base_url
    forged = requests.post(f"{base_url}/inner", json={"a": 1}, headers={"X-Chutes-Signature": "00"}, timeout=60)
    assert forged.status_code == 404  # the path is not encrypted with the key
    assert requests.post(f"{base_url}/inner", json={"a": 1}, timeout=60).status_code >= 400


@pytest.mark.parametrize(
    "path",
    [
        "/ping",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/pricing",
        "/users/me",
        "/images",
        "/chutes/a/b",
        "/jobs",
        "/nodes",
        "/logos",
        "/audit",
        "/secrets",
        "/instances/1/logs",
        "/payments",
    ],
)
def test_on_the_chutes_own_host_the_platforms_routes_come_first(chute: Platform, path: str) -> None:
    assert chute.get(path).text == "the platform itself"


def test_handlers_that_are_not_passthrough_run_in_a_small_thread_pool(chute: Platform) -> None:
    assert chute.post("/threads").json().startswith("chute-user")
    for _ in range(20):
        chute.post("/threads")
    assert chute.post("/threads_now").json() <= 9  # max(4, concurrency + 1)
    assert "Initialized user-code thread pool with 9 workers" in chute.log(chute.get_newest().instance_id)


def test_an_async_handler_runs_on_a_fresh_event_loop_per_call(chute: Platform) -> None:
    replies = [chute.post("/loop").json() for _ in range(3)]
    assert replies == [{"is_new": True, "before": n} for n in range(3)]


def test_a_passthrough_cord_sends_what_it_got_as_json_and_params(chute: Platform) -> None:
    echo = chute.post("/echo", {"n": [1]}, params={"q": "a b"}).json()
    assert (echo["method"], echo["body"], echo["content_type"]) == ("POST", '{"n": [1]}', "application/json")
    assert echo["target"] == "/echo?q=a+b"


def test_a_passthrough_get_gets_the_body_of_two_braces_too(chute: Platform) -> None:
    echo = chute.get("/echo_get", params={"a": "1"}).json()
    assert (echo["method"], echo["body"], echo["target"]) == ("GET", "{}", "/echo?a=1")


def test_a_trailing_slash_is_stripped_so_an_upstream_that_needs_it_is_missed(chute: Platform) -> None:
    assert chute.post("/echo_slash").json()["target"] == "/echo"


def test_the_upstream_method_of_a_cord_is_free(chute: Platform) -> None:
    assert chute.post("/echo_put").json()["method"] == "PUT"


def test_passthrough_opens_a_new_session_per_call(chute: Platform, service: HttpFixture) -> None:
    service.connections.clear()
    for _ in range(3):
        chute.post("/echo")
    assert len(service.connections) == 3


@pytest.mark.parametrize("path", ["/wav", "/text", "/empty"])
def test_passthrough_returns_only_json(chute: Platform, path: str) -> None:
    response = chute.post(path)
    assert (response.status_code, response.json()["detail"][:17]) == (500, "No infrastructure")
    assert chute.get_newest().failures == 1


def test_a_multipart_upload_cannot_reach_a_passthrough(chute: Platform) -> None:
    assert chute.call("POST", "/form", files={"file": b"RIFF"}).status_code == 400


def test_passthrough_headers_of_the_chute_are_sent_upstream_and_client_headers_are_not(chute: Platform) -> None:
    headers = chute.post("/echo", headers={"X-Client": "mine", "Cookie": "a=b"}).json()["headers"]
    assert headers["X-Chute"] == "ours"
    assert not {"X-Client", "Cookie", "Authorization"} & headers.keys()


def test_chunks_of_a_native_stream_are_lines_of_the_upstream_response(chute: Platform) -> None:
    client = chute.instances._instances[chute.get_newest().instance_id].client

    async def chunks() -> list[bytes]:
        async with client.post("/events", {"json": {}, "params": {}}) as response:
            return [chunk async for chunk in response.read_chunks()]

    assert chute.run(chunks()) == [line for n in range(3) for line in (f"data: {n} é\n".encode(), b"\n")]


def test_a_native_streaming_passthrough_whose_client_leaves_is_closed(chute: Platform, service: HttpFixture) -> None:
    service.aborted.clear()
    # The SDK sometimes misses a client that disconnects soon after its response begins (0.6.9, measured).
    for _ in range(5):
        with chute.post("/events", params={"count": "100000", "pause_s": "0.01"}, stream=True) as response:
            assert len([*zip(range(200), response.iter_content(1), strict=False)]) == 200
        if service.aborted.wait(10):
            return
    pytest.fail("the service's response was never closed")


def test_a_passthrough_whose_client_leaves_is_closed(chute: Platform, service: HttpFixture) -> None:
    for event in (service.entered, service.aborted, service.release):
        event.clear()
    with pytest.raises(requests.exceptions.ReadTimeout):
        chute.post("/slow", timeout=2)
    assert service.aborted.wait(60)


def test_a_streaming_handler_whose_client_leaves_keeps_its_thread_four_hang_every_later_call(tmp_path: Path) -> None:
    with run_invocation_platform() as running:
        running.deploy(make_chute(tmp_path, HEAD.format(concurrency=1) + STUCK, concurrency=1))
        assert running.post("/quick").json() == "quick"
        for _ in range(4):
            with running.post("/endless", stream=True) as response:
                next(response.iter_content(1))
            running.run(wait_until_free(running))
        with pytest.raises(requests.exceptions.ReadTimeout):
            running.post("/quick", timeout=2)


async def wait_until_free(running: Platform) -> None:
    """Return when the instance accepts a call again: it counts a call until it detects that the client has disconnected."""

    client = running.instances._instances[running.get_newest().instance_id].client
    while running.get_newest().running_calls:
        await asyncio.sleep(0.02)
    while True:
        async with client.post("/endless_none", {}) as response:
            if response.status == 404:
                return
        await asyncio.sleep(0.02)


def test_the_pods_probe_responds_on_the_logging_port(chute: Platform) -> None:
    # Not from the log: the attestation server uses the same uvicorn, and may silence the line with the port.
    ports = chute.run(chute.instances.list_listening_ports("chute-1"))
    responses = [requests.get(f"http://127.0.0.1:{port}/_alive", timeout=60) for port in ports]
    assert [response.json() for response in responses if response.ok] == [{"alive": True}]
