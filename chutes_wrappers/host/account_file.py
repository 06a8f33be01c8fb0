"""The SDK's configuration file (SDK ``config.py``): written as a whole, for its owner alone, and never over another one."""

from __future__ import annotations

import configparser
import io
import os
from dataclasses import dataclass, field
from pathlib import Path

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import write_atomically

_OWNERS = 0o600


@dataclass(frozen=True, kw_only=True)
class NewAccount:
    """What the file says: where the API is, who the user is, and the hotkey that signs for them."""

    url: str
    username: str
    user_id: str
    payment_address: str
    hotkey_name: str
    hotkey: str
    seed: str = field(repr=False)


def text(account: NewAccount) -> str:
    """The file's content."""
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
    written = io.StringIO()
    parser.write(written)
    return written.getvalue()


def check_writable(path: Path) -> None:
    """Raise ConfigurationError where no file can be written, before anything is sent that cannot be taken back."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"the folder cannot be made ({error.strerror})", where=str(path.parent), next_step="set CHUTES_CONFIG_PATH"
        ) from error
    if not os.access(path.parent, os.W_OK) or path.is_dir():
        raise ConfigurationError(
            "the account cannot be written there", where=str(path), next_step="name a file in CHUTES_CONFIG_PATH"
        )


def keep(path: Path, content: str) -> Path | None:
    """Write ``content``; the file that was there is kept beside it, whose path is returned."""
    check_writable(path)
    older = None
    if path.exists():
        number = next(each for each in range(1, 10_000) if not _older(path, each).exists())
        older = _older(path, number)
        write_atomically(older, path.read_text(encoding="utf-8", errors="surrogateescape"), mode=_OWNERS)
    write_atomically(path, content, mode=_OWNERS)
    return older


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.bak-{number}")
