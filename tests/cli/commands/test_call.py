"""``--call``: a real chute on the emulator, called from the command line."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.cli import output, response_output
from chutes_wrappers.cli.commands import call
from chutes_wrappers.core.body_schemas import BINARY
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import Settings, run_platform
from chutes_wrappers.host.calling.trace_events import TraceEvent
from tests.commands import CommandResult, Commands
from tests.emulator.api.client import CORD, Client
from tests.emulator.tokens import TOKEN
from tests.scenario import DEPLOY, ROOT, make_environment
from tests.terminal import Terminal
from tests.upstreams.platform_faults import FAULTS, FaultyPlatform, ReceivedRequest, serve_faulty_platform

CODE = """
from chutes.chute import Chute, NodeSelector
from fastapi import HTTPException, Response

chute = Chute(
    username="tester", name="case", image="tester/case:v1",
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]), concurrency=4,
)
WORDS = ["schön", 256 * "x", "... --- ..."]


@chute.cord(path="/echo", public_api_path="/echo", public_api_method="POST", method="POST")
async def echo(self, call: dict = None) -> dict:
    return {"got": call}


@chute.cord(path="/health", public_api_path="/health", public_api_method="GET", method="GET")
async def health(self) -> dict:
    return {"fine": WORDS[0]}


@chute.cord(path="/sound", public_api_path="/sound", public_api_method="GET", method="GET", output_content_type="audio/wav")
async def sound(self) -> Response:
    return Response(bytes(range(len(WORDS[1]))), media_type="audio/wav")


@chute.cord(path="/text", public_api_path="/text", public_api_method="GET", method="GET", output_content_type="text/plain")
async def text(self) -> Response:
    return Response(WORDS[2], media_type="text/plain")


@chute.cord(path="/events", public_api_path="/events", public_api_method="POST", method="POST", stream=True)
async def events(self, call: dict = None):
    for number in range(3):
        yield "data: %d\\n\\n" % number
    if call.get("ends") == "error":
        yield 'data: {"error": "the service aborted its stream"}\\n\\n'
    if call.get("ends") == "broken":
        yield b"\\xff\\xfe"  # the platform reads each chunk as text


@chute.cord(path="/bytes", public_api_path="/bytes", public_api_method="POST", method="POST")
async def bytes_(self, call: dict) -> dict:
    return {"got": call}


@chute.cord(path="/refuse", public_api_path="/refuse", public_api_method="POST", method="POST")
async def refuse(self, call: dict) -> dict:
    raise HTTPException(status_code=call["status"], detail=call["detail"])
"""
ROUTES = {
    "/echo": "POST",
    "/health": "GET",
    "/sound": "GET",
    "/text": "GET",
    "/events": "POST",
    "/refuse": "POST",
    "/bytes": "POST",
}
BYTES = {
    **BINARY["properties"],
    "n": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    "tags": {"type": "array", "items": {"type": "integer"}},
    "on": {"type": "boolean"},
}
CORDS = [
    {
        **CORD,
        "path": path,
        "public_api_path": path,
        "public_api_method": method,
        "method": method,
        "stream": path == "/events",
        "input_schema": {"type": "object", "properties": BYTES if path == "/bytes" else {}},
    }
    for path, method in ROUTES.items()
]


@dataclass(frozen=True)
class Caller:
    """A user with an API key and an empty folder."""

    commands: Commands
    folder: Path
    key: str
    platform: FaultyPlatform
    chute_id: str

    def call(self, *arguments: str, stdin_text: str = "", **variables: str) -> CommandResult:
        ran = self.commands.run("--call", *arguments, stdin_text=stdin_text, variables=variables)
        assert self.key not in ran.stdout + ran.stderr
        return ran

    def call_ok(self, *arguments: str, stdin_text: str = "") -> str:
        ran = self.call(*arguments, stdin_text=stdin_text)
        assert ran.code == 0, ran.stderr
        return ran.stdout

    def call_failing(self, *arguments: str, **variables: str) -> CommandResult:
        ran = self.call(*arguments, **variables)
        assert ran.code in (1, 2)
        assert "Next:" in ran.stderr
        return ran


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    folder = tmp_path_factory.mktemp("caller")
    settings = Settings(registration_token=TOKEN, folder=tmp_path_factory.mktemp("state"), docker=False)
    with run_platform(settings, HostLauncher()) as emulator, serve_faulty_platform(emulator.url) as platform:
        user = Client.register(emulator.url, "tester")
        user.build_and_wait()
        chute = user.deploy(code=CODE, cords=CORDS)
        assert chute.ok, chute.text
        assert user.get("/chutes/warmup/case").ok
        accounts.write_config(user.account, platform.url, folder / ".chutes" / "config.ini")
        key = user.create_key(admin=False, scopes=[{"object_type": "chutes", "action": "invoke"}])["secret_key"]
        variables = {**make_environment(), "HOME": str(folder), "CHUTES_API_KEY": key}
        yield Caller(Commands(folder, variables), folder, key, platform, chute.json()["chute_id"])


def test_a_body_is_posted_and_json_responses_are_indented(caller: Caller) -> None:
    output_text = caller.call_ok("case", "/echo", "-d", '{"text": "schön", "n": [1]}')
    assert json.loads(output_text) == {"got": {"text": "schön", "n": [1]}}
    assert '\n  "got": {\n' in output_text
    assert "schön" in output_text


def test_half_a_surrogate_pair_is_shown_as_its_escape() -> None:
    assert response_output._format_json(["\ud800"]) == b'[\n  "\\ud800"\n]\n'


def test_without_a_body_the_cord_determines_the_method(caller: Caller) -> None:
    assert json.loads(caller.call_ok("case", "/health")) == {"fine": "schön"}
    caller.call_ok("case", "echo?x=1")
    assert caller.platform.received[-1].path == "/echo?x=1"
    assert (caller.platform.received[-1].method, caller.platform.received[-1].body) == ("POST", b"{}")


def test_a_chute_is_named_by_its_id_and_by_its_module_as_well(caller: Caller) -> None:
    assert caller.call_ok(caller.chute_id, "/health")
    (caller.folder / "deploy_mine.py").write_text(
        'CHUTE_NAME = "case"\nCHUTE_TAG = "v1"\nCHUTE_BASE_IMAGE = "x:1"\nSERVICE_PORTS = [9000]\n'
    )
    assert caller.call_ok("deploy_mine", "/health")
    assert caller.call_ok(str(caller.folder / "deploy_mine.py"), "/health")


def test_files_and_fields_become_the_json_that_the_gateway_accepts(caller: Caller) -> None:
    (caller.folder / "a.wav").write_bytes(b"RIFF\x00\xff")
    fields = (
        "-F",
        "file=@a.wav",
        "-F",
        "model=tiny",
        "-F",
        "tag=a",
        "-F",
        "tag=b=c",
        "-F",
        "raw=@-;type=image/png;filename=x.png",
    )
    got = json.loads(caller.call_ok("case", "/echo", *fields, stdin_text="PNG"))["got"]
    data = base64.b64encode(b"RIFF\x00\xff").decode()
    assert got["file"] == {"filename": "a.wav", "content_type": "audio/wav", "data": data}
    assert (got["model"], got["tag"]) == ("tiny", ["a", "b=c"])
    assert got["raw"] == {"filename": "x.png", "content_type": "image/png", "data": base64.b64encode(b"PNG").decode()}


def test_fields_are_converted_by_the_routes_schema(caller: Caller) -> None:
    (caller.folder / "a.png").write_bytes(b"PNG")
    got = json.loads(
        caller.call_ok("case", "/bytes", "-F", "data=@a.png", "-F", "n=3", "-F", "tags=[1", "-F", "on=true")
    )["got"]
    data = base64.b64encode(b"PNG").decode()
    assert got == {"data": data, "content_type": "image/png", "n": 3, "tags": ["[1"], "on": True}


def test_a_body_comes_from_a_file_or_from_standard_input(caller: Caller) -> None:
    (caller.folder / "body.json").write_text('{"from": "file"}')
    assert json.loads(caller.call_ok("case", "/echo", "-d", "@body.json")) == {"got": {"from": "file"}}
    assert json.loads(caller.call_ok("case", "/echo", "-d", "@-", stdin_text='{"from": "stdin"}')) == {
        "got": {"from": "stdin"}
    }


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("case", "/echo", "-d", "[1]"), '{"body": …}'),
        (("case", "/echo", "-d", "{no"), "not valid JSON"),
        (("case", "/echo", "-d", "@missing.json"), "missing.json"),
        (("case", "/echo", "-F", "file"), "NAME=@FILE"),
        (("case", "/echo", "-F", "file=@missing.wav"), "missing.wav"),
        (("case", "/echo", "-F", "a=b", "-d", "{}"), "cannot be used with -F"),
        (("case", "/health", "-d", "{}"), "accepts no body"),
        (("case", "/ehco", "-d", "{}"), "POST /echo"),
        (("case", "/echo", "-d", '{"stream": true}'), "does not stream"),
        (("case", "/echo?stream=1"), "does not stream"),
        (("case", "/sound", "--output", "missing/a.wav"), "missing/a.wav"),
        (("case", "/sound", "--output", "."), "Is a directory"),
        (("case", "/sound", "--output", "a" * 300), "File name too long"),
    ],
)
def test_names_that_break_the_platform_are_rejected_here(
    caller: Caller, arguments: tuple[str, ...], named: str
) -> None:
    before = len(caller.platform.received)
    ran = caller.call_failing(*arguments)
    assert (ran.code, named in ran.stderr, ran.stdout) == (2, True, ""), ran.stderr
    assert all(request.host.startswith("127.0.0.1") for request in caller.platform.received[before:])


def test_bytes_and_text_go_to_a_pipe_or_a_file_unchanged(caller: Caller) -> None:
    file = caller.folder / "out.wav"
    caller.call_ok("case", "/sound", "--output", "out.wav")
    assert file.read_bytes() == bytes(range(256))
    assert caller.call_ok("case", "/text") == "... --- ..."
    assert [path.name for path in caller.folder.iterdir() if path.name.startswith(".out")] == []


def test_json_is_one_object_for_every_response(caller: Caller) -> None:
    payload = json.loads(caller.call_ok("case", "/sound", "--json"))
    assert base64.b64decode(payload.pop("data")) == bytes(range(256))
    assert payload.pop("milliseconds") >= 0
    assert str(uuid.UUID(payload.pop("invocation_id")))
    assert payload == {"status": 200, "content_type": "audio/wav"}
    assert json.loads(caller.call_ok("case", "/health", "--json"))["body"] == {"fine": "schön"}
    assert json.loads(caller.call_ok("case", "/text", "--json"))["body"] == "... --- ..."
    assert json.loads(caller.call_ok("case", "/text", "--json", "-o", "t.txt"))["bytes"] == 11


def test_a_stream_is_shown_and_an_error_at_its_end_is_raised(caller: Caller) -> None:
    events = "data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert caller.call_ok("case", "/events", "-d", "{}") == events
    for end in ("error", "broken"):
        body = json.dumps({"ends": end})
        ran = caller.call_failing("case", "/events", "-d", body)
        assert (ran.code, ran.stdout.startswith(events)) == (1, True), ran.stderr
        assert caller.call_failing("case", "/events", "-d", body, "-o", "events.txt").code == 1
        assert not (caller.folder / "events.txt").exists()


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (400, "correct the body"),
        (429, "--status case"),
        (404, "--logs case"),
        (500, "--status case"),
        (409, "--logs case"),
    ],
)
def test_an_error_status_is_reported_with_its_meaning(caller: Caller, status: int, named: str) -> None:
    body = json.dumps({"status": status, "detail": "as the service says"})
    ran = caller.call_failing("case", "/refuse", "-d", body, "--json")
    assert (ran.code, named in ran.stderr) == (1, True), ran.stderr
    output_text = json.loads(ran.stdout)
    assert output_text["status"] == (status if status in (400, 429) else 500)
    assert f"X-Chutes-InvocationID: {output_text['invocation_id']}" in ran.stderr
    if status == 400:
        assert "as the service says" in ran.stderr
    assert caller.call_ok("case", "/echo", "-d", "{}")  # an instance with seven failures in a row would be disabled


def test_a_trace_shows_the_platforms_events_and_the_final_status(caller: Caller) -> None:
    *steps, last = caller.call_ok("case", "/health", "--trace").splitlines()
    assert "the instance responded" in steps[-1]
    assert ("the call ended" in last, "status=200" in last) == (True, True)
    body = json.dumps({"status": 404, "detail": "no"})
    ran = caller.call_failing("case", "/refuse", "-d", body, "--trace", "--json")
    payload = json.loads(ran.stdout)
    assert (ran.code, payload["status"]) == (1, 500)
    assert [event["trace"].get("status") for event in payload["events"][:-1]] == [None, 404, 500]
    assert "status 500" in ran.stderr
    assert payload["invocation_id"] in ran.stderr
    assert "--trace" in caller.call_failing("case", "/health", "--trace", "-o", "x").stderr


def test_a_result_in_a_trace_that_is_not_unicode_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    response_output.print_event(TraceEvent(value={"result": "a\ud800"}))
    assert capsys.readouterr().out == "a\\ud800\n"


def test_an_error_of_the_service_is_reported_as_such(caller: Caller) -> None:
    detail = {"error": "the service refused", "status": 422, "content_type": "text/plain", "body": "no such voice"}
    ran = caller.call_failing("case", "/refuse", "-d", json.dumps({"status": 400, "detail": detail}))
    assert "the service in the chute returned 422" in ran.stderr
    assert "no such voice" in ran.stderr


def test_a_call_is_sent_once_and_only_with_a_key(caller: Caller) -> None:
    before = len(caller.platform.received)
    caller.call_failing("case", "/refuse", "-d", '{"status": 500, "detail": ""}')
    assert [request.method for request in caller.platform.received[before:]] == ["GET", "POST"]
    assert "CHUTES_API_KEY" in caller.call_failing("case", "/health", CHUTES_API_KEY="").stderr
    assert "API key" in caller.call_failing("case", "/health", CHUTES_API_KEY="cpk_other").stderr
    assert "missing" in caller.call_failing("missing", "/health").stderr


def test_binary_responses_are_not_printed_on_a_terminal(caller: Caller) -> None:
    variables: Any = {**make_environment(), "HOME": str(caller.folder), "CHUTES_API_KEY": caller.key}
    for path, expected, code in (("/sound", "--output FILE", 1), ("/text", "... --- ...", 0)):
        view = Terminal(["--call", "case", path], variables=variables)
        output_text = view.read()
        view.close()
        assert (view.exitstatus, expected in output_text) == (code, True), output_text


def test_a_long_wait_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    is_shown = threading.Event()

    def heading(line: str) -> None:
        lines.append(line)
        is_shown.set()

    monkeypatch.setattr(call, "_PROGRESS_DELAY_S", 0.0)
    monkeypatch.setattr(output, "print_heading", heading)
    with call._show_progress_when_slow("Waiting for POST /x", "no response yet"):
        assert is_shown.wait(60)
    assert lines == ["Waiting for POST /x"]


def test_an_interrupted_call_ends_with_130_and_leaves_no_file(caller: Caller) -> None:
    variables = {**make_environment(), "HOME": str(caller.folder), "CHUTES_API_KEY": caller.key}
    hang = next(fault for fault in FAULTS if fault.name == "hang")
    reached = threading.Event()

    def hangs(asked: ReceivedRequest) -> bool:
        if asked.changes:
            reached.set()
        return asked.changes

    argv = [*DEPLOY, "--call", "case", "/echo", "-d", "{}", "-o", str(caller.folder / "never.json")]
    with (
        caller.platform.failing(hang, hangs),
        subprocess.Popen(argv, env=variables, cwd=ROOT, stderr=subprocess.PIPE) as process,
    ):
        assert reached.wait(60)
        process.send_signal(signal.SIGINT)
        _, output_text = process.communicate(timeout=60)
        assert process.returncode == 130, output_text
    assert [path.name for path in caller.folder.iterdir() if "never" in path.name] == []
