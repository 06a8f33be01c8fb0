"""Warm-ups at servers of 2025 and of 2026, well-behaved and not: how they end, within the timeout, and why."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chutes_wrappers.cli.commands import start_log, warmup
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_checks import compute_chute_id
from chutes_wrappers.host.account.credentials import Credentials, NoCredentials
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from tests.upstreams.scripted import Reply, ScriptedServer, json_reply, serve_script

CHUTE_ID = compute_chute_id("tester", "case")
WARMUP, CHUTE = f"/chutes/warmup/{CHUTE_ID}?quick=true", f"/chutes/{CHUTE_ID}"
LIST = "/chutes/?include_public=false&page=0&limit=100"
LOG = "/instances/i1/logs?backfill=200"
STARTING = {"instance_id": "i1", "active": False, "verified": False}
ACTIVE = {"instance_id": "i1", "active": True, "verified": True}
# api-observed 107, 108 and PLATFORM.md, section 5.
COLD = b'data: {"status": "cold", "log": "waiting for instances ..."}\n\n'
HOT = b'data: {"status": "hot", "log": "chute is hot, 1 instances available"}\n\n'
QUICK = {"status": "cold", "instance_count": 0, "bounty": None, "instances": []}


class Tester(NoCredentials):
    """An account whose requests the scripted server accepts."""

    username = "tester"


class Script:
    """A server with one chute, whose instances are ``states``, one after the other, and then the last of them."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.released = threading.Event()
        self.has_expired = False
        self.states: list[list[dict[str, Any]]] = [[]]
        server.script[CHUTE] = self._next_state

    def _next_state(self) -> Reply:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return json_reply({"chute_id": CHUTE_ID, "name": "case", "user": {"username": "tester"}, "instances": state})

    def stream(self, *pieces: bytes, stays_open: bool = True) -> Reply:
        """Return an event stream that sends ``pieces`` and stays open."""

        def send() -> Iterator[bytes]:
            yield from pieces
            if stays_open:
                self.released.wait(60)

        return Reply(body=send(), content_type="text/event-stream; charset=utf-8")

    def drip(self) -> Reply:
        """Return an event stream without an event, and without an end."""

        def send() -> Iterator[bytes]:
            while not self.released.wait(0.02):
                yield b"."

        return Reply(body=send(), content_type="text/event-stream")

    def hang(self) -> Reply:
        """Do not respond before the test ends."""
        self.has_expired = not self.released.wait(60)
        return Reply(status=500)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setattr(warmup, "_POLL_S", 0.01)
    monkeypatch.setattr(start_log, "_RETRY_S", 0.01)
    monkeypatch.setattr(start_log, "_LAST_LINES_S", 60)  # its threads end with the log
    monkeypatch.setattr(api_client, "_FIRST_EVENT_S", 0.1)
    monkeypatch.setenv("CHUTES_API_KEY", "cpk_canary")
    with serve_script({}) as server:

        def connect(credentials: Credentials | None = None) -> PlatformApi:
            return PlatformApi(server.root, credentials or Tester(), timeout_s=30)

        monkeypatch.setattr(api_client, "connect", connect)
        script = Script(server)
        yield script
        script.released.set()


def warm_up(timeout_s: float = 30.0, **options: Any) -> int:
    return warmup.warm_up("case", timeout_s=timeout_s, **{"as_json": False, **options})


@pytest.mark.parametrize(
    ("reply", "instances"),
    [
        (lambda script: script.stream(HOT), []),
        (lambda script: json_reply({**QUICK, "status": "hot", "bounty": {"amount": 1}, "instances": [ACTIVE]}), ["i1"]),
        (lambda script: json_reply({"status": "hot"}), []),
        (lambda script: json_reply({"status": "hot", "instances": [{"active": True}, None]}), []),
    ],
)
def test_a_hot_chute_is_a_success_at_once(
    script: Script,
    capsys: pytest.CaptureFixture[str],
    reply: Callable[[Script], Reply],
    instances: list[str],
) -> None:
    script.server.script[WARMUP] = reply(script)
    assert warm_up(as_json=True) == 0
    payload = json.loads(capsys.readouterr().out)
    assert payload == {"chute_id": CHUTE_ID, "status": "hot", "instances": instances}
    assert script.server.received == [CHUTE, WARMUP]


COLD_REPLIES: dict[str, Callable[[Script], Reply]] = {
    "a stream of 2025": lambda script: script.stream(COLD),
    "a stream that ends": lambda script: script.stream(COLD, stays_open=False),
    "a silent stream": lambda script: script.stream(b""),
    "a dripping stream": lambda script: script.drip(),
    "the response of 2026": lambda script: json_reply(QUICK),
    "a bounty": lambda script: json_reply({**QUICK, "bounty": {"amount": 100, "expires_in": 1}}),
}


@pytest.mark.parametrize("name", COLD_REPLIES)
def test_a_cold_chute_is_waited_for(script: Script, capsys: pytest.CaptureFixture[str], name: str) -> None:
    script.server.script[WARMUP] = COLD_REPLIES[name](script)
    script.states = [[], [], [STARTING], [ACTIVE]]
    assert warm_up(as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["instances"] == ["i1"]


class LongPauses:
    """A clock on which each pause between two requests lasts an hour, so that a timeout passes on any machine."""

    def __init__(self) -> None:
        self._offset_s = 0.0

    def sleep(self, seconds: float) -> None:
        self._offset_s += 3600.0

    def monotonic(self) -> float:
        return time.monotonic() + self._offset_s


@pytest.mark.parametrize("name", COLD_REPLIES)
def test_the_timeout_ends_the_wait(script: Script, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(warmup, "time", LongPauses())
    script.server.script[WARMUP] = COLD_REPLIES[name](script)
    with pytest.raises(WrapperError, match="case is cold: no instance is active after 30 s") as caught:
        warm_up()
    assert "no instance yet" in str(caught.value)
    assert "--timeout" in (caught.value.next_step or "")


@pytest.mark.parametrize("path", [CHUTE, WARMUP])
def test_the_timeout_ends_a_request_without_a_response(script: Script, path: str) -> None:
    script.server.script[WARMUP] = json_reply(QUICK)
    script.server.script[path] = script.hang
    with pytest.raises(WrapperError):
        warm_up(timeout_s=0.3)
    assert not script.has_expired


@pytest.mark.parametrize(
    ("status", "detail", "next_step"),
    [
        (402, "Account balance is 0", "pay in"),
        (503, "chute is disabled", "--enable case"),
        (404, "Chute not found, or does not belong to you", "--list-chutes"),
    ],
)
def test_a_refusal_is_reported_at_once(script: Script, status: int, detail: str, next_step: str) -> None:
    script.server.script[WARMUP] = Reply(status=status, body=json.dumps({"detail": detail}).encode())
    with pytest.raises(PlatformRequestFailed, match=detail) as caught:
        warm_up()
    assert next_step in (caught.value.next_step or "")


@pytest.mark.parametrize("fields", ['"status": "error", "log": "no GPU fits"', '"error": "no GPU fits"'])
def test_an_error_in_the_stream_is_the_reason(script: Script, fields: str) -> None:
    script.server.script[WARMUP] = script.stream(b"data: {%s}\n\n" % fields.encode())
    with pytest.raises(WrapperError, match="case is cold: the platform reports an error") as caught:
        warm_up()
    assert caught.value.evidence == "no GPU fits"


def test_an_instance_that_ends_before_it_is_active_has_a_startup_log(script: Script) -> None:
    script.server.script[WARMUP] = script.stream(COLD)
    script.states = [[], [STARTING], []]
    with pytest.raises(WrapperError, match="its instance disappeared before it was active") as caught:
        warm_up()
    assert "--logs case --startup" in (caught.value.next_step or "")


def test_an_interrupted_wait_says_that_the_platform_goes_on(
    script: Script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class InterruptedPauses(LongPauses):
        def sleep(self, seconds: float) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(warmup, "time", InterruptedPauses())
    script.server.script[WARMUP] = json_reply(QUICK)
    script.states = [[STARTING]]
    with pytest.raises(KeyboardInterrupt):
        warm_up()
    assert (
        "may go on with the start of an instance of case; ./deploy.sh --disable case ends it" in capsys.readouterr().err
    )


def test_a_late_instance_is_named_with_its_state(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "time", LongPauses())
    script.server.script[WARMUP] = json_reply(QUICK)
    script.states = [[STARTING]]
    with pytest.raises(WrapperError, match="i1 is starting") as caught:
        warm_up()
    assert "--warmup case --follow" in (caught.value.next_step or "")


def follow(script: Script, log: list[Reply], **options: Any) -> int:
    """Warm up with ``--follow``. The instance is active soon after its log was requested as often as ``log`` has replies."""
    replies = iter(log)
    last_states = iter([*([[STARTING]] * 5), *([[ACTIVE]] * 5)])

    def read() -> Reply:
        return next(replies, Reply(status=404))

    def next_state() -> Reply:
        is_read = script.server.received.count(LOG) >= len(log)
        script.states = [next(last_states) if is_read else [STARTING]]
        return Script._next_state(script)

    script.server.script.update({WARMUP: script.stream(COLD), CHUTE: next_state, LOG: read})
    return warm_up(follows=True, **options)


def test_the_log_is_shown_while_the_instance_starts(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    first = b'data: {"event": "connected"}\n\ndata: {"log": "loading"}\n\n.\n\ndata: {"log": "half"}\n\n'
    again = b'data: {"log": "loading"}\n\ndata: {"log": "half"}\n\ndata: {"log": "\\u001b[32mready\\u001b[0m"}\n\n'
    refused = Reply(status=401, body=b'{"detail": "Either payload_str or purpose must be provided"}')
    log = [refused, Reply(status=404), script.stream(first, stays_open=False), script.stream(again, stays_open=False)]
    assert follow(script, log) == 0
    printed = capsys.readouterr()
    assert printed.out == "loading\nhalf\nready\n"
    assert "instance i1 of case" in printed.err
    assert "cpk_canary" not in printed.out + printed.err


def test_the_log_is_json_with_json(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert follow(script, [script.stream(b"plain\ndata: text\n\n", stays_open=False)], as_json=True) == 0
    *lines, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert lines == [{"instance_id": "i1", "log": "plain"}, {"instance_id": "i1", "log": "text"}]
    assert last["status"] == "hot"


def test_a_refused_log_is_reported_once(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    refused = Reply(status=401, body=b'{"detail": "Invalid token or user not found"}')
    assert follow(script, [refused, refused]) == 0
    printed = capsys.readouterr().err
    assert printed.count("the log cannot be shown") == 1
    assert "./setup.sh --account --key admin" in printed
    assert script.server.received.count(LOG) == 2
