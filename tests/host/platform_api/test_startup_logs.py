"""Startup logs, with and without damage: what is listed, and decrypted."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.emulator.startup_log import StartupLogCipher
from chutes_wrappers.host.account.credentials import AccountCredentials, NoCredentials
from chutes_wrappers.host.account.keypairs import decode_public_key, keypair_from_seed
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.objects import parse_chute
from chutes_wrappers.host.platform_api.startup_logs import DecryptedLog, StartupLog, list_startup_logs, read_startup_log
from tests.upstreams.scripted import Reply, ScriptedServer, html_reply, json_reply, serve_script

SEED, OTHER_SEED = "5e" * 32, "a7" * 32
CHUTE = parse_chute({"chute_id": "c1", "name": "case"})
SESSIONS = "/encrypted_logs/c1/sessions"
CHUNKS = f"{SESSIONS}/i1/chunks"


def build_account(seed: str = SEED) -> AccountCredentials:
    address = keypair_from_seed(SEED).ss58_address
    return AccountCredentials(file=Path("config.ini"), username="tester", user_id="1", address=address, seed=seed)


CIPHER = StartupLogCipher("i1", decode_public_key(build_account().address))
EPHEMERAL_KEY = base64.b64encode(CIPHER.ephemeral_key).decode()
RECORD = {"instance_id": "i1", "config_id": "v1", "started_at": 2, "ephemeral_pubkey": EPHEMERAL_KEY, "chunk_count": 2}
GOOD = CIPHER.encrypt_chunks(f"line {number}" for number in range(60))
DAMAGED = GOOD[0][:-8] + "AAAAAAA="


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serve_script({}) as server:
        yield server


def list_ids(server: ScriptedServer, reply: Reply) -> list[str]:
    server.script[SESSIONS] = reply
    with PlatformApi(server.root, NoCredentials()) as api:
        return [log.instance_id for log in list_startup_logs(api, CHUTE)]


def test_the_newest_log_is_the_first(server: ScriptedServer) -> None:
    records: list[Any] = [
        {**RECORD, "instance_id": "old", "started_at": 1.5},
        RECORD,
        {"instance_id": "without a time"},
        {"started_at": 9},
        {**RECORD, "instance_id": "strange", "started_at": 1e300},
        "text",
    ]
    assert list_ids(server, json_reply(records)) == ["i1", "old", "without a time", "strange"]


@pytest.mark.parametrize("reply", [json_reply([]), Reply(status=404, body=b'{"detail": "No sessions"}')])
def test_no_logs_are_no_error(server: ScriptedServer, reply: Reply) -> None:
    assert list_ids(server, reply) == []


@pytest.mark.parametrize("reply", [Reply(status=401, body=b"{}"), Reply(status=500), html_reply("<p>"), json_reply({})])
def test_a_refusal_is_an_error(server: ScriptedServer, reply: Reply) -> None:
    with pytest.raises(WrapperError):
        list_ids(server, reply)


def read(server: ScriptedServer, chunks: Any, *, key: str = EPHEMERAL_KEY, seed: str = SEED) -> DecryptedLog:
    server.script[CHUNKS] = json_reply({"chunks": chunks})
    log = StartupLog(instance_id="i1", started_at=None, ephemeral_key=key)
    with PlatformApi(server.root, NoCredentials()) as api:
        return read_startup_log(api, CHUTE, log, build_account(seed))


def test_a_log_is_decrypted_with_the_hotkey(server: ScriptedServer) -> None:
    log = read(server, GOOD)
    assert (log.lines[0], log.lines[-1], len(log.lines)) == ("line 0", "line 59", 60)
    assert (log.chunk_count, log.damaged_count) == (2, 0)


def test_no_text_controls_the_terminal(server: ScriptedServer) -> None:
    chunks = CIPHER.encrypt_chunks(["\x1b[31mred\x1b[0m \x1b]0;title\x07", "", "    indented"])
    assert read(server, chunks).lines == ("red  ]0;title", "    indented")


def test_what_is_not_damaged_is_shown(server: ScriptedServer) -> None:
    log = read(server, [DAMAGED, None, 7, "", "%%", GOOD[1]])
    assert (log.lines[0], log.damaged_count, log.chunk_count) == ("line 50", 5, 6)


@pytest.mark.parametrize(
    ("chunks", "key", "seed"),
    [
        ([DAMAGED], EPHEMERAL_KEY, SEED),
        (GOOD, "", SEED),
        (GOOD, base64.b64encode(bytes(32)).decode(), SEED),
        (GOOD, "ä", SEED),
        (GOOD, EPHEMERAL_KEY, OTHER_SEED),
    ],
    ids=["damaged", "no key", "zeros", "no base64", "another seed"],  # the keys differ in each process of a test run
)
def test_a_log_of_another_hotkey_is_an_error(server: ScriptedServer, chunks: Any, key: str, seed: str) -> None:
    with pytest.raises(WrapperError, match="cannot be decrypted") as caught:
        read(server, chunks, key=key, seed=seed)
    assert caught.value.next_step
    assert seed not in str(caught.value)


def test_an_invalid_seed_is_not_shown(server: ScriptedServer) -> None:
    with pytest.raises(ConfigurationError, match="cannot decrypt") as caught:
        read(server, GOOD, seed="canary")
    assert "canary" not in str(caught.value)


def test_an_id_of_the_platform_is_one_segment_of_a_path(server: ScriptedServer) -> None:
    log = StartupLog(instance_id="../x", started_at=None, ephemeral_key="")
    with PlatformApi(server.root, NoCredentials()) as api, pytest.raises(WrapperError, match="invalid id"):
        read_startup_log(api, CHUTE, log, build_account())
    server.script[CHUNKS] = json_reply({"chunks": "text"})
    with pytest.raises(WrapperError, match="no chunks"):
        read(server, {"a": 1})


def test_a_log_that_is_gone_meanwhile_is_an_error(server: ScriptedServer) -> None:
    with pytest.raises(PlatformRequestFailed) as caught, PlatformApi(server.root, NoCredentials()) as api:
        read_startup_log(
            api,
            CHUTE,
            StartupLog(instance_id="i1", started_at=None, ephemeral_key=""),
            build_account(),
        )
    assert "lists the logs again" in str(caught.value.next_step)
