"""The account that a chute belongs to."""

from __future__ import annotations

import configparser
import contextlib
import os
from pathlib import Path

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.files import read_small_file
from chutes_wrappers.core.program import NAMES


def get_config_path() -> Path:
    """Return the SDK's configuration file (SDK ``config.py``: ``CHUTES_CONFIG_PATH``, else ``~/.chutes/config.ini``)."""
    configured_path = os.environ.get("CHUTES_CONFIG_PATH")
    return Path(configured_path) if configured_path else Path.home() / ".chutes" / "config.ini"


def chutes_username() -> str:
    """Return the account's name: ``CHUTES_USERNAME`` (set in a wrapped image), else from the SDK's configuration file.

    Raises ConfigurationError when neither has one.
    """
    if name := os.environ.get("CHUTES_USERNAME"):
        return name
    path = get_config_path()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with contextlib.suppress(OSError):  # the same as without a file
            parser.read_string(read_small_file(path).decode("utf-8"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "the Chutes configuration cannot be read", where=str(path), evidence=type(error).__name__
        ) from error
    name = parser.get("auth", "username", fallback="")
    if not name:
        raise ConfigurationError(
            "no Chutes account found", where=str(path), next_step=f"run {NAMES.account}, or set CHUTES_USERNAME"
        )
    return name
