"""The tables of users and of their daily counters."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from chutes_wrappers.core import platform_checks
from chutes_wrappers.emulator.database import Database
from chutes_wrappers.host.account.keypairs import keypair_from_seed


@dataclass(frozen=True, kw_only=True)
class User:
    """A registered user. ``balance`` is in dollars, ``permissions`` the bit mask that ``/users/me`` shows."""

    user_id: str
    username: str
    hotkey: str
    coldkey: str
    payment_address: str
    balance: float
    permissions: int
    created_at: float


class DailyAction(str, Enum):
    """An action that is limited per user and day."""

    BUILD = "build"
    CHUTE = "chute"  # created, updated or deleted
    REGISTRATION = "registration"  # counted by the client's address, not by user


class Users:
    """Users, and counters for the UTC day of ``now`` (unix seconds)."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def add(self, *, username: str, hotkey: str, coldkey: str, balance: float, permissions: int) -> tuple[User, str]:
        """Store a new user. Return the user and their fingerprint, of which only a hash is stored."""
        user = User(
            user_id=str(uuid.uuid4()),
            username=username,
            hotkey=hotkey,
            coldkey=coldkey,
            payment_address=keypair_from_seed(secrets.token_hex(32)).ss58_address,
            balance=balance,
            permissions=permissions,
            created_at=self._now(),
        )
        fingerprint = secrets.token_hex(16)
        self._database.execute(
            "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(user.user_id, username, hotkey, coldkey, user.payment_address),
            *(_hash(fingerprint), balance, permissions, user.created_at),
        )
        return user, fingerprint

    def find_by_id(self, user_id: str) -> User | None:
        """Return the user with this id, or None."""
        return self._select_one("user_id = ?", user_id)

    def find_by_hotkey(self, hotkey: str) -> User | None:
        """Return the user with this hotkey address, or None."""
        return self._select_one("hotkey = ?", hotkey)

    def find_by_name(self, username: str) -> User | None:
        """Return the user of this name, case-insensitively, or None."""
        return self._select_one("username = ?", username)

    def find_by_fingerprint(self, fingerprint: str) -> User | None:
        """Return the user with this fingerprint, or None."""
        return self._select_one("fingerprint_hash = ?", _hash(fingerprint))

    def set_keys(self, user_id: str, *, hotkey: str, coldkey: str) -> None:
        """Set the user's keys. The hotkey must not be another user's."""
        self._database.execute("UPDATE users SET hotkey = ?, coldkey = ? WHERE user_id = ?", hotkey, coldkey, user_id)

    def find_by_pattern(self, pattern: str) -> User | None:
        """Return the first registered user whose name matches, as the platform matches names, or None."""
        rows: Any = self._database.query("SELECT username FROM users ORDER BY created_at, rowid")
        matches = (row["username"] for row in rows if platform_checks.is_name_pattern_match(pattern, row["username"]))
        username = next(matches, None)
        return self.find_by_name(username) if username is not None else None

    def set_balance(self, user_id: str, dollars: float) -> None:
        """Set the user's balance."""
        self._database.execute("UPDATE users SET balance = ? WHERE user_id = ?", dollars, user_id)

    def charge(self, user_id: str, dollars: float) -> None:
        """Subtract ``dollars`` from the user's balance."""
        self._database.execute("UPDATE users SET balance = balance - ? WHERE user_id = ?", dollars, user_id)

    def set_permissions(self, user_id: str, permissions: int) -> None:
        """Set the user's permissions, a bit mask."""
        self._database.execute("UPDATE users SET permissions = ? WHERE user_id = ?", permissions, user_id)

    def record_action(self, user_id: str, action: DailyAction) -> None:
        """Count an action of today."""
        self._database.execute(
            "INSERT INTO counters VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET number = number + 1",
            *(user_id, self._format_today(), action.value),
        )

    def count_today(self, user_id: str, action: DailyAction) -> int:
        """Return how often the user did the action today."""
        row = self._database.query_one(
            "SELECT number FROM counters WHERE user_id = ? AND day = ? AND kind = ?",
            user_id,
            self._format_today(),
            action.value,
        )
        return int(str(row["number"])) if row else 0

    def _format_today(self) -> str:
        return datetime.fromtimestamp(self._now(), timezone.utc).date().isoformat()

    def _select_one(self, condition: str, value: str) -> User | None:
        row: Any = self._database.query_one(f"SELECT * FROM users WHERE {condition}", value)
        if row is None:
            return None
        del row["fingerprint_hash"]
        return User(**row)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
