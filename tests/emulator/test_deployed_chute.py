"""A deployed chute: its instances, their output, and direct requests to its service."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from chutes_wrappers.emulator import runner
from chutes_wrappers.emulator.deployed_chute import DeployedChute
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.page.page_access import SECRET_HEADER
from chutes_wrappers.emulator.records import InstanceState
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.scenario import find_free_port
from tests.upstreams.http_fixture import EVERY_BYTE, HttpFixture
from tests.upstreams.recording import RecordedReply, serve_recorder
from tests.upstreams.scripted import Reply, serve_script


@dataclass(frozen=True)
class Running:
    platform: RunningPlatform
    chute: DeployedChute
    greeted: threading.Event

    def post(self, path: str, body: Any, key: str | None = None, slug: str | None = None) -> requests.Response:
        headers = {
            "Host": f"{slug or self.chute.record.slug}.localhost",
            "Authorization": f"Bearer {key or self.platform.key}",
        }
        return requests.post(f"{self.platform.url}{path}", json=body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    active, greeted = threading.Event(), threading.Event()

    def handle_line(line: str) -> None:
        if line.endswith(": active"):
            active.set()
        if "greeting" in line:
            greeted.set()

    settings = Settings(
        registration_token=TOKEN, folder=tmp_path_factory.mktemp("state"), docker=False, on_line=handle_line
    )
    with run_platform(settings, HostLauncher()) as platform:
        user = Client.register(platform.url, "tester")
        user.build_and_wait()
        slug = user.deploy().json()["slug"]
        assert user.get("/chutes/warmup/case", quick="true").ok
        assert active.wait(60)
        yield Running(platform, platform.get_deployed_chute(slug), greeted)


def test_a_user_calls_a_chute_by_its_host(running: Running) -> None:
    assert running.post("/greet", {"name": "you"}).json() == {"hello": "you"}
    assert running.chute.get_newest_instance().state is InstanceState.ACTIVE
    assert (running.platform.list_calls()[-1].path, running.platform.list_calls()[-1].status) == ("/greet", 200)


def test_unknown_keys_and_slugs_are_rejected(running: Running) -> None:
    assert running.post("/greet", {"name": "you"}, key="cpk_other").status_code == 401
    assert running.post("/greet", {"name": "you"}, slug="another").status_code == 404


def test_output_of_an_instance_is_passed_on(running: Running) -> None:
    running.post("/greet", {"name": "you"})
    assert running.greeted.wait(60)


def test_a_direct_request_reaches_the_service(running: Running, service: HttpFixture) -> None:
    response = running.chute.send_direct(DirectRequest(port=service.port, method="GET", target="/bytes"))
    assert (response.status, response.content_type, response.body) == (200, "audio/wav", EVERY_BYTE)
    sent = DirectRequest(port=service.port, method="PUT", target="/echo?a=%2F", headers={"X-A": "1"}, body=b"\x00\xff")
    body = running.chute.send_direct(sent).body
    assert b'"method": "PUT"' in body
    assert b'"target": "/echo?a=%2F"' in body
    silent = running.chute.send_direct(DirectRequest(port=find_free_port(), method="GET", target="/"))
    assert (silent.status, silent.problem_kind) == (0, "unreachable")


def test_a_direct_request_follows_redirects_within_the_service_only(running: Running, service: HttpFixture) -> None:
    within = running.chute.send_direct(DirectRequest(port=service.port, method="GET", target="/redirect"))
    assert (within.status, b"redirected=yes" in within.body) == (200, True)
    with serve_recorder() as other, serve_recorder(redirect_to(other.root)) as server:
        elsewhere = running.chute.send_direct(DirectRequest(port=server.port, method="GET", target="/"))
    assert (elsewhere.status, elsewhere.problem) == (302, "")
    assert (len(server.requests), other.requests) == (1, [])
    with serve_recorder(redirect_to("http://[bad")) as server:
        invalid = running.chute.send_direct(DirectRequest(port=server.port, method="GET", target="/"))
    assert (invalid.status, invalid.problem) == (302, "")


async def test_a_stream_of_the_service_without_an_end_is_not_read_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_MAX_DIRECT_BYTES", 2 * 1024**2)
    endless = {"/x": lambda: Reply(body=itertools.repeat(b"x" * 1024**2), content_type="text/event-stream")}
    with serve_script(endless) as server:
        request = {
            "port": int(server.root.rpartition(":")[2]),
            "method": "GET",
            "target": "/x",
            "headers": {},
            "body": "",
            "timeout": 60.0,
            "sample": 60.0,
        }
        response = await runner._send_direct_request(request)
    assert response == {"problem": "the response is larger than 2 MiB", "kind": "broken"}


def test_of_a_stream_without_an_end_the_beginning_is_read(running: Running) -> None:
    is_done = threading.Event()

    def tick() -> Iterator[bytes]:
        yield b"data: 1\n\n"
        is_done.wait(60)

    feed = {"/x": lambda: Reply(body=tick(), content_type="text/event-stream")}
    with serve_script(feed) as server:
        request = DirectRequest(port=int(server.root.rpartition(":")[2]), method="GET", target="/x")
        response = running.chute.send_direct(request, sample_s=0.1)
        assert (response.status, response.body, response.is_cut) == (200, b"data: 1\n\n", True)
        late = running.chute.send_direct(request, timeout_s=0.5, sample_s=60)
        is_done.set()
    assert (late.status, late.problem_kind) == (0, "timeout")


def redirect_to(url: str) -> RecordedReply:
    return RecordedReply(status=302, headers={"Location": url})


def test_the_page_shows_the_chute(running: Running) -> None:
    assert "Chutes on this machine" in requests.get(running.platform.url, timeout=60).text
    page, _, secret = running.platform.page_url.partition("#")
    slug, access = running.chute.record.slug, {SECRET_HEADER: secret}
    document = requests.get(f"{page}emulator/chutes/{slug}/openapi.json", headers=access, timeout=60)
    assert list(document.json()["paths"]) == ["/greet"]
    status = requests.get(f"{page}emulator/status.json", headers=access, timeout=60).json()
    assert status["chutes"][0]["instances"][-1]["state"] == "active"
    called = requests.post(f"{page}emulator/call/{slug}/greet", json={"name": "page"}, headers=access, timeout=60)
    assert called.json() == {"hello": "page"}
