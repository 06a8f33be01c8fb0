"""What the API tells of images, chutes, instances and accounts, as values. Pure.

The API may leave out what it has no word for, and other versions of it may say more: only names and ids are needed. Texts
lose the control characters that a terminal would obey.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from chutes_wrappers.core.errors import WrapperError

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]+")


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """An image; ``status`` in the platform's words (PLATFORM.md, section 5)."""

    image_id: str
    name: str
    tag: str
    status: str
    public: bool
    owner: str
    created_at: datetime | None

    @property
    def reference(self) -> str:
        """``name:tag``."""
        return f"{self.name}:{self.tag}"


@dataclass(frozen=True, kw_only=True)
class InstanceInfo:
    """An instance; ``failures`` in a row, ``last_failure`` and ``ended_because`` as far as the API tells of them."""

    instance_id: str
    state: str
    since: datetime | None
    failures: int | None
    last_failure: str
    ended_because: str

    @property
    def is_active(self) -> bool:
        """Whether it takes calls."""
        return self.state == "active"


@dataclass(frozen=True, kw_only=True)
class ChuteInfo:
    """A deployed chute. ``ended`` are instances that are gone, which only the emulator tells of."""

    chute_id: str
    name: str
    owner: str
    slug: str
    version: str
    tagline: str
    public: bool
    hot: bool
    image: ImageInfo | None
    instances: tuple[InstanceInfo, ...]
    ended: tuple[InstanceInfo, ...]
    cords: tuple[Mapping[str, Any], ...]
    node_selector: Mapping[str, Any]
    updated_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class AccountInfo:
    """Who asks; the balance is in dollars, None where the API does not tell it."""

    username: str
    user_id: str
    balance: float | None
    payment_address: str
    permissions: tuple[str, ...]
    may_publish: bool


def image_info(told: Mapping[str, Any]) -> ImageInfo:
    """An image that the API tells of; WrapperError where it has no name."""
    return ImageInfo(
        image_id=_required(told, "image_id"),
        name=_required(told, "name"),
        tag=plain(told.get("tag")),
        status=plain(told.get("status")),
        public=bool(told.get("public")),
        owner=_owner(told),
        created_at=_moment(told.get("created_at")),
    )


def chute_info(told: Mapping[str, Any]) -> ChuteInfo:
    """A chute that the API tells of; WrapperError where it has no name."""
    image = told.get("image")
    instances = tuple(map(instance_info, _mappings(told.get("instances"))))
    return ChuteInfo(
        chute_id=_required(told, "chute_id"),
        name=_required(told, "name"),
        owner=_owner(told),
        slug=plain(told.get("slug")),
        version=plain(told.get("version")),
        tagline=plain(told.get("tagline")),
        public=bool(told.get("public")),
        hot=bool(told.get("hot")) or any(instance.is_active for instance in instances),
        image=image_info(image) if isinstance(image, Mapping) else None,
        instances=instances,
        ended=tuple(map(instance_info, _mappings(told.get("ended_instances")))),
        cords=tuple(_mappings(told.get("cords"))),
        node_selector=_mapping(told.get("node_selector")),
        updated_at=_moment(told.get("updated_at")),
    )


def instance_info(told: Mapping[str, Any]) -> InstanceInfo:
    """An instance that the API tells of."""
    state = plain(told.get("state")) or ("active" if told.get("active") else "starting")
    failures = told.get("failures")
    return InstanceInfo(
        instance_id=_required(told, "instance_id"),
        state=state,
        since=_moment(told.get("last_verified_at")) or _moment(told.get("created_at")),
        failures=failures if isinstance(failures, int) else None,
        last_failure=plain(told.get("last_failure")),
        ended_because=plain(told.get("ended_because")),
    )


def account_info(told: Mapping[str, Any], publish_bit: int, publish_permission: str) -> AccountInfo:
    """The account that the API tells of; ``publish_bit`` and ``publish_permission`` say that it may publish chutes."""
    balance, mask = told.get("balance"), told.get("permissions_bitmask")
    permissions = told.get("permissions")
    named = (
        tuple(map(plain, permissions)) if isinstance(permissions, Sequence) and not isinstance(permissions, str) else ()
    )
    return AccountInfo(
        username=_required(told, "username"),
        user_id=plain(told.get("user_id")),
        balance=float(balance) if isinstance(balance, int | float) and not isinstance(balance, bool) else None,
        payment_address=plain(told.get("payment_address")),
        permissions=named,
        may_publish=(isinstance(mask, int) and bool(mask >> publish_bit & 1)) or publish_permission in named,
    )


def plain(value: Any) -> str:
    """``value`` as a line of text that does nothing to a terminal; empty for None."""
    return "" if value is None else _UNPRINTABLE.sub(" ", str(value)).strip()


def age(since: datetime | None, now: datetime | None = None) -> str:
    """How long ago ``since`` was, roughly: "12 s", "3 min", "5 h", "2 d"; empty when it is not known."""
    if since is None:
        return ""
    seconds = max(0.0, ((now or datetime.now(timezone.utc)) - since).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _required(told: Mapping[str, Any], name: str) -> str:
    if text := plain(told.get(name)):
        return text
    raise WrapperError(
        f"the platform's answer has no {name}",
        evidence=plain(dict(told))[:200],
        next_step="check that the API's address (base_url in the account's file, or CHUTES_API_URL) is the platform's",
    )


def _owner(told: Mapping[str, Any]) -> str:
    return plain(_mapping(told.get("user")).get("username"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _moment(value: Any) -> datetime | None:
    """An ISO 8601 time; one without a zone is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
