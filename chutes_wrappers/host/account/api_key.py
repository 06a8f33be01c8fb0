"""The user's API key, which is sent with calls of a chute only."""

from __future__ import annotations

import os
from pathlib import Path

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.files import read_small_file
from chutes_wrappers.core.program import NAMES

KEY_VARIABLE = "CHUTES_API_KEY"


def get_key_path() -> Path:
    """Return the file for the API key, which is read unless ``CHUTES_API_KEY`` is set."""
    return Path.home() / ".chutes" / "api_key"


def is_key_in_environment() -> bool:
    """Return whether ``CHUTES_API_KEY`` has the API key; then the file is not read."""
    return bool(os.environ.get(KEY_VARIABLE, "").strip())


def get_key_source() -> str:
    """Return where ``read_api_key`` reads the key: the variable's name, or the path of the file."""
    return KEY_VARIABLE if is_key_in_environment() else str(get_key_path())


def read_api_key() -> str | None:
    """Return the API key: ``CHUTES_API_KEY``, else ``~/.chutes/api_key``; None without one.

    Raises ConfigurationError for an invalid key, and for a file that cannot be read.
    """
    if key := os.environ.get(KEY_VARIABLE, "").strip():
        return check_key(key, where=KEY_VARIABLE)
    return read_stored_key()


def read_stored_key() -> str | None:
    """Return the API key in ``~/.chutes/api_key``; None without one. Raises ConfigurationError as ``read_api_key`` does."""
    try:
        key = read_small_file(get_key_path()).decode("utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "the API key cannot be read",
            where=str(get_key_path()),
            evidence=str(error),
            next_step=f"correct or delete the file, or set {KEY_VARIABLE}",
        ) from error
    return check_key(key, where=str(get_key_path())) if key else None


def check_key(key: str, *, where: str) -> str:
    """Return ``key``. Raises ConfigurationError, without the key, when a header cannot contain it."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            "the API key has invalid characters", where=where, next_step="copy it again, in one line: cpk_…"
        )
    return key


def require_api_key() -> str:
    """Return the API key. Without one raises ConfigurationError, whose next step is how to get one."""
    if key := read_api_key():
        return key
    raise ConfigurationError(
        "no API key found",
        where=f"{KEY_VARIABLE}, {get_key_path()}",
        next_step=f"run {NAMES.account} --key to create one, or put yours into either",
    )
