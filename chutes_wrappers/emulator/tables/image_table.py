"""The tables of images: uploads, build status, and build logs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.database import Database


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image. ``reference`` is its name in the local engine, None when it is not built there. Times are unix seconds."""

    image_id: str
    user_id: str
    name: str
    tag: str
    readme: str
    public: bool
    logo_id: str | None
    status: str
    reference: str | None
    sdk_version: str
    created_at: float
    build_started_at: float | None = None
    build_completed_at: float | None = None

    @property
    def is_built(self) -> bool:
        """Whether it is built, so that a chute can use it."""
        return self.status == platform_rules.IMAGE_BUILT

    @property
    def is_build_finished(self) -> bool:
        """Whether its build has succeeded or failed."""
        return self.status not in (platform_rules.IMAGE_PENDING, platform_rules.IMAGE_BUILDING)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """The upload of an image: the Dockerfile, and a zip of the build context."""

    dockerfile: str
    build_context: bytes


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line of a build log. ``position`` counts from 1."""

    position: int
    line: str


_COLUMNS = tuple(field.name for field in fields(Image))


class Images:
    """Images and their build logs."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def add(self, image: Image, upload: Upload) -> None:
        """Store an image with its upload."""
        placeholders = ", ".join("?" for _ in _COLUMNS)
        with self._database.transaction():
            self._database.execute(
                f"INSERT INTO images ({', '.join(_COLUMNS)}) VALUES ({placeholders})",
                *(getattr(image, column) for column in _COLUMNS),
            )
            self._database.execute(
                "INSERT INTO uploads VALUES (?, ?, ?)", image.image_id, upload.dockerfile, upload.build_context
            )

    def find_by_id(self, image_id: str) -> Image | None:
        """Return the image with this id, or None."""
        return next(iter(self._select("image_id = ?", image_id)), None)

    def find_by_name(self, user_id: str, name: str, tag: str) -> Image | None:
        """Return a user's image by its name and tag, case-insensitively, or None."""
        return next(iter(self._select("user_id = ? AND name = ? AND tag = ?", user_id, name, tag)), None)

    def list_visible(self, user_id: str, *, include_public: bool) -> Sequence[Image]:
        """Return a user's images, on request with all public ones; the newest first."""
        return self._select("user_id = ? OR (public AND ?) ORDER BY created_at DESC", user_id, include_public)

    def read_upload(self, image_id: str) -> Upload:
        """Return the upload of an image."""
        row: Any = self._database.query_one(
            "SELECT dockerfile, build_context FROM uploads WHERE image_id = ?", image_id
        )
        return Upload(**row)

    def start_build(self, image_id: str) -> None:
        """Record that the build of an image has started."""
        self._database.execute(
            "UPDATE images SET status = ?, build_started_at = ? WHERE image_id = ?",
            *(platform_rules.IMAGE_BUILDING, self._now(), image_id),
        )

    def finish_build(self, image_id: str, status: str, reference: str | None) -> None:
        """Record the end of a build: its ``status``, and the image's ``reference`` in the engine."""
        self._database.execute(
            "UPDATE images SET status = ?, reference = ?, build_completed_at = ? WHERE image_id = ?",
            *(status, reference, self._now(), image_id),
        )

    def fail_interrupted_builds(self, reason: str) -> int:
        """Record every unfinished build as failed for ``reason``. Return their number."""
        return self._database.execute(
            "UPDATE images SET status = ?, build_completed_at = ? WHERE status IN (?, ?)",
            *(platform_rules.IMAGE_FAILED + reason, self._now()),
            *(platform_rules.IMAGE_PENDING, platform_rules.IMAGE_BUILDING),
        )

    def append_log(self, image_id: str, lines: Iterable[str]) -> None:
        """Append lines to a build log. Does nothing for an image that was deleted meanwhile."""
        with self._database.transaction():
            for line in lines:
                self._database.execute(
                    "INSERT INTO build_logs SELECT image_id, "
                    "(SELECT coalesce(max(position), 0) + 1 FROM build_logs WHERE image_id = ?1), ?2 "
                    "FROM images WHERE image_id = ?1",
                    *(image_id, line),
                )

    def read_log(self, image_id: str, after: int = 0) -> Sequence[LogLine]:
        """Return the lines of a build log after a position, the oldest first."""
        rows: Any = self._database.query(
            "SELECT position, line FROM build_logs WHERE image_id = ? AND position > ? ORDER BY position",
            image_id,
            after,
        )
        return [LogLine(**row) for row in rows]

    def remove(self, image_id: str) -> None:
        """Delete an image, its log and its upload."""
        self._database.execute("DELETE FROM images WHERE image_id = ?", image_id)

    def _select(self, condition: str, *values: Any) -> list[Image]:
        rows: Any = self._database.query(f"SELECT * FROM images WHERE {condition}", *values)
        return [Image(**{**row, "public": bool(row["public"])}) for row in rows]
