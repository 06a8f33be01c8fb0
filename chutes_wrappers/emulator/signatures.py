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
# Texts of the platform (api): without an account, with a key that may not do this, and with an unknown key.
UNSIGNED = "Can't find a user with that api key in our db :("
REFUSED_KEY = "Invalid token or user not found"
UNKNOWN_KEY = "Missing or invalid authorization header(s)"
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


class UnknownCaller(Unauthorized):
    """The request is not signed, or the platform does not know its hotkey."""


def build_unknown_hotkey_text(hotkey: str) -> str:
    """Return the platform's text for a hotkey of no account."""
    return f"Could not find user with hotkey: {hotkey[:100]}"


def verify_signature(headers: Mapping[str, str], *, body: bytes, purpose: str, now: float) -> Signer:
    """Return the signer of a request with these ``headers``. ``now`` is in unix seconds. Raises Unauthorized.

    A route whose ``purpose`` is empty accepts signatures over a body only.
    """
    hotkey, nonce, signature = (headers.get(name) for name in (HOTKEY_HEADER, NONCE_HEADER, SIGNATURE_HEADER))
    if not hotkey or not nonce or not signature:
        raise UnknownCaller(UNSIGNED)
    if not nonce.isascii() or not nonce.isdecimal() or abs(now - int(nonce)) > platform_rules.NONCE_WINDOW_S:
        raise Unauthorized("Invalid nonce!")
    signed_text = hashlib.sha256(body).hexdigest() if body else purpose
    if not signed_text:
        raise Unauthorized("Either payload_str or purpose must be provided")
    message = f"{hotkey}:{nonce}:{signed_text}"
    if not _is_signed(message.encode(), signature, hotkey):
        raise Unauthorized(f"Invalid request signature for hotkey {hotkey[:100]}. Message: {message[:200]}")
    return Signer(hotkey=hotkey, user_id=headers.get(USER_ID_HEADER) or None)


def parse_api_key(headers: Mapping[str, str]) -> str | None:
    """Return the API key of a request, or None. Raises Unauthorized for another kind of authorization."""
    value = headers.get(_AUTHORIZATION)
    if value is None:
        return None
    scheme, _, secret = value.strip().rpartition(" ")
    if scheme.strip().lower() not in _KEY_SCHEMES:
        raise Unauthorized(UNKNOWN_KEY)
    if not secret.startswith(KEY_PREFIX):
        raise Unauthorized("Invalid token.")
    return secret


def _is_signed(message: bytes, signature: str, address: str) -> bool:
    try:
        return Keypair(ss58_address=address).verify(message, bytes.fromhex(signature.removeprefix("0x")))
    except (ValueError, TypeError):
        return False
