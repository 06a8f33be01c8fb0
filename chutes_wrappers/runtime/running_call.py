"""A call that blocks a worker thread, and ends when its caller goes away."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import TypeVar

_T = TypeVar("_T")


class RunningCall:
    """Ties the work that a thread waits for to the caller who wants it.

    The SDK cancels an ``async`` handler by itself, for which it makes an event loop for each call; a plain handler, which
    is cheaper, runs on when its caller has gone (SDK chute/cord.py).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._work: concurrent.futures.Future[object] | None = None
        self._is_abandoned = False

    def wait_for_result(self, work: concurrent.futures.Future[_T]) -> _T:
        """Wait for ``work``; raises concurrent.futures.CancelledError once the caller has gone."""
        with self._lock:
            self._work = work  # type: ignore[assignment]  # only ever cancelled
            if self._is_abandoned:
                work.cancel()
        return work.result()

    def abandon(self) -> None:
        """The caller has gone, or has its answer."""
        with self._lock:
            self._is_abandoned = True
            if self._work is not None:
                self._work.cancel()
