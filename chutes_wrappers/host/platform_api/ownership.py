"""Chutes and images in the API's responses: their names, ids and owners. Pure.

Names of the platform are not unique (PLATFORM.md, section 5): a record is used only with the expected id, name and owner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_checks import compute_chute_id, compute_image_id
from chutes_wrappers.core.text import clean_text


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of objects with owners. ``collection`` is its path in the API; ``compute_id`` takes a user and a name.

    ``read_name`` returns the name in a record, and ``normalize`` the form in which two names are compared.
    """

    noun: str
    collection: str
    id_field: str
    compute_id: Callable[[str, str], str]
    read_name: Callable[[Mapping[str, Any]], str]
    normalize: Callable[[str], str]

    def is_named(self, record: Mapping[str, Any], name: str) -> bool:
        """Return whether ``record`` has exactly this name."""
        return self.normalize(self.read_name(record)) == self.normalize(name)

    def is_owned_by(self, record: Mapping[str, Any], username: str) -> bool:
        """Return whether ``record`` belongs to the user. Without an owner, its id must be that of the user's object."""
        owner = read_owner(record)
        if owner is None:
            return record.get(self.id_field) == self.compute_id(username, self.read_name(record))
        return owner == username


def read_owner(record: Mapping[str, Any]) -> str | None:
    """Return the username of the record's owner, or None when the API omits it."""
    user = record.get("user")
    username = user.get("username") if isinstance(user, Mapping) else None
    return username if isinstance(username, str) and username else None


def add_owner(record: Mapping[str, Any], username: str) -> dict[str, Any]:
    """Return ``record``, which belongs to the user, with the owner that an older API omits."""
    return {**record, "user": {"username": username}} if read_owner(record) is None else dict(record)


def format_owner(username: str | None) -> str:
    """Format the owner of a chute or image for a message."""
    return clean_text(username) or "an unknown user"


def build_foreign_error(kind: Kind, name: str, record: Mapping[str, Any]) -> WrapperError:
    """Build the error for a ``record`` that the API returned for ``name``, but that is another user's or another object."""
    return WrapperError(
        f"the platform returned another {kind.noun} for {name!r}: "
        f"{clean_text(kind.read_name(record))!r} of {format_owner(read_owner(record))}",
        evidence=f"its id: {clean_text(record.get(kind.id_field))}",
        next_step=f"use your own {kind.noun}'s name, USER/NAME for another user's, or an id: --list-{kind.noun}s shows them",
    )


def _read_chute_name(record: Mapping[str, Any]) -> str:
    return str(record.get("name"))


def _read_image_name(record: Mapping[str, Any]) -> str:
    return f"{record.get('name')}:{record.get('tag')}"


def _compute_image_id(username: str, reference: str) -> str:
    name, _, tag = reference.partition(":")
    return compute_image_id(username, name, tag)


CHUTE = Kind(
    noun="chute",
    collection="chutes",
    id_field="chute_id",
    compute_id=compute_chute_id,
    read_name=_read_chute_name,
    normalize=str,
)
IMAGE = Kind(
    noun="image",
    collection="images",
    id_field="image_id",
    compute_id=_compute_image_id,
    read_name=_read_image_name,
    normalize=str.lower,  # names that differ by case are one image (section 4)
)
