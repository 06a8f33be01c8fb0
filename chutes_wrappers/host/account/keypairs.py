"""Key pairs of ``bittensor-wallet``, which are the same with every version of the SDK (PLATFORM.md, section 5)."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bittensor_wallet import Keypair


_SEED = re.compile(r"[0-9a-fA-F]{64}\Z")


def is_seed(text: str) -> bool:
    """Return whether ``text`` is a seed: 64 hexadecimal digits, without ``0x``."""
    return _SEED.match(text) is not None


def keypair_from_seed(seed: str) -> Keypair:
    """Return the sr25519 key pair of ``seed``: 64 hexadecimal digits, with or without ``0x``.

    Raises ValueError or TypeError for an invalid seed; their texts may contain it.
    """
    from bittensor_wallet import Keypair  # here: --doctor must start where it cannot be imported

    return Keypair.create_from_seed(seed)  # type: ignore[arg-type]  # its stub declares bytes, it accepts a string


def derive_private_scalar(seed: str) -> bytes:
    """Return the private scalar of ``seed``, 32 bytes: what ``Keypair.private_key[:32]`` of ``substrate-interface`` is.

    ``bittensor-wallet`` 4.1 does not return a private key. Substrate expands a seed as Ed25519 does (RFC 8032, section 5.1.5),
    and divides by the cofactor. Raises ValueError for an invalid seed, without the seed.
    """
    digits = seed.removeprefix("0x")
    if not is_seed(digits):
        raise ValueError("the seed is invalid")
    expanded = bytearray(hashlib.sha512(bytes.fromhex(digits)).digest()[:32])
    expanded[0] &= 0b1111_1000
    expanded[31] = expanded[31] & 0b0011_1111 | 0b0100_0000
    return (int.from_bytes(expanded, "little") // 8).to_bytes(32, "little")


def decode_public_key(address: str) -> bytes:
    """Return the 32 bytes of the public key with this SS58 address. Raises ValueError for an invalid address."""
    from bittensor_wallet import Keypair

    key: bytes = Keypair(ss58_address=address).public_key  # type: ignore[assignment]  # None without an address only
    return bytes(key)
