"""The log of an instance, for any number of readers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from itertools import islice

MAX_LINES = 5000
MAX_LINE_LENGTH = 4096


class InstanceLog:
    """The last 5000 lines, and new ones until the log is closed. Used on one event loop."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._total = 0
        self._is_closed = False
        self._changed = asyncio.Event()

    def append(self, line: str) -> None:
        """Add a line. It is cut to 4096 characters."""
        self._lines.append(line[:MAX_LINE_LENGTH])
        self._total += 1
        self._notify_readers()

    def close(self) -> None:
        """Close the log: readers end after the last line."""
        self._is_closed = True
        self._notify_readers()

    def tail(self, count: int) -> str:
        """Return the last ``count`` lines as one text."""
        return "\n".join(islice(self._lines, max(0, len(self._lines) - count), None))

    async def follow(self, backfill: int = MAX_LINES) -> AsyncIterator[str]:
        """Yield the last ``backfill`` stored lines, then new ones. A reader that is 5000 lines behind misses some."""
        position = self._total - backfill
        while True:
            dropped = self._total - len(self._lines)
            position = max(position, dropped)
            for line in list(islice(self._lines, position - dropped, None)):
                position += 1
                yield line
            if position < self._total:
                continue
            if self._is_closed:
                return
            await self._changed.wait()

    def _notify_readers(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
