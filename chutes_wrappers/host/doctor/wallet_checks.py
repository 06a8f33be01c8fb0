"""What may be wrong with the wallets."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account import wallets
from chutes_wrappers.host.doctor.finding import Finding, Severity, plural

_MAKES_ONE = f"{NAMES.account} makes one; needed only for an account of the platform"


def wallet_findings() -> Iterator[Finding]:
    """About the files in the wallets' folder that must be their owner's alone."""
    folder = wallets.wallets_folder()
    hotkeys = wallets.find(folder) if folder.is_dir() else []
    if not hotkeys:
        yield _finding("wallets", "note", f"no hotkey in {folder}", _MAKES_ONE)
    secret = sorted(folder.glob("*/coldkey")) + [folder / wallet / "hotkeys" / name for wallet, name in hotkeys]
    unreadable = [path for path in secret if not os.access(path, os.R_OK)]
    if unreadable:
        yield _finding("hotkey", "warning", _named(unreadable, "cannot be read"), _chmod("u+r", unreadable))
    exposed = [path for path in secret if path not in unreadable and stat.S_IMODE(path.stat().st_mode) & 0o077]
    if exposed:
        yield _finding("mode", "warning", _named(exposed, "may be read by others"), _chmod("600", exposed))
    for wallet, name in hotkeys:
        wrong = _problem(folder, wallet, name)
        if wrong is not None and Path(wrong.where or "") not in unreadable:
            fix = f"restore it from a backup, or move it away; {NAMES.account} makes a new wallet"
            yield _finding("file", "warning", f"{wrong.where}: {wrong.what}", fix)
    if hotkeys:
        yield _finding("wallets", "ok", f"{plural(len(hotkeys), 'hotkey')} in {folder}")


def _problem(folder: Path, wallet: str, name: str) -> ConfigurationError | None:
    """What keeps a hotkey from being used, and which file."""
    try:
        wallets.read(folder, wallet, name)
    except ConfigurationError as wrong:
        return wrong
    return None


def _named(paths: Sequence[Path], what: str) -> str:
    more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
    return f"{paths[0]} {what}{more}"


def _chmod(mode: str, paths: Sequence[Path]) -> str:
    return f"chmod {mode} {' '.join(shlex.quote(str(path)) for path in paths)}"


def _finding(name: str, severity: Severity, found: str, fix: str = "") -> Finding:
    return Finding(group="wallet", name=name, severity=severity, found=found, fix=fix)
