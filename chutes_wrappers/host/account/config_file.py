"""The SDK's configuration file (SDK ``config.py``): written atomically, for its owner only; an existing one is backed up."""

from __future__ import annotations

import configparser
import io
import os
from dataclasses import dataclass, field
from pathlib import Path

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.files import read_small_file, write_atomically

_OWNER_ONLY = 0o600


@dataclass(frozen=True, kw_only=True)
class NewAccount:
    """The content of the file: the API's URL, the user, and the hotkey that signs for the user."""

    url: str
    username: str
    user_id: str
    payment_address: str
    hotkey_name: str
    hotkey: str
    seed: str = field(repr=False)


def format_config(account: NewAccount) -> str:
    """Return the file's content."""
    parser = configparser.ConfigParser(interpolation=None)
    parser["api"] = {"base_url": account.url}
    parser["auth"] = {
        "username": account.username,
        "user_id": account.user_id,
        "hotkey_seed": account.seed,
        "hotkey_name": account.hotkey_name,
        "hotkey_ss58address": account.hotkey,
    }
    parser["payment"] = {"address": account.payment_address}
    output = io.StringIO()
    parser.write(output)
    return output.getvalue()


_OTHER_FILE_STEP = "correct that, or set CHUTES_CONFIG_PATH to another file for the account"


def check_writable(*paths: Path, next_step: str = _OTHER_FILE_STEP) -> None:
    """Raise ConfigurationError if a file cannot be written or backed up. Call it before a request that cannot be undone."""
    for original in paths:
        path = Path(os.path.realpath(original))  # a link is followed
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if path.exists():
                read_small_file(path)  # for the backup
        except OSError as error:
            raise _make_error(path, error.strerror or type(error).__name__, next_step) from error
        if not os.access(path.parent, os.W_OK):
            raise _make_error(path, "its folder is not writable", next_step)


def _make_error(path: Path, reason: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(f"the file cannot be written ({reason})", where=str(path), next_step=next_step)


def write_with_backup(path: Path, content: str) -> Path | None:
    """Write ``content`` and return the path of the backup of an existing file, or None. A link is followed."""
    check_writable(path)
    path = Path(os.path.realpath(path))
    backup = None
    if path.exists():
        number = next(each for each in range(1, 10_000) if not os.path.lexists(_build_backup_path(path, each)))
        backup = _build_backup_path(path, number)
        with os.fdopen(os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb") as file:
            file.write(read_small_file(path))
    write_atomically(path, content, mode=_OWNER_ONLY)
    return backup


def _build_backup_path(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.bak-{number}")
