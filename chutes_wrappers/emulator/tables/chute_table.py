"""The tables of chutes: the newest version of each chute, and shares."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from chutes_wrappers.core import platform_checks
from chutes_wrappers.emulator.database import Database

_MAX_SLUG_SUFFIX = 1000


@dataclass(frozen=True, kw_only=True)
class Chute:
    """A deployed chute. ``definition`` is the body of the deployment (SDK ``entrypoint/deploy.py``), validated."""

    chute_id: str
    user_id: str
    name: str
    image_id: str
    slug: str
    version: str
    public: bool
    definition: Mapping[str, Any]
    created_at: float
    updated_at: float

    @property
    def cord_ref_id(self) -> str:
        """The id of its list of cords. Chutes with equal cords have the same id."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(self.definition["cords"], sort_keys=True)))

    @property
    def is_disabled(self) -> bool:
        """Whether its owner ended its instances and its calls (PLATFORM.md, section 5)."""
        return bool(self.definition.get("disabled"))

    @property
    def is_immutable(self) -> bool:
        """Whether nobody may deploy or change it any more (section 4)."""
        return bool(self.definition.get("immutable"))


_COLUMNS = tuple(field.name for field in fields(Chute))


def version_of(image_id: str, code: str) -> str:
    """Return the version of a chute: a hash of image and source."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{image_id}:{code}"))


def _keep_switches(previous: Chute | None) -> Mapping[str, Any]:
    """Return what no deployment changes."""
    is_disabled, is_immutable = (previous.is_disabled, previous.is_immutable) if previous else (False, False)
    return {"disabled": is_disabled, "immutable": is_immutable}


class Chutes:
    """Chutes and their shares."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def save(self, *, user_id: str, username: str, image_id: str, definition: Mapping[str, Any]) -> Chute:
        """Store a new chute, or the next version of one."""
        name, now = definition["name"], self._now()
        with self._database.transaction():
            previous = self.find_by_pattern(user_id, name)
            chute = Chute(
                chute_id=previous.chute_id if previous else platform_checks.compute_chute_id(username, name),
                user_id=user_id,
                name=previous.name if previous else name,
                image_id=image_id,
                slug=previous.slug if previous else self._find_free_slug(username, name),
                version=version_of(image_id, definition["code"]),
                public=definition["public"],
                definition={**definition, **_keep_switches(previous)},
                created_at=previous.created_at if previous else now,
                updated_at=now,
            )
            self._write(chute)
        return chute

    def change(self, chute: Chute, changes: Mapping[str, Any]) -> Chute:
        """Store values of a chute's definition without a new version. Return the changed chute."""
        changed = replace(chute, definition={**chute.definition, **changes}, updated_at=self._now())
        self._write(changed)
        return changed

    def find_by_id(self, chute_id: str) -> Chute | None:
        """Return the chute with this id, or None."""
        return next(iter(self._select("chute_id = ?", chute_id)), None)

    def find_by_slug(self, slug: str) -> Chute | None:
        """Return the chute with this slug, or None."""
        return next(iter(self._select("slug = ?", slug)), None)

    def find_by_pattern(self, user_id: str, pattern: str) -> Chute | None:
        """Return a user's oldest chute whose name matches, as the platform matches names, or None."""
        return next(
            (
                chute
                for chute in self.list_oldest_first()
                if chute.user_id == user_id and platform_checks.is_name_pattern_match(pattern, chute.name)
            ),
            None,
        )

    def list_oldest_first(self) -> Sequence[Chute]:
        """Return all chutes, the oldest first."""
        return self._select("1 ORDER BY created_at, rowid")

    def list_all(self) -> Sequence[Chute]:
        """Return all chutes, the newest first."""
        return self._select("1 ORDER BY created_at DESC")

    def list_by_image(self, image_id: str) -> Sequence[Chute]:
        """Return the chutes that use an image."""
        return self._select("image_id = ?", image_id)

    def remove(self, chute_id: str) -> None:
        """Delete a chute and its shares."""
        self._database.execute("DELETE FROM chutes WHERE chute_id = ?", chute_id)

    def share(self, chute_id: str, user_id: str) -> None:
        """Share a chute with a user."""
        self._database.execute("INSERT OR IGNORE INTO shares VALUES (?, ?)", chute_id, user_id)

    def unshare(self, chute_id: str, user_id: str) -> bool:
        """Stop sharing a chute with a user. Return whether it was shared."""
        return self._database.execute("DELETE FROM shares WHERE chute_id = ? AND user_id = ?", chute_id, user_id) > 0

    def can_use(self, chute: Chute, user_id: str) -> bool:
        """Whether a user can see and call a chute: it is theirs, public, or shared with them."""
        if chute.public or chute.user_id == user_id:
            return True
        row = self._database.query_one(
            "SELECT 1 FROM shares WHERE chute_id = ? AND user_id = ?", chute.chute_id, user_id
        )
        return row is not None

    def _write(self, chute: Chute) -> None:
        definition = json.dumps(chute.definition)
        values = (definition if column == "definition" else getattr(chute, column) for column in _COLUMNS)
        settings = ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS)
        self._database.execute(
            f"INSERT INTO chutes ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' for _ in _COLUMNS)}) "
            f"ON CONFLICT (chute_id) DO UPDATE SET {settings}",
            *values,
        )

    def _find_free_slug(self, username: str, name: str) -> str:
        base_slug = platform_checks.build_slug(username, name)
        numbered = (f"{base_slug}-{number}" for number in range(2, _MAX_SLUG_SUFFIX))
        return next(slug for slug in (base_slug, *numbered) if self.find_by_slug(slug) is None)

    def _select(self, condition: str, *values: Any) -> list[Chute]:
        rows: Any = self._database.query(f"SELECT * FROM chutes WHERE {condition}", *values)
        return [
            Chute(**{**row, "public": bool(row["public"]), "definition": json.loads(row["definition"])}) for row in rows
        ]
