"""The log of an emulated instance while ``--emulate`` shows other things."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator

from chutes_wrappers.cli import output

_MAX_LOG_LINES = 2000


class Screen:
    """The lines of an instance's log: kept, and printed while nothing else is shown."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MAX_LOG_LINES)
        self._progress: output.Progress | None = None
        self.is_open = False

    @property
    def lines(self) -> list[str]:
        """A copy of the lines so far: the platform's thread adds lines while they are read."""
        return list(self._lines)

    def clear(self) -> None:
        """Forget the lines so far, before the log of another instance."""
        self._lines.clear()

    def add_line(self, line: str) -> None:
        """Add a line."""
        self._lines.append(line)
        if self._progress is not None:
            self._progress.add_line(line)
        elif self.is_open:
            output.log(line)

    @contextlib.contextmanager
    def show_progress(self, title: str) -> Iterator[output.Progress]:
        """Show the lines as the progress of a step."""
        with output.Progress(title) as progress:
            self._progress = progress
            try:
                yield progress
            finally:
                self._progress = None
