"""The report of a fault of this program: enough to find it, and nothing that must stay secret."""

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
from secrets import token_hex

from chutes_wrappers.cli.version import collect_versions
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.files import open_atomically
from chutes_wrappers.core.program import NAMES, PACKAGE

_HIDDEN = "••••"
_SHORTEST_HIDDEN = 4
_SECRET_NAME = re.compile(r"KEY|TOKEN(?!IZ)|SECRET|PASS|PWD$|SEED|MNEMONIC|CREDENTIAL|AUTH(?!OR)", re.IGNORECASE)
# What is a key, a signature, an address or a pass phrase wherever it stands.
_SECRET_TEXT = (
    re.compile(r"(\b(?:bearer|basic)\s+)[^\s'\"]+", re.IGNORECASE),
    re.compile(r"\bcp[a-z]_[\w-]+|\beyJ[\w-]+(?:\.[\w-]+)*"),
    re.compile(r"(?<=://)[^/?#\s]+(?=@)"),
    re.compile(  # a name, also in JSON within a string, and its value, which may be quoted
        r"""((?:key|token|secret|pass|password|passwd|passphrase|pwd|seed|mnemonic|signature|credentials?|auth|authorization"""
        r"""|cookie)\\*['"]?\s*[=:]\s*)(?:(?P<quote>\\*['"]).*?(?P=quote)[^\s,;)}]*|[^\s,;)}]+)""",
        re.IGNORECASE,
    ),
    re.compile(r"""\b(?:[a-z]{3,8}[\s'",]+){11,}[a-z]{3,8}\b"""),
    re.compile(r"[A-Za-z0-9]{32,}"),
    re.compile(  # base64, and neither a path nor a name of Python's
        r"(?<![\w/.~-])(?=[a-z+/_-]*[A-Z0-9])[A-Za-z0-9+_-][A-Za-z0-9+/_-]{31,}={0,2}"
    ),
)


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What was run: the command and the names of its flags; ``values`` are theirs, which no report shows."""

    command: str = ""
    flags: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


def report_fault(failure: Exception, invocation: Invocation) -> WrapperError:
    """The error that a person sees for a fault of this program, after a report of it was written."""
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    if isinstance(failure, ImportError):
        next_step = f"{NAMES.deploy} --doctor says what the environment lacks, and the fix"
    else:
        report_path = write_report(failure, invocation)
        advice = f"read {report_path}, in which secrets are masked, and report it" if report_path else "report it"
        next_step = f"this is a fault of the toolkit: {advice}; --debug shows all of it here"
    return WrapperError(
        f"unexpected {type(failure).__name__}: {mask_secrets(_format_message(failure), invocation.values)}",
        where=f"{Path(frame.filename).name}, line {frame.lineno}",
        next_step=next_step,
    )


def write_report(failure: BaseException, invocation: Invocation) -> Path | None:
    """Write a report that its user alone may read, whole or not at all; its path, None where no folder can be written to."""
    text = "\n".join(_report_lines(failure, invocation)) + "\n"
    for find_folder in (_find_state_folder, _find_temporary_folder):
        with contextlib.suppress(OSError, RuntimeError):  # the latter: this user has no home folder
            folder = find_folder()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = folder / f"fault-{time.strftime('%Y%m%d-%H%M%S')}-{token_hex(4)}.txt"
            with open_atomically(path, mode=0o600) as file:
                # A file name may contain bytes that are not UTF-8; Python represents them as lone surrogates.
                file.write(text.encode(errors="backslashreplace"))
            return path
    return None


def mask_secrets(text: str, values: Sequence[str] = ()) -> str:
    """``text`` without ``values`` and their parts, the secrets of this environment, and whatever looks like a key."""
    secrets = [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
    parts = [part for value in values for part in _split_value(value)]
    for value in sorted({*secrets, *parts}, key=len, reverse=True):
        if len(value) >= _SHORTEST_HIDDEN:
            text = text.replace(value, _HIDDEN)
    for pattern in _SECRET_TEXT:
        text = pattern.sub(lambda match: (match[1] if match.re.groups else "") + _HIDDEN, text)
    return text


def _split_value(value: str) -> Iterator[str]:
    """What a message may quote of a flag's value: all of it, the value in NAME=VALUE, each text in JSON."""
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
    except Exception:  # noqa: BLE001 - of somebody else's class, and the report is about another fault
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
    yield f"flags {', '.join(invocation.flags) or 'none'} (values are left out)"
    yield from _format_trace(failure, invocation.values)


def _format_trace(failure: BaseException, values: Sequence[str]) -> Iterator[str]:
    """What failed, innermost cause last; source lines of this program alone, and no variables."""
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
