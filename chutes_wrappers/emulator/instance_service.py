"""What the API asks of the instances."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from chutes_wrappers.emulator.records import ChuteRecord, InstanceRecord


class InstanceService(Protocol):
    """The instances of all chutes. Used on the event loop that serves the API."""

    def register(self, chute: ChuteRecord) -> None:
        """Remember a chute that was deployed before, without starting anything."""
        ...

    async def replace_instances(self, chute: ChuteRecord) -> None:
        """A chute was deployed, or a new version of it."""
        ...

    async def end_instances(self, chute_id: str) -> None:
        """A chute was deleted."""
        ...

    async def warm_up(self, chute_id: str) -> None:
        """An instance is wanted; returns at once."""
        ...

    def list_records(self, chute_id: str) -> Sequence[InstanceRecord]:
        """The instances of a chute, the oldest first, those that are gone included."""
        ...

    def find_record(self, instance_id: str) -> InstanceRecord | None:
        """One instance."""
        ...

    def follow_log(self, instance_id: str, backfill: int) -> AsyncIterator[str]:
        """Its last ``backfill`` lines, and those to come; ends when it is gone."""
        ...
