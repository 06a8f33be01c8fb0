"""The API key of the user: what a chute is called with."""

from __future__ import annotations

import os
from pathlib import Path

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.program import NAMES

KEY_VARIABLE = "CHUTES_API_KEY"


def get_key_path() -> Path:
    """Where an API key is kept, unless ``CHUTES_API_KEY`` holds it."""
    return Path.home() / ".chutes" / "api_key"


def read_api_key() -> str | None:
    """The API key: ``CHUTES_API_KEY``, else ``~/.chutes/api_key``; None without one."""
    if key := os.environ.get(KEY_VARIABLE, "").strip():
        return check_key(key, where=KEY_VARIABLE)
    try:
        key = get_key_path().read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "the API key cannot be read", where=str(get_key_path()), evidence=str(error)
        ) from error
    return check_key(key, where=str(get_key_path())) if key else None


def check_key(key: str, *, where: str) -> str:
    """``key``; ConfigurationError, which does not show it, when no request could carry it."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            "the API key has characters that no key has", where=where, next_step="copy it again, in one line: cpk_…"
        )
    return key


def require_api_key() -> str:
    """The API key; ConfigurationError says how to get one when there is none."""
    if key := read_api_key():
        return key
    raise ConfigurationError(
        "no API key is known",
        where=f"{KEY_VARIABLE}, {get_key_path()}",
        next_step=f"{NAMES.account} --key makes one, or put yours into either",
    )
