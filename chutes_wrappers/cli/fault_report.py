"""The report of an internal error: enough to locate it, without secrets."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.cli.version import collect_versions
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.files import open_atomically
from chutes_wrappers.core.program import NAMES, PACKAGE

_HIDDEN = "••••"
_SHORTEST_HIDDEN = 4
_SECRET_NAME = re.compile(r"KEY|TOKEN(?!IZ)|SECRET|PASS|PWD$|SEED|MNEMONIC|CREDENTIAL|AUTH(?!OR)", re.IGNORECASE)
# Keys, signatures, credentials in URLs and pass phrases, at any position.
_SECRET_TEXT = (
    re.compile(r"(\b(?:bearer|basic)\s+)[^\s'\"]+", re.IGNORECASE),
    re.compile(r"\bcp[a-z]_[\w-]+|\beyJ[\w-]+(?:\.[\w-]+)*"),
    re.compile(r"(?<=://)[^/?#\s]+(?=@)"),
    re.compile(  # a name, also in JSON inside a string, and its value, quoted or not
        r"""((?:key|token|secret|pass|password|passwd|passphrase|pwd|seed|mnemonic|signature|credentials?|auth|authorization"""
        r"""|cookie)\\*['"]?\s*[=:]\s*)(?:(?P<quote>\\*['"]).*?(?P=quote)[^\s,;)}]*|[^\s,;)}]+)""",
        re.IGNORECASE,
    ),
    re.compile(r"""\b(?:[a-z]{3,8}[\s'",]+){11,}[a-z]{3,8}\b"""),
    re.compile(r"[A-Za-z0-9]{32,}"),
    re.compile(  # base64, but not a path and not a name in Python
        r"(?<![\w/.~-])(?=[a-z+/_-]*[A-Z0-9])[A-Za-z0-9+_-][A-Za-z0-9+/_-]{31,}={0,2}"
    ),
)


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """The command that was run and the names of its flags. Their ``values`` are never in a report."""

    command: str = ""
    flags: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


def report_fault(failure: Exception, invocation: Invocation) -> WrapperError:
    """Write a report of an internal error, and return the error to print."""
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    if isinstance(failure, ImportError):
        next_step = f"run {NAMES.deploy} --doctor: it prints what the environment lacks, and the fix"
    else:
        report_path = write_report(failure, invocation)
        advice = f"read {report_path}, in which secrets are masked, and report it" if report_path else "report it"
        next_step = f"this is a fault of the toolkit: {advice}; --debug prints all of it here"
    return WrapperError(
        f"unexpected {type(failure).__name__}: {mask_secrets(_format_message(failure), invocation.values)}",
        where=f"{Path(frame.filename).name}, line {frame.lineno}",
        next_step=next_step,
    )


def write_report(failure: BaseException, invocation: Invocation) -> Path | None:
    """Write a report atomically, readable only by its user; return its path, None if no folder is writable."""
    text = "\n".join(_report_lines(failure, invocation)) + "\n"
    for find_folder in (_find_state_folder, _find_temporary_folder):
        with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: this user has no home folder
            folder = find_folder()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = folder / f"fault-{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(4).hex()}.txt"
            with open_atomically(path, mode=0o600) as file:
                # A file name may contain bytes that are not UTF-8; Python represents them as lone surrogates.
                file.write(text.encode(errors="backslashreplace"))
            return path
    return None


def mask_secrets(text: str, values: Sequence[str] = ()) -> str:
    """Mask in ``text``: ``values`` and their parts, secrets of the environment, and everything that looks like a key."""
    secrets = [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
    parts = [part for value in values for part in _split_value(value)]
    for value in sorted({*secrets, *parts}, key=len, reverse=True):
        if len(value) >= _SHORTEST_HIDDEN:
            text = text.replace(value, _HIDDEN)
    for pattern in _SECRET_TEXT:
        text = pattern.sub(lambda match: (match[1] if match.re.groups else "") + _HIDDEN, text)
    return text


def _split_value(value: str) -> Iterator[str]:
    """Yield the parts of a flag's value that a message may quote: all of it, the value in NAME=VALUE, each text in JSON."""
    with contextlib.suppress(ValueError, RecursionError):
        yield from _iterate_texts(json.loads(value))
    for part in (value, value.partition("=")[2]):
        yield part
        yield repr(part)[1:-1]


def _iterate_texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _iterate_texts(each)


def _format_message(failure: BaseException) -> str:
    try:
        return str(failure)
    except Exception:  # noqa: BLE001 - the class of another library; the report is about another fault
        return "(its message cannot be shown)"


def _find_temporary_folder() -> Path:
    return Path(tempfile.gettempdir())


def _find_state_folder() -> Path:
    state_home = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (state_home if state_home.is_absolute() else Path.home() / ".local" / "state") / "chutes-wrappers"


def _report_lines(failure: BaseException, invocation: Invocation) -> Iterator[str]:
    yield "\n".join(f"{name} {version}" for name, version in collect_versions())
    yield f"platform {platform.platform()}"
    yield f"command {invocation.command or 'unknown'}"
    yield f"flags {', '.join(invocation.flags) or 'none'} (values are omitted)"
    yield from _format_trace(failure, invocation.values)


def _format_trace(failure: BaseException, values: Sequence[str]) -> Iterator[str]:
    """Yield the failures with their frames, innermost cause last; source lines only of this program, no variables."""
    for each in _iterate_causes(failure):
        yield f"\n{type(each).__module__}.{type(each).__name__}: {mask_secrets(_format_message(each), values)}"
        for frame in traceback.extract_tb(each.__traceback__):
            path = Path(frame.filename)
            is_ours = path.is_relative_to(PACKAGE)
            display_path = path.relative_to(PACKAGE.parent) if is_ours else Path(*path.parts[-2:])
            yield f"  {display_path}, line {frame.lineno}, in {frame.name}"
            if is_ours and frame.line:
                yield f"    {frame.line}"


def _iterate_causes(failure: BaseException) -> Iterator[BaseException]:
    visited: set[int] = set()
    current: BaseException | None = failure
    while current is not None and id(current) not in visited:
        visited.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
