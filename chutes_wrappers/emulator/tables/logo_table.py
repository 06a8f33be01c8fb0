"""The table of logos of images and chutes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from chutes_wrappers.emulator.database import Database


@dataclass(frozen=True, kw_only=True)
class Logo:
    """A logo as it was uploaded."""

    logo_id: str
    user_id: str
    media_type: str
    content: bytes


class Logos:
    """The logos of all users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, *, user_id: str, media_type: str, content: bytes) -> Logo:
        """Store a logo."""
        logo = Logo(logo_id=str(uuid.uuid4()), user_id=user_id, media_type=media_type, content=content)
        self._database.execute("INSERT INTO logos VALUES (?, ?, ?, ?)", logo.logo_id, user_id, media_type, content)
        return logo

    def find_by_id(self, logo_id: str) -> Logo | None:
        """Return the logo with this id, or None."""
        row: Any = self._database.query_one("SELECT * FROM logos WHERE logo_id = ?", logo_id)
        return Logo(**row) if row else None
