from __future__ import annotations

import base64
import gzip
import time

import pytest

from chutes_wrappers.emulator.runner import KEY_VARIABLE, PORT_VARIABLE, Seal, take_settings
from chutes_wrappers.emulator.transport import Unreadable, opened, sealed_body, sealed_path

SEAL = Seal(bytes(32))


def test_a_body_is_json_compressed_encrypted_and_base64() -> None:
    body = sealed_body(SEAL, {"é": [1]})
    compressed = SEAL.decrypt(base64.b64decode(body))
    assert compressed is not None
    assert gzip.decompress(compressed) == '{"é":[1]}'.encode()
    assert opened(SEAL, body) == '{"é":[1]}'.encode()


def test_a_path_is_encrypted_hex_and_different_each_time() -> None:
    path = sealed_path(SEAL, "/echo")
    assert SEAL.decrypt(bytes.fromhex(path[1:])) == b"/echo"
    assert path != sealed_path(SEAL, "/echo")


@pytest.mark.parametrize(
    ("sealed", "what"),
    [
        (b"no base64!", "not base64"),
        (base64.b64encode(b"x" * 40), "not encrypted"),
        (base64.b64encode(Seal(bytes([1] * 32)).encrypt(gzip.compress(b"x"))), "not encrypted"),
        (base64.b64encode(SEAL.encrypt(b"plain")), "not compressed"),
        (b"", "not encrypted"),
    ],
    ids=["no base64", "short", "other seal", "plain", "empty"],
)
def test_what_was_not_sealed_so_is_unreadable(sealed: bytes, what: str) -> None:
    with pytest.raises(Unreadable, match=what):
        opened(SEAL, sealed)


def test_a_signature_is_of_the_time_and_the_body_and_grows_old() -> None:
    now = str(int(time.time()))
    signature = SEAL.sign(now, b"body")
    assert SEAL.has_signed(now, signature, b"body")
    assert not SEAL.has_signed(now, signature, b"other")
    assert not SEAL.has_signed(str(int(now) - 1), signature, b"body")
    old = str(int(now) - 541)
    assert not SEAL.has_signed(old, SEAL.sign(old, b"body"), b"body")
    assert not SEAL.has_signed("", signature, b"body")


def test_settings_leave_the_environment_and_hide_the_key() -> None:
    environment = {KEY_VARIABLE: "ab" * 32, PORT_VARIABLE: "9000", "HF_TOKEN": "kept"}
    settings = take_settings(environment)
    assert (settings.port, settings.logging_port, settings.evidence_port) == (9000, 8001, 8002)
    assert settings.parent is None
    assert environment == {"HF_TOKEN": "kept"}
    assert "ab" * 4 not in repr(settings)
