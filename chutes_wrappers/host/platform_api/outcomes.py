"""The outcome of a change whose response was lost: the object is requested afterwards, by its id."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import Enum
from http import HTTPStatus

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api.api_client import (
    PlatformApi,
    PlatformRequestFailed,
    PlatformUnreachable,
    UnexpectedResponse,
)
from chutes_wrappers.host.platform_api.ownership import Kind
from chutes_wrappers.host.platform_api.record_lookup import build_path, list_records

# Before each request, in seconds: a gateway's 504 may arrive before the platform has finished.
PAUSES_S: Sequence[float] = (0.0, 0.5, 1.5)


class Presence(Enum):
    """Whether the API has an object: it does, it does not, or it cannot be asked."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


def may_have_succeeded(error: WrapperError) -> bool:
    """Return whether a change may have happened in spite of ``error``: no response, a cut-off one, or a failing server."""
    if isinstance(error, PlatformRequestFailed):
        return error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, PlatformUnreachable | UnexpectedResponse)


def delete_object(api: PlatformApi, kind: Kind, object_id: str, name: str) -> None:
    """Delete a chute or an image by its id, and return once the API does not have it any more.

    Raises the API's refusal; and WrapperError when the object still exists, or when that is unknown. A 404 may be that of a repeated
    DELETE: the platform's ingress sends one again after a 5xx (PLATFORM.md, section 3).
    """
    what = f"the {kind.noun} {name}"
    try:
        api.delete(build_path(kind.collection, object_id), f"deleting {what}", purpose=kind.collection)
        failure = None
    except WrapperError as error:
        is_missing = isinstance(error, PlatformRequestFailed) and error.status == HTTPStatus.NOT_FOUND
        if not is_missing and not may_have_succeeded(error):
            raise
        failure = error
    presence = _ask_presence(api, kind, object_id, name, is_reported=failure is None)
    if presence is not Presence.ABSENT:
        raise _build_deletion_error(kind, what, presence, failure) from failure


def _ask_presence(api: PlatformApi, kind: Kind, object_id: str, name: str, *, is_reported: bool) -> Presence:
    """Ask until the object is absent, at most three times; ``is_reported``: the API reported the deletion."""
    presence = Presence.UNKNOWN
    for pause_s in PAUSES_S:
        time.sleep(pause_s)
        presence = _read_presence(api, kind, object_id, name, is_reported=is_reported)
        if presence is Presence.ABSENT:
            break
    return presence


def _read_presence(api: PlatformApi, kind: Kind, object_id: str, name: str, *, is_reported: bool) -> Presence:
    """Ask for the object, and unless its deletion is reported also in the list: the API remembers a 404 for 30 s (section 5)."""
    path = build_path(kind.collection, object_id)
    try:
        if api.find(path, f"requesting the {kind.noun} {name!r}", purpose=kind.collection) is not None:
            return Presence.PRESENT
        if is_reported:
            return Presence.ABSENT
        listed = list_records(api, kind, name=name, include_public=False)
        # The list of an API of 2025 is a minute old.
        return Presence.UNKNOWN if any(each.get(kind.id_field) == object_id for each in listed) else Presence.ABSENT
    except WrapperError:
        return Presence.UNKNOWN


def _build_deletion_error(kind: Kind, what: str, presence: Presence, failure: WrapperError | None) -> WrapperError:
    check = f"--list-{kind.noun}s"
    if failure is None and presence is Presence.PRESENT:
        return WrapperError(
            f"{what} still exists, although the platform reported its deletion",
            next_step=f"check with {check}, then delete it again",
        )
    if failure is None:
        return WrapperError(
            f"the platform reported the deletion of {what}, but then did not respond: whether it still exists is unknown",
            next_step=f"check with {check} in a minute, and delete it again if it is listed",
        )
    if presence is Presence.PRESENT:
        return WrapperError(
            f"{failure.what}, and {what} still exists",
            where=failure.where,
            evidence=failure.evidence,
            next_step="delete it again: the platform failed, and a later attempt may succeed",
        )
    return WrapperError(
        f"{failure.what}. Whether {what} was deleted is unknown",
        where=failure.where,
        evidence=failure.evidence,
        next_step=f"check with {check} in a minute, and delete it again if it is listed",
    )
