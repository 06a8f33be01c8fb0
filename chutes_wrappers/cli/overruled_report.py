"""What a command prints about rules that the user overruled with ``--allow RULE``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from chutes_wrappers.cli import output
from chutes_wrappers.core.overruled_rules import list_overruled, record_overruled


@contextlib.contextmanager
def report_overruled(rules: Iterable[str]) -> Iterator[None]:
    """Overrule ``rules`` while the block runs. Warn where one would have refused something, and once more at the end."""
    names: list[str] = []
    try:
        with record_overruled(rules, _warn):
            try:
                yield
            finally:
                names = list_overruled()
    finally:
        for name in names:
            output.warning(f"rule {name} was overruled: not proven")


def _warn(rule: str, reason: str) -> None:
    output.warning(f"{reason} (rule {rule} is overruled: the platform decides)")
