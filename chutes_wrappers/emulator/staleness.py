"""The outdated responses that the platform's API gives for some seconds (PLATFORM.md, section 5), by an injected clock."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from chutes_wrappers.core.platform_rules import MISSING_CHUTE_S
from chutes_wrappers.emulator.clock import Clock, SystemClock

_MAX_ENTRIES = 10_000


@dataclass(frozen=True, kw_only=True)
class Staleness:
    """For how many seconds responses may be old; 0 turns each off. ``--emulate`` has all of them off."""

    missing_chute_s: float = 0  # a 404 of GET or PUT /chutes/{id or name}
    chute_list_s: float = 0  # GET /chutes/
    deleted_key_s: float = 0  # a key that was used before its deletion
    log_dot_s: float = 0  # between the dots after the "DONE" of a build's log, which then never ends


# Section 5, August 2026; the list was cached until 2025 only. How long a deleted key stays valid was not measured.
PLATFORM_STALENESS = Staleness(missing_chute_s=MISSING_CHUTE_S, deleted_key_s=60, log_dot_s=1)


class StaleMemory:
    """Remembers values by key, each for the seconds given with it."""

    def __init__(self, limits: Staleness | None = None, clock: Clock | None = None) -> None:
        self.limits = limits or Staleness()
        self.clock = clock or SystemClock()
        self._entries: dict[Hashable, tuple[float, Any]] = {}

    def remember(self, key: Hashable, value: Any, seconds: float) -> None:
        """Remember ``value`` for ``seconds``, unless the key has a value already."""
        if seconds > 0 and self.recall(key) is None:
            if len(self._entries) >= _MAX_ENTRIES:
                self._entries.clear()
            self._entries[key] = (self.clock.now() + seconds, value)

    def recall(self, key: Hashable) -> Any:
        """Return the value of ``key``, or None if the key is unknown or has expired."""
        ends_at, value = self._entries.get(key, (0.0, None))
        if ends_at > self.clock.now():
            return value
        self._entries.pop(key, None)
        return None
