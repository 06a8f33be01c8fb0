"""Key pairs of ``bittensor-wallet``, which are the same with every version of the SDK (PLATFORM.md, section 5)."""

from __future__ import annotations

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
