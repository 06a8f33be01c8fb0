"""One event loop in a separate thread, for all calls to the wrapped service.

The SDK runs every call on a new event loop in a worker thread (SDK chute/cord.py), where no connection survives. So
everything that must live longer than a call (connections, the loopback server) uses this loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class BackgroundLoop:
    """An event loop in a daemon thread, started on first use and never stopped: it ends with the process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, work: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
        """Start ``work`` on the loop, from any thread; cancelling the future cancels the work."""
        return asyncio.run_coroutine_threadsafe(work, self._get_loop())

    async def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run ``work`` on the loop, and await it from another loop; a cancelled await cancels the work."""
        return await asyncio.wrap_future(self.submit(work))

    def _get_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True).start()
            return self._loop


BACKGROUND = BackgroundLoop("chutes-wrappers")
