"""Tells coroutines that something changed, from any thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator


class ChangeNotifier:
    """Something that changes, and whoever waits for that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @contextlib.contextmanager
    def watch(self) -> Iterator[asyncio.Event]:
        """An event that is set with every change, for a coroutine that clears it before it looks."""
        event = asyncio.Event()
        with self._lock:
            self._watchers[event] = asyncio.get_running_loop()
        try:
            yield event
        finally:
            with self._lock:
                del self._watchers[event]

    def notify(self) -> None:
        """It changed."""
        with self._lock:
            watchers = list(self._watchers.items())
        for event, loop in watchers:
            with contextlib.suppress(RuntimeError):  # that loop has ended
                loop.call_soon_threadsafe(event.set)
