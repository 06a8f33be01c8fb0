"""The table of secrets: variables for the instances of a chute."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chutes_wrappers.emulator.database import Database


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A variable for the instances of the chute with the id or name ``purpose``."""

    secret_id: str
    user_id: str
    purpose: str
    key: str
    value: str = field(repr=False)
    created_at: float


class Secrets:
    """The secrets of all users."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def add(self, *, user_id: str, purpose: str, key: str, value: str) -> Secret:
        """Store a secret."""
        secret = Secret(
            secret_id=str(uuid.uuid4()), user_id=user_id, purpose=purpose, key=key, value=value, created_at=self._now()
        )
        self._database.execute(
            "INSERT INTO secrets VALUES (?, ?, ?, ?, ?, ?)",
            *(secret.secret_id, user_id, purpose, key, value, secret.created_at),
        )
        return secret

    def list_by_user(self, user_id: str) -> Sequence[Secret]:
        """Return a user's secrets, the oldest first."""
        rows: Any = self._database.query("SELECT * FROM secrets WHERE user_id = ? ORDER BY created_at", user_id)
        return [Secret(**row) for row in rows]

    def build_environment(self, user_id: str, *purposes: str) -> Mapping[str, str]:
        """Return the variables for a user's chute: secrets with any of ``purposes``, case-insensitively."""
        names = {purpose.lower() for purpose in purposes}
        return {secret.key: secret.value for secret in self.list_by_user(user_id) if secret.purpose.lower() in names}

    def remove(self, secret_id: str) -> None:
        """Delete a secret."""
        self._database.execute("DELETE FROM secrets WHERE secret_id = ?", secret_id)
