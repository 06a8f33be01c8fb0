"""``CHUTE_HEADERS`` and the chute's own headers, as a service receives them under the SDK's own ``chutes run --dev``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from chutes.chute import Chute, NodeSelector

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.runtime.tunnel_frames import PUBLIC_PATH, Data, decode
from chutes_wrappers.sdk.cords import register_passthrough_routes
from chutes_wrappers.sdk.describe import describe
from chutes_wrappers.sdk.tunnel_cord import register_tunnel
from tests.dev_chute import DevChute, dev_chute
from tests.upstreams.http_fixture import HttpFixture

from .conftest import Loader

SECRET = "s3cret-of-the-test"
KEY = {"name": "X-Key", "in": "header", "credential": True}
ROUTES: list[dict[str, Any]] = [
    {"path": "/echo", "parameters": [KEY]},
    {"path": "/open", "target_path": "/Echo/open"},
    {"path": "/item", "method": "PUT", "target_path": "/Echo/item"},
    {"path": "/native", "target_path": "/echo", "native": True},
    {"path": "/live", "target_path": "/Echo/live", "stream": True},
]
BEFORE = """
CHUTE_HEADERS = {
    "X-Key": "Key ${SERVICE_KEY}",
    "X-Literal": "$${NAME} costs $5",
    "POST /open": {"x-key": None},
    "PUT /item": {"X-Item": "of its route"},
}
"""
MORE = """
from tools.chute_wrappers import register_tunnel
register_tunnel(chute, [PORT])

@chute.on_startup()
async def boot(self):
    chute.passthrough_headers = {"X-Engine": "set at the start", "X-Literal": "of the chute"}

@chute.cord(public_api_path="/passed", method="POST", passthrough=True, passthrough_path="/echo", passthrough_port=PORT)
async def passed(self, response):
    return response
"""


@pytest.fixture(scope="module")
def chute(service: HttpFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevChute]:
    variables = {"SERVICE_KEY": f" {SECRET} "}
    more = MORE.replace("PORT", str(service.port))
    folder = tmp_path_factory.mktemp("chute")
    with dev_chute(folder, ROUTES, service.port, before=BEFORE, more=more, variables=variables) as running:
        yield running


def read_headers(response: requests.Response) -> dict[str, str]:
    assert response.status_code == 200, response.text
    return {name.lower(): value for name, value in response.json()["headers"].items()}


def test_every_call_has_the_headers_of_the_module_and_of_the_chute(chute: DevChute) -> None:
    headers = read_headers(chute.post("/echo", {"a": 1}))
    assert headers["x-key"] == f"Key {SECRET}"
    assert headers["x-literal"] == "${NAME} costs $5"  # not that of the chute
    assert headers["x-engine"] == "set at the start"
    assert not any(SECRET in line for line in chute.lines)


def test_a_caller_overrides_a_header_that_the_route_declares(chute: DevChute) -> None:
    assert read_headers(chute.post("/echo", {"X-Key": "of the caller"}))["x-key"] == "of the caller"
    assert read_headers(chute.post("/echo", {}, **{"X-Key": "in the query"}))["x-key"] == "in the query"


def test_a_route_leaves_a_header_out_or_adds_one(chute: DevChute) -> None:
    assert "x-key" not in read_headers(chute.post("/open"))
    assert read_headers(chute.post("/item"))["x-item"] == "of its route"


@pytest.mark.parametrize("path", ["/native", "/passed"])
def test_the_passthrough_of_the_sdk_has_them_too(chute: DevChute, path: str) -> None:
    headers = read_headers(chute.post(path, {"a": 1}))
    assert (headers["x-key"], headers["x-engine"]) == (f"Key {SECRET}", "set at the start")


def test_a_stream_has_them(chute: DevChute) -> None:
    (event,) = [line for line in chute.post("/live").text.splitlines() if line]
    sent = json.loads(event.removeprefix("data: "))["headers"]
    assert (sent["X-Key"], sent["X-Engine"]) == (f"Key {SECRET}", "set at the start")


def test_in_the_tunnel_a_header_of_the_client_overrides_them(chute: DevChute, service: HttpFixture) -> None:
    def call(method: str, target: str, *headers: tuple[str, str]) -> dict[str, str]:
        body = {"port": service.port, "method": method, "target": target, "headers": [list(pair) for pair in headers]}
        lines = chute.post(PUBLIC_PATH, body).text.splitlines()
        frames = [decode(f"{line}\n".encode()) for line in lines if line]
        data = b"".join(frame.data for frame in frames if isinstance(frame, Data))
        sent: dict[str, str] = json.loads(data)["headers"]
        return sent

    sent = call("GET", "/echo?a=1")
    assert (sent["X-Key"], sent["X-Engine"]) == (f"Key {SECRET}", "set at the start")
    sent = call("GET", "/echo", ("x-key", "of the client"))
    assert [value for name, value in sent.items() if name.lower() == "x-key"] == ["of the client"]
    assert call("PUT", "/Echo/item")["X-Item"] == "of its route"
    assert "X-Key" not in call("POST", "/Echo/open")


@pytest.fixture
def bare_chute() -> Chute:
    selector = NodeSelector(gpu_count=1, include=["pro_6000"])
    return Chute(username="tester", name="case", image="tester/case:v1", tee=True, node_selector=selector)


MODULE = """
from chutes.chute import Chute, NodeSelector
from tools.chute_wrappers import register_passthrough_routes, register_tunnel

CHUTE_NAME = "case"
{variables}
chute = Chute(
    username="tester", name="case", image="tester/case:v1",
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]), passthrough_headers={{"x-chute": "1"}},
)
register_tunnel(chute, [8080])
register_passthrough_routes(chute, [{{"path": "/a"}}, {{"path": "/b", "native": True}}], 8080)
"""


def test_both_sides_register_the_same_cords(load_module: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    described = []
    for context in ("", "REMOTE"):  # where the variable is not set either, until the chute starts
        monkeypatch.setenv("CHUTES_EXECUTION_CONTEXT", context)
        module = load_module(MODULE.format(variables='CHUTE_HEADERS = {"X-Key": "${SERVICE_KEY}"}'))
        described.append(
            [{**cord, "passthrough": None, "passthrough_port": None} for cord in describe(module.chute)["cords"]]
        )
    assert described[0] == described[1]


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ('CHUTE_HEADERS = {"X-Key": "${KEY}"}\nCHUTE_ENV = {"KEY": "x"}', "KEY is in CHUTE_ENV.*--secret case KEY"),
        ('CHUTE_HEADERS = {"a b": "x"}', "'a b' is not a valid header name"),
        ('CHUTE_HEADERS = {"X-Chute": "x"}', "the SDK's passthrough of POST /b would send X-Chute of the chute's"),
    ],
)
def test_an_invalid_variable_is_refused_when_the_module_is_loaded(
    load_module: Loader, variables: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"(?s){reason}"):
        load_module(MODULE.format(variables=variables))


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        ("", "SERVICE_KEY is not set in the instance's environment"),
        ('CHUTE_HEADERS = {"X-Other": "1"}', "is set or changed after"),
    ],
)
async def test_the_start_ends_for_an_unset_variable_and_a_late_assignment(
    load_module: Loader, monkeypatch: pytest.MonkeyPatch, later: str, reason: str
) -> None:
    monkeypatch.setenv("CHUTES_EXECUTION_CONTEXT", "REMOTE")
    monkeypatch.delenv("SERVICE_KEY", raising=False)
    module = load_module(MODULE.format(variables='CHUTE_HEADERS = {"X-Key": "${SERVICE_KEY}"}') + later)
    with pytest.raises(ConfigurationError, match=reason):
        await module.chute.initialize()


def test_without_headers_nothing_is_added(bare_chute: Chute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTES_EXECUTION_CONTEXT", "REMOTE")
    register_tunnel(bare_chute, [8080])
    register_passthrough_routes(bare_chute, [{"path": "/a"}], 8080)
    assert "PassthroughHeaders" not in str(bare_chute.user_middleware)
