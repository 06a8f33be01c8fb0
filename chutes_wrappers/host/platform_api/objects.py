"""The API's images, chutes, instances and accounts, parsed into values. Pure.

Only names and ids are required: the API may omit any other field, and other versions may have more. Control characters are
removed from texts, since a terminal would execute them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.text import clean_text


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """An image; ``status`` is the platform's text (PLATFORM.md, section 5)."""

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
    """An instance. ``failures`` counts those in a row, which disable it until ``disabled_until``.

    These, ``last_failure`` and ``ended_because`` are optional in the API; the emulator returns them. The lines of ``ended_because``
    after its first are the end of the instance's log.
    """

    instance_id: str
    state: str
    since: datetime | None
    failures: int | None
    last_failure: str
    ended_because: str
    disabled_until: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether it accepts calls."""
        return self.state == "active"

    def describe_state(self, now: datetime | None = None) -> str:
        """Return the state; for an instance that gets no calls because of failures also for how long."""
        disabled_s = (
            (self.disabled_until - (now or datetime.now(timezone.utc))).total_seconds() if self.disabled_until else 0
        )
        return f"disabled for {disabled_s:.0f} s" if self.is_active and disabled_s > 0 else self.state


@dataclass(frozen=True, kw_only=True)
class ChuteInfo:
    """A deployed chute. ``ended`` are the ended instances, which only the emulator returns; ``record`` is what it returned."""

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
    created_at: datetime | None
    updated_at: datetime | None
    record: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def is_disabled(self) -> bool:
        """Whether its owner ended its instances and its calls; False when the API does not tell (PLATFORM.md, section 5)."""
        return self.record.get("disabled") is True

    @property
    def state(self) -> str:
        """``disabled``, ``hot`` (it has an active instance) or ``cold``."""
        return "disabled" if self.is_disabled else "hot" if self.hot else "cold"


@dataclass(frozen=True, kw_only=True)
class AccountInfo:
    """The account of the request. ``balance`` is in dollars, or None when the API does not return it."""

    username: str
    user_id: str
    balance: float | None
    payment_address: str
    permissions: tuple[str, ...]
    may_publish: bool


def parse_image(record: Mapping[str, Any]) -> ImageInfo:
    """Parse the API's record of an image. Raise WrapperError when it has no name or id."""
    return ImageInfo(
        image_id=_read_required(record, "image_id"),
        name=_read_required(record, "name"),
        tag=clean_text(record.get("tag")),
        status=clean_text(record.get("status")),
        public=bool(record.get("public")),
        owner=_read_owner(record),
        created_at=_parse_time(record.get("created_at")),
    )


def parse_chute(record: Mapping[str, Any]) -> ChuteInfo:
    """Parse the API's record of a chute. Raise WrapperError when it has no name or id."""
    image = record.get("image")
    instances = tuple(map(parse_instance, _as_mappings(record.get("instances"))))
    return ChuteInfo(
        chute_id=_read_required(record, "chute_id"),
        name=_read_required(record, "name"),
        owner=_read_owner(record),
        slug=clean_text(record.get("slug")),
        version=clean_text(record.get("version")),
        tagline=clean_text(record.get("tagline")),
        public=bool(record.get("public")),
        hot=bool(record.get("hot")) or any(instance.is_active for instance in instances),
        image=parse_image(image) if isinstance(image, Mapping) else None,
        instances=instances,
        ended=tuple(map(parse_instance, _as_mappings(record.get("ended_instances")))),
        cords=tuple(_as_mappings(record.get("cords"))),
        node_selector=_as_mapping(record.get("node_selector")),
        created_at=_parse_time(record.get("created_at")),
        updated_at=_parse_time(record.get("updated_at")),
        record=record,
    )


def parse_instance(record: Mapping[str, Any]) -> InstanceInfo:
    """Parse the API's record of an instance. Raise WrapperError when it has no id."""
    state = clean_text(record.get("state")) or ("active" if record.get("active") else "starting")
    failures = record.get("failures")
    return InstanceInfo(
        instance_id=_read_required(record, "instance_id"),
        state=state,
        since=_parse_time(record.get("last_verified_at")) or _parse_time(record.get("created_at")),
        failures=failures if isinstance(failures, int) else None,
        last_failure=clean_text(record.get("last_failure")),
        ended_because=_clean_lines(record.get("ended_because")),
        disabled_until=_parse_time(record.get("disabled_until")),
    )


def _clean_lines(value: Any) -> str:
    """Return lines that can be shown, with their indentation."""
    lines = str(value or "").splitlines()
    return "\n".join(" " * (len(line) - len(line.lstrip(" "))) + clean_text(line) for line in lines)


def parse_account(record: Mapping[str, Any], publish_bit: int, publish_permission: str) -> AccountInfo:
    """Parse the API's record of an account; ``publish_bit`` or ``publish_permission`` allows it to publish chutes.

    Raises WrapperError when it has no username.
    """
    balance, mask = record.get("balance"), record.get("permissions_bitmask")
    permissions = record.get("permissions")
    permission_names = (
        tuple(map(clean_text, permissions))
        if isinstance(permissions, Sequence) and not isinstance(permissions, str)
        else ()
    )
    return AccountInfo(
        username=_read_required(record, "username"),
        user_id=clean_text(record.get("user_id")),
        balance=float(balance) if isinstance(balance, int | float) and not isinstance(balance, bool) else None,
        payment_address=clean_text(record.get("payment_address")),
        permissions=permission_names,
        may_publish=(isinstance(mask, int) and bool(mask >> publish_bit & 1)) or publish_permission in permission_names,
    )


def format_age(since: datetime | None, now: datetime | None = None) -> str:
    """Format the time since ``since``, rounded: "12 s", "3 min", "5 h", "2 d"; empty when unknown."""
    if since is None:
        return ""
    seconds = max(0.0, ((now or datetime.now(timezone.utc)) - since).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _read_required(record: Mapping[str, Any], name: str) -> str:
    if text := clean_text(record.get(name)):
        return text
    raise WrapperError(
        f"the platform's response has no {name}",
        evidence=clean_text(dict(record))[:200],
        next_step="check that the API URL (base_url in the account's file, or CHUTES_API_URL) is the platform's",
    )


def _read_owner(record: Mapping[str, Any]) -> str:
    return clean_text(_as_mapping(record.get("user")).get("username"))


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _as_mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _parse_time(value: Any) -> datetime | None:
    """Parse an ISO 8601 time, in UTC when it has no zone; None for any other value."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)
