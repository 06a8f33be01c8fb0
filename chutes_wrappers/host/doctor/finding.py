"""A finding of ``--doctor``, and the conversion of errors to findings."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.program import IS_INSTALLED, NAMES

Severity = Literal["ok", "note", "warning", "failure"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was checked, what was ``found``, the severity, and the exact ``fix`` (empty when there is nothing to do)."""

    group: str
    name: str
    severity: Severity
    found: str
    fix: str = ""


def run_check(group: str, name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of ``check``; an error becomes one more finding, so that later checks still run."""

    def failure(message: str, fix: str) -> Finding:
        return Finding(group=group, name=name, severity="failure", found=message, fix=fix)

    try:
        yield from check()
    except WrapperError as error:
        yield failure(format_error(error), error.next_step or "correct it")
    except ImportError as error:
        yield failure(f"{error.name} cannot be imported ({type(error).__name__})", build_reinstall_fix())
    except OSError as error:
        path = error.filename if isinstance(error.filename, str) else ""
        fix = f"check it with ls -ld {shlex.quote(path)}, and make it readable for your user" if path else "correct it"
        yield failure(f"{path}: {error.strerror or type(error).__name__}".removeprefix(": "), fix)
    except Exception as error:  # noqa: BLE001  # the same for unexpected errors, whose text may contain a key
        fix = "report this fault of the toolkit with the name of the error"
        yield failure(f"the check failed ({type(error).__name__})", fix)


def build_reinstall_fix() -> str:
    """Return the fix that installs the packages again. ``./setup.sh`` alone keeps an environment that looks complete."""
    if IS_INSTALLED or sys.prefix == sys.base_prefix:
        return NAMES.reinstall
    return f"rm -r {shlex.quote(sys.prefix)}, then run ./setup.sh to create it again"


def format_error(error: WrapperError) -> str:
    """Format an error's location, message and last line of evidence, with the account's secrets masked."""
    from chutes_wrappers.host.platform_api import error_responses

    last_line = (error.evidence or "").strip().rpartition("\n")[2]
    text = ": ".join(filter(None, (error.where, error.what, last_line)))
    return error_responses.mask_secrets(text, _collect_secrets())


def format_count(number: int, noun: str) -> str:
    """Format the number and its noun: "1 route", "2 routes"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _collect_secrets() -> list[str]:
    from chutes_wrappers.host.account.api_key import read_api_key
    from chutes_wrappers.host.account.credentials import read_account

    secrets: list[str] = []
    with contextlib.suppress(WrapperError, OSError):
        secrets += read_account().secrets
    with contextlib.suppress(WrapperError, OSError):
        secrets.append(read_api_key() or "")
    return secrets
