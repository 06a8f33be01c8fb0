"""What the API asks of the instances."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from chutes_wrappers.emulator.records import ChuteRecord, InstanceRecord


class InstanceService(Protocol):
    """The instances of all chutes. Used on the event loop that serves the API."""

    def know(self, chute: ChuteRecord) -> None:
        """Remember a chute that was deployed before, without starting anything."""
        ...

    async def deployed(self, chute: ChuteRecord) -> None:
        """A chute was deployed, or a new version of it."""
        ...

    async def removed(self, chute_id: str) -> None:
        """A chute was deleted."""
        ...

    async def warm(self, chute_id: str) -> None:
        """An instance is wanted; returns at once."""
        ...

    def of(self, chute_id: str) -> Sequence[InstanceRecord]:
        """The instances of a chute, the oldest first, those that are gone included."""
        ...

    def get(self, instance_id: str) -> InstanceRecord | None:
        """One instance."""
        ...

    def logs(self, instance_id: str, backfill: int) -> AsyncIterator[str]:
        """Its last ``backfill`` lines, and those to come; ends when it is gone."""
        ...
