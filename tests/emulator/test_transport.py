from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import time

import pytest

from chutes_wrappers.emulator import transport
from chutes_wrappers.emulator.runner import KEY_VARIABLE, PORT_VARIABLE, SessionCipher, pop_settings
from chutes_wrappers.emulator.transport import (
    InstanceClient,
    InvalidResponse,
    decrypt_value,
    encrypt_body,
    encrypt_path,
)
from tests.upstreams.raw import serve_raw

SEAL = SessionCipher(bytes(32))


def test_a_body_is_json_compressed_encrypted_and_base64() -> None:
    body = encrypt_body(SEAL, {"é": [1]})
    compressed = SEAL.decrypt(base64.b64decode(body))
    assert compressed is not None
    assert gzip.decompress(compressed) == '{"é":[1]}'.encode()
    assert decrypt_value(SEAL, body) == '{"é":[1]}'.encode()


def test_a_path_is_encrypted_hex_and_different_each_time() -> None:
    path = encrypt_path(SEAL, "/echo")
    assert SEAL.decrypt(bytes.fromhex(path[1:])) == b"/echo"
    assert path != encrypt_path(SEAL, "/echo")


@pytest.mark.parametrize(
    ("sealed", "what"),
    [
        (b"no base64!", "not base64"),
        (base64.b64encode(b"x" * 40), "not encrypted"),
        (base64.b64encode(SessionCipher(bytes([1] * 32)).encrypt(gzip.compress(b"x"))), "not encrypted"),
        (base64.b64encode(SEAL.encrypt(b"plain")), "not compressed"),
        (b"", "not encrypted"),
    ],
    ids=["no base64", "short", "other cipher", "plain", "empty"],
)
def test_values_that_were_not_encrypted_with_the_key_are_invalid(sealed: bytes, what: str) -> None:
    with pytest.raises(InvalidResponse, match=what):
        decrypt_value(SEAL, sealed)


def test_a_signature_covers_time_and_body_and_expires() -> None:
    now = str(int(time.time()))
    signature = SEAL.sign(now, b"body")
    assert SEAL.is_signature_valid(now, signature, b"body")
    assert not SEAL.is_signature_valid(now, signature, b"other")
    assert not SEAL.is_signature_valid(str(int(now) - 1), signature, b"body")
    old = str(int(now) - 541)
    assert not SEAL.is_signature_valid(old, SEAL.sign(old, b"body"), b"body")
    assert not SEAL.is_signature_valid("", signature, b"body")


def test_settings_are_removed_from_the_environment_and_hide_the_key() -> None:
    environment = {KEY_VARIABLE: "ab" * 32, PORT_VARIABLE: "9000", "HF_TOKEN": "kept"}
    settings = pop_settings(environment)
    assert (settings.port, settings.logging_port, settings.evidence_port) == (9000, 8001, 8002)
    assert settings.parent is None
    assert environment == {"HF_TOKEN": "kept"}
    assert "ab" * 4 not in repr(settings)


async def test_a_response_that_nobody_asked_for_is_not_that_of_the_next_caller() -> None:
    bodies = iter([b"first", b"second"])
    has_first_response, has_sent_poison = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = next(bodies)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        if body == b"first":
            await has_first_response.wait()
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 6\r\n\r\npoison")
            await writer.drain()
            has_sent_poison.set()
            await reader.read()

    async with serve_raw(talk) as port:
        client = InstanceClient(f"http://127.0.0.1:{port}", SEAL)
        async with client.post("/echo", {}, timeout_s=60) as response:
            assert await response.read_text() == "first"
        has_first_response.set()
        await has_sent_poison.wait()
        async with client.post("/echo", {}, timeout_s=60) as response:
            assert await response.read_text() == "second"
        await client.close()


@pytest.mark.parametrize("method", ["read_value", "read_text", "read_chunks"])
async def test_an_instance_that_sends_without_an_end_is_not_read_into_memory(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_MAX_ENVELOPE_BYTES", 2 * 1024**2)
    monkeypatch.setattr(transport, "_MAX_ERROR_BYTES", 1024**2)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"x" * 1024**2)
                await writer.drain()

    async with serve_raw(talk) as port:
        client = InstanceClient(f"http://127.0.0.1:{port}", SEAL)
        async with client.post("/x", {}) as response:
            if method == "read_text":
                assert await response.read_text() == "x" * 1024**2
            else:
                with pytest.raises(InvalidResponse, match=r"larger than 2 MiB|too long"):
                    await response.read_value() if method == "read_value" else await anext(response.read_chunks())
        await client.close()
