"""Request authentication: valid signatures and keys are accepted, all others rejected."""

from __future__ import annotations

import pytest
from chutes.util.auth import get_signing_message
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.signatures import (
    HOTKEY_HEADER,
    NONCE_HEADER,
    SIGNATURE_HEADER,
    USER_ID_HEADER,
    Unauthorized,
    parse_api_key,
    verify_signature,
)
from chutes_wrappers.host.account.keypairs import keypair_from_seed

KEY = keypair_from_seed("5a" * 32)
NOW = 1_795_000_000


def sign(body: bytes = b"", purpose: str | None = None, nonce: int = NOW) -> dict[str, str]:
    message = get_signing_message(KEY.ss58_address, str(nonce), payload_str=body, purpose=purpose)
    return {
        USER_ID_HEADER: "u1",
        HOTKEY_HEADER: KEY.ss58_address,
        NONCE_HEADER: str(nonce),
        SIGNATURE_HEADER: KEY.sign(message.encode()).hex(),
    }


@given(st.binary(min_size=1, max_size=200))
def test_what_the_sdk_signs_is_recognized(body: bytes) -> None:
    signer = verify_signature(sign(body), body=body, purpose="images", now=NOW)
    assert (signer.hotkey, signer.user_id) == (KEY.ss58_address, "u1")


@given(st.binary(min_size=1, max_size=60), st.binary(max_size=60))
def test_a_signature_is_invalid_for_another_body(body: bytes, other: bytes) -> None:
    if other == body:
        return
    with pytest.raises(Unauthorized, match="signature"):
        verify_signature(sign(body), body=other, purpose="images", now=NOW)


def test_without_a_body_the_purpose_is_signed() -> None:
    headers = sign(purpose="images")
    assert verify_signature(headers, body=b"", purpose="images", now=NOW).hotkey == KEY.ss58_address
    with pytest.raises(Unauthorized, match="signature"):
        verify_signature(headers, body=b"", purpose="chutes", now=NOW)


@pytest.mark.parametrize(("age_s", "is_taken"), [(0, True), (600, True), (-600, True), (601, False), (-601, False)])
def test_a_nonce_is_valid_for_six_hundred_seconds(age_s: int, is_taken: bool) -> None:
    headers = sign(purpose="me", nonce=NOW - age_s)
    if is_taken:
        assert verify_signature(headers, body=b"", purpose="me", now=NOW)
    else:
        with pytest.raises(Unauthorized, match="nonce"):
            verify_signature(headers, body=b"", purpose="me", now=NOW)


def test_a_signature_is_invalid_for_another_hotkey() -> None:
    headers = {**sign(purpose="me"), HOTKEY_HEADER: keypair_from_seed(accounts.generate_seed()).ss58_address}
    with pytest.raises(Unauthorized, match="signature"):
        verify_signature(headers, body=b"", purpose="me", now=NOW)


@pytest.mark.parametrize("missing", [HOTKEY_HEADER, NONCE_HEADER, SIGNATURE_HEADER])
def test_every_header_is_needed(missing: str) -> None:
    with pytest.raises(Unauthorized, match="Can't find a user"):
        verify_signature({**sign(purpose="me"), missing: ""}, body=b"", purpose="me", now=NOW)


_TEXTS = st.text(max_size=20) | st.sampled_from([KEY.ss58_address, str(NOW), "00" * 64, "0x" + "ff" * 64, "²", "-1"])


@given(st.dictionaries(st.sampled_from([HOTKEY_HEADER, NONCE_HEADER, SIGNATURE_HEADER]), _TEXTS))
def test_made_up_headers_are_rejected(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized):
        verify_signature(headers, body=b"x", purpose="me", now=NOW)


@pytest.mark.parametrize("value", ["Bearer cpk_a.b", "bearer  cpk_a.b", "Basic cpk_a.b"])
def test_a_key_is_found_in_the_authorization(value: str) -> None:
    assert parse_api_key({"authorization": value}) == "cpk_a.b"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(value, "Missing or invalid authorization") for value in ("", "Bearer", "cpk_a.b", "Digest cpk_a.b")],
        ("Bearer other", "Invalid token."),
    ],
)
def test_another_authorization_is_rejected(value: str, text: str) -> None:
    with pytest.raises(Unauthorized, match=text):
        parse_api_key({"authorization": value})
    assert parse_api_key({}) is None
