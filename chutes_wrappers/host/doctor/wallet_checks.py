"""Checks of the wallets."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account import wallets
from chutes_wrappers.host.doctor.finding import Finding, Severity, format_count

_CREATE_FIX = f"create one with {NAMES.account}; needed only for an account of the platform"


def check_wallets() -> Iterator[Finding]:
    """Check the files in the wallets' folder, which only their owner may read."""
    folder = wallets.get_wallets_folder()
    hotkeys = wallets.find_hotkeys(folder) if folder.is_dir() else []
    if not hotkeys:
        yield _make_finding("wallets", "note", f"no hotkey in {folder}", _CREATE_FIX)
    secret_files = sorted(folder.glob("*/coldkey")) + [folder / wallet / "hotkeys" / name for wallet, name in hotkeys]
    unreadable = [path for path in secret_files if not os.access(path, os.R_OK)]
    if unreadable:
        yield _make_finding(
            "hotkey", "warning", _format_paths(unreadable, "cannot be read"), _format_chmod("u+r", unreadable)
        )
    exposed = [path for path in secret_files if path not in unreadable and stat.S_IMODE(path.stat().st_mode) & 0o077]
    if exposed:
        yield _make_finding(
            "mode", "warning", _format_paths(exposed, "readable by others"), _format_chmod("600", exposed)
        )
    for wallet, name in hotkeys:
        problem = _find_problem(folder, wallet, name)
        if problem is not None and Path(problem.where or "") not in unreadable:
            fix = f"restore it from a backup, or move it away and create a new wallet with {NAMES.account}"
            yield _make_finding("file", "warning", f"{problem.where}: {problem.what}", fix)
    if hotkeys:
        yield _make_finding("wallets", "ok", f"{format_count(len(hotkeys), 'hotkey')} in {folder}")


def _find_problem(folder: Path, wallet: str, name: str) -> ConfigurationError | None:
    """Return the error that makes a hotkey unusable, or None."""
    try:
        wallets.read_hotkey(folder, wallet, name)
    except ConfigurationError as error:
        return error
    return None


def _format_paths(paths: Sequence[Path], what: str) -> str:
    more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
    return f"{paths[0]} {what}{more}"


def _format_chmod(mode: str, paths: Sequence[Path]) -> str:
    return f"chmod {mode} {' '.join(shlex.quote(str(path)) for path in paths)}"


def _make_finding(name: str, severity: Severity, message: str, fix: str = "") -> Finding:
    return Finding(group="wallet", name=name, severity=severity, found=message, fix=fix)
