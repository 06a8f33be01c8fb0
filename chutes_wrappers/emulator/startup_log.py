"""The encryption of an instance's output for its owner's hotkey, which ``chutes startup-logs`` decrypts.

The scheme is that of the SDK's ``entrypoint/_decrypt_logs.py``: a Diffie-Hellman exchange on Ristretto255, HKDF and AES-256-GCM.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from itertools import islice

_HKDF_INFO = b"chutes-encrypted-logs-v1"
_KEY_BYTES, _NONCE_BYTES = 32, 12
_LINES_PER_CHUNK = 50
# The ephemeral key of an instance is derived from it, so that it is the same in each response of this process.
_SECRET = secrets.token_bytes(32)


class StartupLogCipher:
    """Encrypts the output of one instance. ``owner_key`` is the public key of the owner's hotkey, 32 bytes."""

    def __init__(self, instance_id: str, owner_key: bytes) -> None:
        import rbcl  # here: most runs of the emulator encrypt nothing
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        digest = hashlib.sha512(_SECRET + instance_id.encode()).digest()
        scalar = rbcl.crypto_core_ristretto255_scalar_reduce(digest)
        self.ephemeral_key: bytes = rbcl.crypto_scalarmult_ristretto255_base(scalar)
        shared = rbcl.crypto_scalarmult_ristretto255(scalar, owner_key)
        salt = self.ephemeral_key + owner_key
        key = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=salt, info=_HKDF_INFO).derive(shared)
        self._cipher = AESGCM(key)

    def encrypt_chunks(self, lines: Iterable[str]) -> list[str]:
        """Return the lines as encrypted chunks in base64. The SDK joins decrypted chunks with line breaks."""
        return [self._encrypt(text) for text in _split_into_chunks(lines)]

    def _encrypt(self, text: str) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), None)).decode()


def count_chunks(line_count: int) -> int:
    """Return the number of chunks of so many lines."""
    return -(-line_count // _LINES_PER_CHUNK)


def _split_into_chunks(lines: Iterable[str]) -> Iterator[str]:
    rest = iter(lines)
    while chunk := list(islice(rest, _LINES_PER_CHUNK)):
        yield "\n".join(chunk)
