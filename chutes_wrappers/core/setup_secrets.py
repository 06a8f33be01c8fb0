"""The variables whose values only ``setup.sh --account`` needs: no other program that it or a command starts gets them."""

from __future__ import annotations

from collections.abc import Mapping

SEED_VARIABLE = "CHUTES_HOTKEY_SEED"
TOKEN_VARIABLE = "CHUTES_REGISTRATION_TOKEN"


def remove_setup_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return ``environment`` without these variables."""
    return {name: value for name, value in environment.items() if name not in (SEED_VARIABLE, TOKEN_VARIABLE)}
