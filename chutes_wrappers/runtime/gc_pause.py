"""A pause of the garbage collector while a large value is built: it would scan millions of new objects, and free none."""

from __future__ import annotations

import gc
import threading
from types import TracebackType


class GCPause:
    """A context manager for any number of threads: the collector is enabled again when the last one has left.

    Parsing 100 MB of JSON takes a third of the time without it (measured), and holds the interpreter's lock meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._was_enabled = False

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._was_enabled:
                gc.enable()
