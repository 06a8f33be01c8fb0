"""The table of API keys. It stores only a hash of a key's secret."""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chutes_wrappers.emulator.database import Database

KEY_PREFIX = "cpk_"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """A permission of a key (SDK ``entrypoint/api_key.py``): ``action`` on ``object_type``. None means all."""

    object_type: str
    object_id: str | None = None
    action: str | None = None


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key without its secret. An ``admin`` key has all permissions of its user. ``last_used_at`` is None if unused."""

    api_key_id: str
    user_id: str
    name: str
    admin: bool
    scopes: tuple[Scope, ...]
    created_at: float
    last_used_at: float | None = None

    def can_ever(self, action: str) -> bool:
        """Whether it permits ``action`` on any object. Only an admin key may read, whatever the scopes (PLATFORM.md, section 5)."""
        return self.admin or (action != "read" and any(scope.action in (None, action) for scope in self.scopes))

    def is_allowed_to(self, action: str, object_type: str, *names: str) -> bool:
        """Whether it permits ``action`` on the object that any of ``names`` identifies; without names, on all of that type."""
        return self.admin or any(
            scope.object_type == object_type
            and scope.action in (None, action)
            and (scope.object_id is None or scope.object_id in names)
            for scope in self.scopes
        )


class ApiKeys:
    """The keys of all users."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._last_used_at: dict[str, float] = {}  # by id; since this start of the emulator

    def add(self, *, user_id: str, name: str, admin: bool, scopes: Sequence[Scope]) -> tuple[ApiKey, str]:
        """Create a key. Return it and its secret, which cannot be read again."""
        key = ApiKey(
            api_key_id=str(uuid.uuid4()),
            user_id=user_id,
            name=name,
            admin=admin,
            scopes=tuple(scopes),
            created_at=self._now(),
        )
        secret = f"{KEY_PREFIX}{uuid.UUID(key.api_key_id).hex}.{uuid.UUID(user_id).hex}.{secrets.token_urlsafe(24)}"
        self._database.execute(
            "INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(key.api_key_id, user_id, name, admin, json.dumps([vars(scope) for scope in scopes])),
            *(_hash_secret(secret), key.created_at),
        )
        return key, secret

    def find_by_secret(self, secret: str) -> ApiKey | None:
        """Return the key with this secret, or None. The key counts as used."""
        # A lookup by the hash prevents timing attacks on the secret.
        key = next(iter(self._select("secret_hash = ?", _hash_secret(secret))), None)
        if key is not None:
            self._last_used_at[key.api_key_id] = self._now()
        return key

    def list_by_user(self, user_id: str) -> Sequence[ApiKey]:
        """Return a user's keys, the oldest first."""
        return self._select("user_id = ? ORDER BY created_at", user_id)

    def find(self, user_id: str, name_or_id: str) -> ApiKey | None:
        """Return a user's key by its id or name, or None."""
        return next(
            iter(self._select("user_id = ? AND (api_key_id = ? OR name = ?)", user_id, name_or_id, name_or_id)), None
        )

    def remove(self, api_key_id: str) -> None:
        """Delete a key."""
        self._database.execute("DELETE FROM api_keys WHERE api_key_id = ?", api_key_id)

    def _select(self, condition: str, *values: str) -> list[ApiKey]:
        rows: Any = self._database.query(
            f"SELECT api_key_id, user_id, name, admin, scopes, created_at FROM api_keys WHERE {condition}", *values
        )
        return [
            ApiKey(
                **{
                    **row,
                    "admin": bool(row["admin"]),
                    "scopes": _parse_scopes(row["scopes"]),
                    "last_used_at": self._last_used_at.get(row["api_key_id"]),
                }
            )
            for row in rows
        ]


def _parse_scopes(text: str) -> tuple[Scope, ...]:
    return tuple(Scope(**scope) for scope in json.loads(text))


def _hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
