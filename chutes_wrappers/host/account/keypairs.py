"""Key pairs of ``bittensor-wallet``, which are the same under every SDK (PLATFORM.md, section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bittensor_wallet import Keypair


def keypair_from_seed(seed: str) -> Keypair:
    """The sr25519 key pair of ``seed``: 64 hexadecimal digits, with or without ``0x``.

    ValueError or TypeError for another seed; their texts may quote it.
    """
    from bittensor_wallet import Keypair  # here: --doctor must start where it cannot be imported

    return Keypair.create_from_seed(seed)  # type: ignore[arg-type]  # its stub says bytes, it takes a string
