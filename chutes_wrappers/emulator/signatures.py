"""Request authentication: SDK signature (SDK ``util/auth.py``) or API key. Pure.

The signed text is ``hotkey:nonce:<sha256 of the body>``, or ``hotkey:nonce:<purpose>`` without a body. The key is the
hotkey's sr25519 key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from bittensor_wallet import Keypair

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.tables.key_table import KEY_PREFIX

# SDK constants.py; in lower case.
USER_ID_HEADER = "x-chutes-userid"
HOTKEY_HEADER = "x-chutes-hotkey"
NONCE_HEADER = "x-chutes-nonce"
SIGNATURE_HEADER = "x-chutes-signature"
UNSIGNED = "Authentication missing: neither signed nor with an API key"
UNKNOWN_HOTKEY = "Could not find user with that hotkey"
_AUTHORIZATION = "authorization"
# The SDK tells users of a new key to send it as Basic (SDK entrypoint/api_key.py).
_KEY_SCHEMES = ("bearer", "basic")


class Unauthorized(Exception):
    """The authentication of a request is missing or invalid. The message is the reason, without secrets."""


@dataclass(frozen=True, kw_only=True)
class Signer:
    """The signer of a request: the hotkey's address, and the user id of the request, if it has one."""

    hotkey: str
    user_id: str | None


def verify_signature(headers: Mapping[str, str], *, body: bytes, purpose: str, now: float) -> Signer:
    """Return the signer of a request with these ``headers``. ``now`` is in unix seconds. Raises Unauthorized."""
    hotkey, nonce, signature = (headers.get(name) for name in (HOTKEY_HEADER, NONCE_HEADER, SIGNATURE_HEADER))
    if not hotkey or not nonce or not signature:
        raise Unauthorized(UNSIGNED)
    if not nonce.isascii() or not nonce.isdecimal() or abs(now - int(nonce)) > platform_rules.NONCE_WINDOW_S:
        raise Unauthorized("Invalid nonce: it must be the time now, in unix seconds")
    signed_text = hashlib.sha256(body).hexdigest() if body else purpose
    if not _is_signed(f"{hotkey}:{nonce}:{signed_text}".encode(), signature, hotkey):
        raise Unauthorized("Invalid request signature")
    return Signer(hotkey=hotkey, user_id=headers.get(USER_ID_HEADER) or None)


def parse_api_key(headers: Mapping[str, str]) -> str | None:
    """Return the API key of a request, or None. Raises Unauthorized for another kind of authorization."""
    value = headers.get(_AUTHORIZATION)
    if value is None:
        return None
    scheme, _, secret = value.strip().rpartition(" ")
    if scheme.strip().lower() not in _KEY_SCHEMES or not secret.startswith(KEY_PREFIX):
        raise Unauthorized("Invalid authorization: an API key goes there as `Bearer cpk_…`")
    return secret


def is_address(text: str) -> bool:
    """Whether ``text`` is the SS58 address of a key."""
    try:
        Keypair(ss58_address=text)
    except (ValueError, TypeError):
        return False
    return True


def _is_signed(message: bytes, signature: str, address: str) -> bool:
    try:
        return Keypair(ss58_address=address).verify(message, bytes.fromhex(signature.removeprefix("0x")))
    except (ValueError, TypeError):
        return False
