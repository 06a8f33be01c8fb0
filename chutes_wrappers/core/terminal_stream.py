"""The guard of standard output and standard error: what any library writes to a terminal is escaped.

``cli/output.py`` escapes what it prints itself, and adds colours. Warnings, tracebacks, log lines and usage errors of libraries
do not pass through it; they may quote a file name, a response or an argument.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from chutes_wrappers.core.text import escape_block, remove_colours


class TerminalStream:
    """A text stream that escapes what a terminal obeys or hides. It has no ``buffer``: bytes would bypass it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the escaped text without its colours, such as those of log lines; return the number of characters of ``text``."""
        self._stream.write(escape_block(remove_colours(text)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write the escaped texts."""
        for line in lines:
            self.write(line)

    @property
    def rich_proxied_file(self) -> TextIO:
        """The stream itself, under the name by which ``rich.console.Console`` looks it up: only ``cli/output.py`` uses one."""
        return self._stream

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)


def guard_streams() -> None:
    """Guard standard error, and standard output if it is a terminal: a result in a pipe or a file stays exact."""
    if sys.stderr is not None:
        sys.stderr = TerminalStream(sys.stderr)
    if sys.stdout is not None and sys.stdout.isatty():
        sys.stdout = TerminalStream(sys.stdout)
