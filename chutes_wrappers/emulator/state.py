"""The persistent state of the emulated platform, in one folder. It survives a kill of the process."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

from loguru import logger

from chutes_wrappers.emulator.database import Database
from chutes_wrappers.emulator.records import ChuteRecord, CordRecord
from chutes_wrappers.emulator.tables.chute_table import Chute, Chutes
from chutes_wrappers.emulator.tables.image_table import Images
from chutes_wrappers.emulator.tables.key_table import ApiKeys
from chutes_wrappers.emulator.tables.logo_table import Logos
from chutes_wrappers.emulator.tables.secret_table import Secrets
from chutes_wrappers.emulator.tables.user_table import Users

INTERRUPTED = "the emulator stopped while it was being built"
_CORD_FIELDS = tuple(field.name for field in fields(CordRecord))


class State:
    """The state in ``folder``, created when it does not exist. A context manager. ``now`` is in unix seconds.

    Can be used from any thread. Builds that were running when the emulator stopped are recorded as failed. A new state gets
    the given ``identity`` (a word), else a random one. Raises ConfigurationError when another emulator has it open.
    """

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time, identity: str | None = None) -> None:
        self.now = now
        self._database = Database(folder)
        self.users = Users(self._database, now)
        self.images = Images(self._database, now)
        self.chutes = Chutes(self._database, now)
        self.secrets = Secrets(self._database, now)
        self.api_keys = ApiKeys(self._database, now)
        self.logos = Logos(self._database)
        self._records: tuple[int, dict[str, ChuteRecord]] = (-1, {})
        self.identity = self._load_identity(identity or secrets.token_hex(4))
        if count := self.images.fail_interrupted_builds(INTERRUPTED):
            logger.warning("{} builds were running when the emulator stopped; they are recorded as failed", count)

    def __enter__(self) -> State:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and unlock the folder."""
        self._database.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Commit all changes of the context, or none."""
        return self._database.transaction()

    def find_record(self, slug: str) -> ChuteRecord | None:
        """Return the chute with this slug as its instances run it, or None. It is read again only after a change of the state."""
        change_count = self._database.change_count
        if self._records[0] != change_count:
            self._records = (change_count, {})
        records = self._records[1]
        if slug not in records and (chute := self.chutes.find_by_slug(slug)) is not None:
            records[slug] = self.build_record(chute)
        return records.get(slug)

    def build_record(self, chute: Chute) -> ChuteRecord:
        """Return a chute as its instances run it, with its secrets."""
        owner, image = self.users.find_by_id(chute.user_id), self.images.find_by_id(chute.image_id)
        assert owner is not None
        definition = chute.definition
        return ChuteRecord(
            chute_id=chute.chute_id,
            version=chute.version,
            name=chute.name,
            slug=chute.slug,
            username=owner.username,
            filename=definition["filename"],
            reference=definition["ref_str"],
            code=definition["code"],
            image=image.reference if image else None,
            cords=tuple(_build_cord_record(cord) for cord in definition["cords"]),
            concurrency=definition["concurrency"],
            max_instances=definition["max_instances"],
            scaling_threshold=definition["scaling_threshold"],
            shutdown_after_s=definition["shutdown_after_seconds"],
            allow_external_egress=definition["allow_external_egress"],
            standard_template=definition["standard_template"],
            environment=self.secrets.build_environment(chute.user_id, chute.chute_id, chute.name),
            is_disabled=chute.is_disabled,
            owner_balance=owner.balance,
        )

    def _load_identity(self, new_identity: str) -> str:
        """Return the identity: it makes image names in the engine unique among states."""
        with self._database.transaction():
            self._database.execute("INSERT OR IGNORE INTO settings VALUES ('identity', ?)", new_identity)
            row = self._database.query_one("SELECT value FROM settings WHERE name = 'identity'")
        assert row is not None
        return str(row["value"])


def _build_cord_record(cord: Mapping[str, Any]) -> CordRecord:
    values = {name: cord[name] for name in _CORD_FIELDS}
    # No call has an empty path, so a cord without a public path is never matched.
    return CordRecord(**{**values, "public_api_path": cord["public_api_path"] or ""})
