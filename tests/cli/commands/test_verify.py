"""``--verify``: a deployed chute on the emulator, compared with a record as ``--emulate`` writes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import Settings, run_platform
from chutes_wrappers.host.modules.module_facts import read_module
from chutes_wrappers.host.parity.comparison import HttpResponse, normalize_content
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.recording import compute_example_hash
from chutes_wrappers.host.parity.response_record import (
    CordRecord,
    ResponseRecord,
    RouteRecord,
    build_record_path,
    compute_source_hashes,
    write_record,
)
from tests.commands import CommandResult, Commands
from tests.emulator.api.client import CORD, Client
from tests.emulator.tokens import TOKEN
from tests.scenario import make_environment
from tests.terminal import Terminal
from tests.upstreams.platform_faults import FaultyPlatform, serve_faulty_platform

SOURCE = """
from chutes.chute import Chute, NodeSelector
from fastapi import HTTPException

CHUTE_NAME = "case"
CHUTE_TAG = "v1"
CHUTE_BASE_IMAGE = "x:1"
SERVICE_PORTS = [9000]
CHUTE_EXAMPLES = {"POST /echo": {"text": "SOS"}}
chute = Chute(
    username="tester", name="case", image="tester/case:v1",
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]), concurrency=4,
)


@chute.cord(path="/cw_post/echo", public_api_path="/echo", public_api_method="POST", method="POST")
async def echo(self, call: dict) -> dict:
    return call


@chute.cord(path="/cw_get/now", public_api_path="/now", public_api_method="GET", method="GET")
async def now(self) -> dict:
    return {"id": __import__("uuid").uuid4().hex}


async def busy(self, call: dict = None) -> dict:
    raise HTTPException(status_code=429, detail="no room")


for letter in "abcd":
    path = f"/cw_post/busy{letter}"
    chute.cord(path=path, public_api_path=path[8:], public_api_method="POST", method="POST")(busy)
"""
BUSY = [f"/busy{letter}" for letter in "abcd"]
ROUTES = {"/echo": "POST", "/now": "GET", **dict.fromkeys(BUSY, "POST")}
CORDS = [
    {
        **CORD,
        "path": f"/cw_{method.lower()}{path}",
        "public_api_path": path,
        "public_api_method": method,
        "method": method,
    }
    for path, method in ROUTES.items()
]
JSON = ("application/json",)


def make_route(path: str, example: Any = None, **fields: Any) -> RouteRecord:
    call = PublicCall(method=ROUTES[path], path=path, example=example or {})
    values = {
        "example": compute_example_hash(call),
        "media_types": JSON,
        "status": 200,
        "service_status": 200,
        **fields,
    }
    return RouteRecord(method=call.method, path=path, **values)


def make_echo(body: str) -> RouteRecord:
    content = normalize_content(HttpResponse(status=200, content_type=JSON[0], body=body.encode()))
    return make_route(
        "/echo",
        {"text": "SOS"},
        body=hashlib.sha256(body.encode()).hexdigest(),
        content=hashlib.sha256(content).hexdigest(),
        size=len(body),
        shape={"text": "string"},
        is_deterministic=True,
    )


ECHO, CHANGED_ECHO = make_echo('{"text":"SOS"}'), make_echo('{"text":"TEST"}')
NOW = make_route("/now", shape={"id": "string"}, size=9)
REFUSED = [make_route(path, reason="the service responded 422") for path in BUSY]


@dataclass(frozen=True)
class World:
    """A user with an account, an API key, a module that is deployed, and its manifest."""

    commands: Commands
    module: Path
    key: str
    platform: FaultyPlatform
    user: Client

    def write_record(self, routes: Sequence[RouteRecord], cords: Sequence[dict[str, Any]] = CORDS) -> Path:
        facts = read_module(self.module)
        fingerprints = compute_source_hashes(facts, Manifest())
        kept = [CordRecord(**{name: cord[name] for name in CordRecord.model_fields}) for cord in cords]
        record = ResponseRecord(**fingerprints, cords=tuple(kept), routes=tuple(routes))  # type: ignore[arg-type]
        write_record(record, build_record_path(facts))
        return build_record_path(facts)

    def verify(self, *arguments: str, **variables: str) -> CommandResult:
        self.platform.received.clear()
        ran = self.commands.run("--verify", str(self.module), *arguments, variables=variables)
        assert self.key not in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr
        return ran

    @property
    def called(self) -> list[str]:
        return [request.path for request in self.platform.received if ".localhost" in request.host]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("verified")
    module = folder / "deploy_case.py"
    module.write_text(SOURCE)
    routes = tuple(Route.model_validate({"path": path, "method": method}) for path, method in ROUTES.items())
    write_manifest(Manifest(routes=routes), module.with_suffix(".routes.json"))
    settings = Settings(registration_token=TOKEN, folder=folder / "state", docker=False)
    with run_platform(settings, HostLauncher()) as emulator, serve_faulty_platform(emulator.url) as platform:
        user = Client.register(emulator.url, "tester")
        user.build_and_wait()
        assert user.deploy(code=SOURCE, cords=CORDS).ok
        accounts.write_config(user.account, platform.url, folder / "config.ini")
        key = user.create_key(admin=False, scopes=[{"object_type": "chutes", "action": "invoke"}])["secret_key"]
        config = str(folder / "config.ini")
        variables = {
            **make_environment(),
            "HOME": str(folder),
            "CHUTES_API_KEY": key,
            "CHUTES_CONFIG_PATH": config,
        }
        yield World(Commands(folder, variables), module, key, platform, user)


def test_a_cold_chute_is_warmed_up_and_equal_responses_are_a_proof(world: World) -> None:
    world.write_record([NOW, ECHO, *REFUSED])
    ran = world.verify("--yes")
    assert ran.code == 0, ran.stderr
    assert "case is cold" in ran.stderr
    assert world.called == ["/echo", "/now"]
    assert "POST /busyd (the service responded 422)" in ran.stderr
    last = ran.stderr.splitlines()[-1]
    assert last.endswith("Of 6 routes, 2 called: 2 equal, 0 different, 0 failed; 4 not called")
    assert "same bytes" in ran.stdout
    assert "same shape; the service responds differently each time" in ran.stdout


def test_the_result_as_json(world: World) -> None:
    world.write_record([NOW, CHANGED_ECHO, *REFUSED[:1]])
    ran = world.verify("--yes", "--json")
    assert ran.code == 1, ran.stderr
    result = json.loads(ran.stdout)
    counts = {name: result[name] for name in ("good", "equal", "different", "failed", "not_called", "stopped_early")}
    assert counts == {
        "good": False,
        "equal": 1,
        "different": 1,
        "failed": 0,
        "not_called": 1,
        "stopped_early": False,
    }
    routes = {route["route"]: route for route in result["routes"]}
    assert routes["POST /echo"] | {"milliseconds": 0} == {
        "route": "POST /echo",
        "stream": False,
        "result": "different",
        "reason": "the content differs from the recorded response (15 bytes became 14)",
        "status": 200,
        "media_type": "application/json",
        "bytes": 14,
        "milliseconds": 0,
    }
    assert (routes["POST /busya"]["result"], routes["POST /busya"]["status"]) == ("not called", None)


def test_a_difference_is_shown_with_its_evidence_and_a_next_step(world: World) -> None:
    world.write_record([CHANGED_ECHO])
    ran = world.verify("--yes")
    assert ran.code == 1
    assert "POST /echo differs: the content differs" in ran.stderr
    assert '{"text":"SOS"}' in ran.stderr.replace(" ", "")
    assert "Next:" in ran.stderr
    assert "--logs case" in ran.stderr


def test_three_failures_in_a_row_end_the_calls(world: World) -> None:
    world.write_record([make_route(path, shape={}) for path in BUSY])
    ran = world.verify("--yes", "--json")
    result = json.loads(ran.stdout)
    assert (ran.code, world.called, result["stopped_early"]) == (1, BUSY[:3], True)
    assert (result["failed"], result["not_called"]) == (3, 1)
    assert "POST /busya failed: status 200 became 429" in ran.stderr
    assert "stopped after 3 failures in a row: 1 more to call" in ran.stderr
    assert "Next: call again later" in ran.stderr
    assert "--build" not in ran.stderr  # the service is not known to have changed


def test_without_a_success_to_repeat_nothing_is_called_or_proven(world: World) -> None:
    world.write_record(REFUSED)
    ran = world.verify("--yes")
    assert (ran.code, world.called) == (1, [])
    assert "nothing is proven about case. Of 4 routes, 0 called" in ran.stderr
    assert "CHUTE_EXAMPLES" in ran.stderr


def test_without_a_terminal_it_needs_yes(world: World) -> None:
    world.write_record([ECHO])
    ran = world.verify()
    assert (ran.code, world.called) == (2, [])
    assert "cannot confirm 1 call, one at a time, to http://" in ran.stderr
    assert "add --yes" in ran.stderr


def test_at_a_terminal_no_calls_nothing(world: World) -> None:
    world.write_record([ECHO])
    world.platform.received.clear()
    view = Terminal(
        ["--verify", str(world.module)], folder=world.commands.folder, variables=dict(world.commands.variables)
    )
    view.expect(r"Call case now\? \[y/N\]")
    assert "Calls are billed" in str(view.before)
    view.sendline("n")
    output_text = view.read()
    view.close()
    assert (view.exitstatus, world.called, "not confirmed" in output_text) == (1, [], True)


def test_a_record_that_is_missing_or_stale_is_an_error_before_any_request(world: World) -> None:
    path = world.write_record([ECHO])
    record = path.read_text()
    path.unlink()
    ran = world.verify("--yes")
    assert (ran.code, "no record of its responses" in ran.stderr, world.platform.received) == (2, True, [])
    assert "--emulate" in ran.stderr
    path.write_text(record.replace(json.loads(record)["module"], "0" * 64))
    ran = world.verify("--yes")
    assert (ran.code, "the module changed after the record" in ran.stderr, world.platform.received) == (2, True, [])


def test_without_a_key_or_an_account_nothing_is_called(world: World) -> None:
    world.write_record([ECHO])
    ran = world.verify("--yes", CHUTES_API_KEY="")
    assert (ran.code, "CHUTES_API_KEY" in ran.stderr, world.called) == (2, True, [])
    ran = world.verify("--yes", CHUTES_CONFIG_PATH=str(world.module.with_name("none.ini")))
    assert (ran.code, "Next:" in ran.stderr, world.called) == (2, True, [])


def test_a_disabled_chute_is_neither_warmed_up_nor_called(world: World) -> None:
    world.write_record([ECHO])
    assert world.commands.run("--disable", "case", "--yes").code == 0
    try:
        ran = world.verify("--yes")
    finally:
        assert world.commands.run("--enable", "case").code == 0
    assert (ran.code, world.called) == (1, [])
    assert "enable it with --enable case" in ran.stderr
    assert "/chutes/warmup/" not in " ".join(request.path for request in world.platform.received)


def test_another_version_of_the_module_must_be_deployed_first(world: World) -> None:
    world.write_record([ECHO], cords=CORDS[:-1])
    ran = world.verify("--yes")
    assert (ran.code, world.called) == (1, [])
    assert "its cords differ at /busyd" in ran.stderr
    assert "deploy it first" in ran.stderr
    world.module.write_text(SOURCE + "# changed\n")
    try:
        world.write_record([ECHO])
        ran = world.verify("--yes")
    finally:
        world.module.write_text(SOURCE)
    assert (ran.code, world.called) == (1, [])
    assert "its source is not that of deploy_case.py" in ran.stderr
