"""Tolerance of short outages, for commands that send requests to the platform repeatedly."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api.api_client import PlatformRequestFailed, PlatformUnreachable

LONGEST_OUTAGE_S = 60.0
_T = TypeVar("_T")


class OutageTolerance:
    """Tolerates failures of the platform for up to ``LONGEST_OUTAGE_S``, counted from the first failure."""

    def __init__(self) -> None:
        self._failing_since: float | None = None

    @property
    def outage_s(self) -> float:
        """Seconds since the first failure after the last success; 0 without a failure."""
        return 0.0 if self._failing_since is None else time.monotonic() - self._failing_since

    def call(self, request: Callable[[], _T]) -> _T | None:
        """Return the result of ``request``, or None for a failure that is tolerated. Any other WrapperError is raised."""
        try:
            result = request()
        except WrapperError as failure:
            self.record_failure(failure)
            return None
        self.record_success()
        return result

    def record_failure(self, failure: WrapperError) -> None:
        """Raise ``failure`` if it is permanent, or if the outage has lasted more than ``LONGEST_OUTAGE_S``."""
        if not _is_temporary(failure) or self.outage_s > LONGEST_OUTAGE_S:
            raise failure
        if self._failing_since is None:
            self._failing_since = time.monotonic()

    def record_success(self) -> None:
        """End the outage: a request succeeded."""
        self._failing_since = None


def _is_temporary(failure: WrapperError) -> bool:
    """Return whether a failure may end soon: no response, too many requests, or a server error of the platform."""
    if isinstance(failure, PlatformRequestFailed):
        return failure.status == HTTPStatus.TOO_MANY_REQUESTS or failure.status >= 500
    return isinstance(failure, PlatformUnreachable)
