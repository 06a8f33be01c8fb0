"""The emulator in a thread: its user calls, its page, and a service that is asked without the chute."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.emulator.host_launching import HostLauncher
from chutes_wrappers.emulator.records import ChuteRecord, InstanceState
from chutes_wrappers.emulator.running import Emulator, running_emulator
from chutes_wrappers.host.rehearsal.direct import DirectRequest
from tests.emulator.records import chute_record, cord_record
from tests.scenario import free_port
from tests.upstreams.menagerie import EVERY_BYTE, Menagerie

CODE = """
from chutes.chute import Chute, NodeSelector

chute = Chute(username="tester", name="case", image="tester/case:v1", node_selector=NodeSelector(gpu_count=1), concurrency=4)

@chute.cord(path="/greet", public_api_path="/greet", public_api_method="POST", method="POST")
async def greet(self, call: dict) -> dict:
    print("greeting", flush=True)
    return {"hello": call["name"]}
"""


@dataclass(frozen=True)
class Running:
    emulator: Emulator
    chute: ChuteRecord
    greeted: threading.Event

    def post(self, path: str, body: Any, key: str | None = None, slug: str | None = None) -> requests.Response:
        headers = {
            "Host": f"{slug or self.chute.slug}.localhost",
            "Authorization": f"Bearer {key or self.emulator.key}",
        }
        return requests.post(f"{self.emulator.url}{path}", json=body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    cord = cord_record(path="/greet", public_api_path="/greet", passthrough=False, function="greet")
    chute, active, greeted = chute_record(cord, code=CODE), threading.Event(), threading.Event()

    def hear(line: str) -> None:
        if line.endswith(": active"):
            active.set()
        if "greeting" in line:
            greeted.set()

    with running_emulator(HostLauncher(), on_line=hear) as emulator:
        emulator.deploy(chute)
        assert active.wait(60)
        yield Running(emulator, chute, greeted)


def test_its_user_calls_a_chute_by_its_host(running: Running) -> None:
    assert running.post("/greet", {"name": "you"}).json() == {"hello": "you"}
    assert running.emulator.newest_instance(running.chute).state is InstanceState.ACTIVE
    assert (running.emulator.calls()[-1].path, running.emulator.calls()[-1].status) == ("/greet", 200)


def test_nobody_else_does(running: Running) -> None:
    assert running.post("/greet", {"name": "you"}, key="cpk_other").status_code == 401
    assert running.post("/greet", {"name": "you"}, slug="another").status_code == 404


def test_what_an_instance_prints_is_heard(running: Running) -> None:
    running.post("/greet", {"name": "you"})
    assert running.greeted.wait(20)


def test_a_service_beside_the_chute_is_asked_without_it(running: Running, service: Menagerie) -> None:
    answer = running.emulator.direct(running.chute, DirectRequest(port=service.port, method="GET", target="/bytes"))
    assert (answer.status, answer.content_type, answer.body) == (200, "audio/wav", EVERY_BYTE)
    sent = DirectRequest(port=service.port, method="PUT", target="/echo?a=%2F", headers={"X-A": "1"}, body=b"\x00\xff")
    told = running.emulator.direct(running.chute, sent).body
    assert b'"method": "PUT"' in told
    assert b'"target": "/echo?a=%2F"' in told
    silent = running.emulator.direct(running.chute, DirectRequest(port=free_port(), method="GET", target="/"))
    assert (silent.status, "ClientConnectorError" in silent.problem) == (0, True)


def test_the_page_shows_the_chute(running: Running) -> None:
    assert "Chutes on this machine" in requests.get(running.emulator.url, timeout=20).text
    document = requests.get(f"{running.emulator.url}/emulator/chutes/{running.chute.slug}/openapi.json", timeout=20)
    assert list(document.json()["paths"]) == ["/greet"]
    status = requests.get(f"{running.emulator.url}/emulator/status.json", timeout=20).json()
    assert status["chutes"][0]["instances"][-1]["state"] == "active"
    called = requests.post(
        f"{running.emulator.url}/emulator/call/{running.chute.slug}/greet", json={"name": "page"}, timeout=60
    )
    assert called.json() == {"hello": "page"}


def test_a_port_in_use_is_named(running: Running) -> None:
    with (
        pytest.raises(ConfigurationError, match="--port"),
        running_emulator(HostLauncher(), port=running.emulator.port),
    ):
        pass
