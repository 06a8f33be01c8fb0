"""The consecutive failed calls of one instance, and how often they disable it (PLATFORM.md, section 3, sentence 7)."""

from __future__ import annotations

from chutes_wrappers.core.platform_rules import (
    DISABLE_S,
    DISABLE_WINDOW_S,
    DISABLES_TO_DELETION,
    FAILURES_TO_DISABLE,
)


class FailureCount:
    """Counts failures in a row. Times are monotonic seconds of the caller's clock.

    The seventh failure disables the instance for 90 s. The count goes on, so that each further failure disables it again: for
    180 s, 270 s, …. The sixth time within an hour deletes it. A success resets the count and the times.
    """

    def __init__(self) -> None:
        self.failures = 0
        self._disabled_at: list[float] = []
        self._disabled_until = 0.0

    def record_success(self) -> None:
        """Reset the count, and how often the instance was disabled."""
        self.failures = 0
        self.enable()

    def enable(self) -> None:
        """Enable the instance at once, and forget how often it was disabled."""
        self._disabled_at.clear()
        self._disabled_until = 0.0

    def record_failure(self, now: float) -> float:
        """Count a failure. Return for how many seconds it disables the instance; 0 when it does not."""
        self.failures += 1
        if self.failures < FAILURES_TO_DISABLE:
            return 0.0
        self._disabled_at = [time for time in self._disabled_at if now - time < DISABLE_WINDOW_S] + [now]
        seconds = DISABLE_S * len(self._disabled_at)
        self._disabled_until = max(self._disabled_until, now + seconds)
        return seconds

    def remaining_s(self, now: float) -> float:
        """Return for how many seconds more the instance is disabled; 0 when it is not."""
        return max(0.0, self._disabled_until - now)

    @property
    def is_exhausted(self) -> bool:
        """Whether the instance was disabled so often that it is deleted."""
        return len(self._disabled_at) >= DISABLES_TO_DELETION
