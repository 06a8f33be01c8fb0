"""A call that blocks a worker thread, and ends when its caller disconnects."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import TypeVar

_T = TypeVar("_T")


class RunningCall:
    """Cancels the work that a thread waits for when the caller disconnects.

    The SDK cancels an ``async`` handler itself, but makes an event loop for each call. A plain handler is cheaper, but
    continues after its caller has disconnected (SDK chute/cord.py).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._work: concurrent.futures.Future[object] | None = None
        self._is_abandoned = False

    def wait_for_result(self, work: concurrent.futures.Future[_T]) -> _T:
        """Wait for ``work``; raises concurrent.futures.CancelledError once the caller has disconnected."""
        with self._lock:
            self._work = work  # type: ignore[assignment]  # only ever cancelled
            if self._is_abandoned:
                work.cancel()
        return work.result()

    def abandon(self) -> None:
        """Cancel the work, because the caller has disconnected, or has its response."""
        with self._lock:
            self._is_abandoned = True
            if self._work is not None:
                self._work.cancel()
