"""The lines of a log, and who may read it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.account.credentials import KeyCredentials, NoCredentials
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.instance_logs import InstanceLogs, connect_with_key, parse_log_line
from tests.upstreams.scripted import Reply, ScriptedServer, serve_script

PATH = "/instances/i1/logs?backfill=200"
# api-observed 131 and 132; the last is that of a key which may not read.
NO_SIGNATURE = Reply(status=401, body=b'{"detail": "Either payload_str or purpose must be provided"}')
NO_READING = Reply(status=401, body=b'{"detail": "Invalid token or user not found"}')
LOG = Reply(body=b'data: {"event": "connected"}\n\ndata: {"log": "one"}\n\n.\n\n', content_type="text/event-stream")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('data: {"log": "  indented \\u001b[31mred\\u001b[0m"}', "  indented red"),
        ('data:{"log": "one\\u0007\\u001b]0;title\\u0007two"}', "one ]0;title two"),
        ('data: {"log": 1}', "1"),
        ('data: {"event": "connected", "filename": "current"}', None),
        ('data: {"error": "File does not exist: /tmp/_chute.log"}', "File does not exist: /tmp/_chute.log"),
        ('data: {"log": null}', None),
        ("data: not JSON", "not JSON"),
        ("data: [1]", None),
        ("data: " + "[" * 100_000, "[" * 100_000),
        ("plain text: of an instance", "plain text: of an instance"),
        ("event: message", None),
        (": a comment", None),
        ("", None),
    ],
)
def test_a_line_is_an_event_or_text(line: str, text: str | None) -> None:
    assert parse_log_line(line) == text


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serve_script({PATH: LOG}) as server:
        yield server


def read(server: ScriptedServer, *replies: Reply, key: str = "cpk_canary") -> list[str]:
    """Read the log twice, with a server that sends ``replies`` and then the log."""
    left = iter(replies)
    server.script[PATH] = lambda: next(left, LOG)
    logs = InstanceLogs(
        PlatformApi(server.root, NoCredentials()), lambda: PlatformApi(server.root, KeyCredentials(key=key))
    )
    return [line for _ in range(2) for line in logs.stream_lines("i1", silence_s=5)]


def test_a_signature_is_enough_where_the_api_takes_it(server: ScriptedServer) -> None:
    assert read(server) == ["one", "one"]
    assert len(server.received) == 2


@pytest.mark.parametrize("refusal", [NO_SIGNATURE, Reply(status=403, body=b"{}")])
def test_the_key_is_used_where_the_signature_is_refused(server: ScriptedServer, refusal: Reply) -> None:
    assert read(server, refusal) == ["one", "one"]
    assert len(server.received) == 3  # the second time, the key is sent at once


def test_a_key_that_may_not_read_is_distinguished_from_a_wrong_account(server: ScriptedServer) -> None:
    with pytest.raises(WrapperError, match="to an admin API key only") as caught:
        read(server, NO_SIGNATURE, NO_READING)
    assert "--account --key admin" in (caught.value.next_step or "")
    assert "cpk_canary" not in str(caught.value)


def test_another_error_is_not_a_refusal(server: ScriptedServer) -> None:
    with pytest.raises(PlatformRequestFailed, match="Instance not found"):
        read(server, Reply(status=404, body=b'{"detail": "Instance not found."}'))
    assert len(server.received) == 1


def test_without_a_key_it_says_what_was_tried(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("CHUTES_API_KEY", raising=False)
    server.script[PATH] = NO_SIGNATURE
    logs = InstanceLogs(PlatformApi(server.root, NoCredentials()), connect_with_key)
    with pytest.raises(ConfigurationError, match="refuses the hotkey's signature for logs") as caught:
        list(logs.stream_lines("i1"))
    assert "no API key found" in caught.value.what
    assert "--account --key admin" in (caught.value.next_step or "")


def test_a_dot_before_the_first_line_does_not_end_the_log(server: ScriptedServer) -> None:
    body = b'.\n\ndata: .\n\ndata: {"log": "one"}\n\n.\n\ndata: {"log": "later"}\n\n'
    assert read(server, Reply(body=body, content_type="text/event-stream")) == ["one", "one"]


def test_a_log_without_an_end_is_read_for_a_limited_time(server: ScriptedServer) -> None:
    def drip() -> Iterator[bytes]:
        yield b"data: one\n"
        while True:
            yield b"x"

    server.script[PATH] = lambda: Reply(body=drip(), content_type="text/event-stream")
    logs = InstanceLogs(PlatformApi(server.root, NoCredentials()))
    lines = logs.stream_lines("i1", silence_s=5, limit_s=0.1)
    assert next(lines) == "one"
    list(lines)  # it ends
