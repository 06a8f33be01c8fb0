"""Asking the platform again and again, which a short fault of it does not end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api.api_client import PlatformRequestFailed, PlatformUnreachable

LONGEST_OUTAGE_S = 60.0
_TOO_MANY_REQUESTS = 429
_T = TypeVar("_T")


class OutageTolerance:
    """Forgives a platform that gives no useful answer for a minute, counted from the first time that it gave none."""

    def __init__(self) -> None:
        self._failing_since: float | None = None

    @property
    def outage_s(self) -> float:
        """Seconds since the first failure after the last answer; 0 without one."""
        return 0.0 if self._failing_since is None else time.monotonic() - self._failing_since

    def call(self, request: Callable[[], _T]) -> _T | None:
        """What ``ask`` returns; None where it fails as it may for a while. Its WrapperError when it has for too long."""
        try:
            result = request()
        except WrapperError as failure:
            self.record_failure(failure)
            return None
        self.record_success()
        return result

    def record_failure(self, failure: WrapperError) -> None:
        """Raise ``failure`` unless it may be over soon, and nothing has come for less than a minute."""
        if not _is_temporary(failure) or self.outage_s > LONGEST_OUTAGE_S:
            raise failure
        if self._failing_since is None:
            self._failing_since = time.monotonic()

    def record_success(self) -> None:
        """Something has come."""
        self._failing_since = None


def _is_temporary(failure: WrapperError) -> bool:
    """Whether a failure may be over soon: no answer, too many requests, or a fault of the platform's."""
    if isinstance(failure, PlatformRequestFailed):
        return failure.status == _TOO_MANY_REQUESTS or failure.status >= 500
    return isinstance(failure, PlatformUnreachable)
