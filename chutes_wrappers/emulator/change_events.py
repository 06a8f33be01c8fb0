"""Notification of coroutines about changes, from any thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator


class ChangeNotifier:
    """Notifies coroutines of changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @contextlib.contextmanager
    def watch(self) -> Iterator[asyncio.Event]:
        """Yield an event that is set with every change. Clear it before you read the state."""
        event = asyncio.Event()
        with self._lock:
            self._watchers[event] = asyncio.get_running_loop()
        try:
            yield event
        finally:
            with self._lock:
                del self._watchers[event]

    def notify(self) -> None:
        """Set the events of all watchers. Can be called from any thread."""
        with self._lock:
            watchers = list(self._watchers.items())
        for event, loop in watchers:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(event.set)
