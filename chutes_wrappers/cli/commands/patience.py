"""Asking the platform again and again, which a short fault of it does not end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api import PlatformRefused, PlatformUnreachable

LONGEST_OUTAGE_S = 60.0
_TOO_MANY_REQUESTS = 429
_T = TypeVar("_T")


class Patience:
    """Forgives a platform that gives no useful answer for a minute."""

    def __init__(self) -> None:
        self._last_answer = time.monotonic()

    @property
    def silence_s(self) -> float:
        """Seconds since the last answer."""
        return time.monotonic() - self._last_answer

    def look(self, ask: Callable[[], _T]) -> _T | None:
        """What ``ask`` returns; None where it fails as it may for a while. Its WrapperError when it has for too long."""
        try:
            found = ask()
        except WrapperError as failure:
            if not is_passing(failure) or self.silence_s > LONGEST_OUTAGE_S:
                raise
            return None
        self._last_answer = time.monotonic()
        return found


def is_passing(failure: WrapperError) -> bool:
    """Whether a failure may be over soon: no answer, too many requests, or a fault of the platform's."""
    if isinstance(failure, PlatformRefused):
        return failure.status == _TOO_MANY_REQUESTS or failure.status >= 500
    return isinstance(failure, PlatformUnreachable)
