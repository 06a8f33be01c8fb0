"""Lookup of the chutes and images of commands: for reading and calling, for changes, and around a deployment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.platform_rules import OBJECT_ID
from chutes_wrappers.host.modules.module_facts import read_module
from chutes_wrappers.host.modules.module_files import resolve_module
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.objects import ChuteInfo, ImageInfo, parse_chute, parse_image
from chutes_wrappers.host.platform_api.ownership import CHUTE, IMAGE, Kind, format_owner
from chutes_wrappers.host.platform_api.record_lookup import (
    check_account,
    choose_page_size,
    find_by_id,
    find_listed,
    find_named,
    find_of_user,
    list_records,
    make_not_found_error,
    raise_not_found,
    split_owner,
)

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


@dataclass(frozen=True, kw_only=True)
class ChuteName:
    """What the user typed for a chute. The name in a module is always one of the account's own chutes."""

    text: str
    is_of_module: bool = False

    def __str__(self) -> str:
        return self.text


def resolve_chute_name(name: str, report: Callable[[str], None]) -> ChuteName:
    """Return the chute's name when ``name`` is a deploy module, else ``name``. Raises ConfigurationError for an empty name."""
    if not name.strip():
        raise ConfigurationError("the chute name is empty", next_step="list your chutes with --list-chutes")
    file = Path(name if name.endswith(".py") else f"{name}.py")
    if not name.endswith(".py") and not file.name.startswith("deploy_"):
        return ChuteName(text=name)
    try:
        path = resolve_module(name)
    except ConfigurationError:
        return ChuteName(text=name)
    return ChuteName(text=read_module(path, report).chute_name, is_of_module=True)


def get_chute(api: PlatformApi, name: ChuteName, report: Callable[[str], None]) -> ChuteInfo:
    """Return the chute of this name or id, for reading and calling. ``report`` gets the owner when it is another user's.

    Raises WrapperError when it is not found, ConfigurationError for a name without an account.
    """
    chute = _get_chute(api, name)
    if chute.owner != api.username:
        report(f"{name} is the chute {chute.name} of {format_owner(chute.owner)}")
    return chute


def get_own_chute(api: PlatformApi, name: ChuteName) -> ChuteInfo:
    """Return the account's own chute of this name or id, for changes. Raises WrapperError for another user's."""
    chute = _get_chute(api, name)
    if api.username and chute.owner == api.username:
        return chute
    raise WrapperError(
        f"{name} is the chute {chute.name} of {format_owner(chute.owner)}, and only its owner may change it",
        next_step="use the name or id of your own chute: --list-chutes shows them with their owners",
    )


def find_own_chute(api: PlatformApi, name: str) -> ChuteInfo | None:
    """Return the account's own chute of exactly this name, or None."""
    record = find_of_user(api, CHUTE, api.username, name)
    return parse_chute(record) if record is not None else None


def find_listed_chute(api: PlatformApi, name: str) -> ChuteInfo | None:
    """Return the account's own chute of exactly this name in its list, with its cords, or None.

    Before and after a deployment: the API remembers for 30 s that it did not find a chute by its id (section 5).
    """
    record = find_listed(api, CHUTE, api.username, name, is_new=True)
    return parse_chute(record) if record is not None else None


def refresh_chute(api: PlatformApi, chute: ChuteInfo) -> ChuteInfo:
    """Return the present state of ``chute``. Raises PlatformRequestFailed when it does not exist any more."""
    record = find_by_id(api, CHUTE, chute.chute_id, chute.name)
    if record is None:
        raise make_not_found_error(
            CHUTE, chute.name, "list yours with --list-chutes, or deploy one with --deploy MODULE"
        )
    return replace(parse_chute(record), owner=chute.owner)


def add_listed_cords(api: PlatformApi, chute: ChuteInfo) -> ChuteInfo:
    """Return ``chute`` with its cords, which the API may return only with its list of chutes (section 5)."""
    if chute.cords:
        return chute
    listed = list_records(api, CHUTE, name=chute.name, include_public=chute.owner != api.username)
    record = next((record for record in listed if record.get("chute_id") == chute.chute_id), {})
    return parse_chute({**chute.record, "cords": record.get("cords")})


def find_image(api: PlatformApi, reference: str) -> ImageInfo | None:
    """Return the image of this ``name:tag``, ``USER/name:tag`` or id, or None."""
    record = find_named(api, IMAGE, reference)
    return parse_image(record) if record is not None else None


def find_own_image(api: PlatformApi, reference: str) -> ImageInfo | None:
    """Return the account's own image of this ``name:tag``, or None."""
    record = find_of_user(api, IMAGE, api.username, reference)
    return parse_image(record) if record is not None else None


def get_own_image(api: PlatformApi, reference: str) -> ImageInfo:
    """Return the account's own image of this ``name:tag`` or id. Raises WrapperError when it is not found."""
    image = find_image(api, reference)
    if image is None:
        raise_not_found(api, IMAGE, reference, "list yours with --list-images, or build one with --build MODULE")
    if api.username and image.owner == api.username:
        return image
    raise WrapperError(
        f"{reference} is the image {image.reference} of {format_owner(image.owner)}, and only its owner may change it",
        next_step="use the name:tag or id of your own image: --list-images shows them",
    )


def refresh_image(api: PlatformApi, image: ImageInfo) -> ImageInfo | None:
    """Return the present state of ``image``, or None when it does not exist any more."""
    record = find_by_id(api, IMAGE, image.image_id, image.reference)
    return parse_image(record) if record is not None else None


def list_visible_chutes(api: PlatformApi) -> list[dict[str, Any]]:
    """List the account's chutes and those shared with it, as the API returns them. Raises WrapperError for an unknown account."""
    return _list_visible(api, CHUTE)


def list_own_chutes(api: PlatformApi) -> list[dict[str, Any]]:
    """List the account's own chutes as they are now, with their cords. Raises WrapperError for an unknown account."""
    return _list_own(api, CHUTE)


def list_visible_images(api: PlatformApi) -> list[dict[str, Any]]:
    """List the account's images, as the API returns them. Raises WrapperError for an unknown account."""
    return _list_visible(api, IMAGE)


def _list_visible(api: PlatformApi, kind: Kind) -> list[dict[str, Any]]:
    what, params = f"listing the {kind.noun}s", {"include_public": "false", "limit": choose_page_size()}
    items = list(api.list_items(f"/{kind.collection}/", what, purpose=kind.collection, params=params))
    records = [item for item in items if isinstance(item, dict)]
    check_account(api, kind, records)
    return [record for record in records if kind.is_owned_by(record, api.username) or not record.get("public")]


def list_own_images(api: PlatformApi) -> list[dict[str, Any]]:
    """List the images that are certainly the account's own, as the API returns them. Raises WrapperError for an unknown account."""
    return _list_own(api, IMAGE)


def _list_own(api: PlatformApi, kind: Kind) -> list[dict[str, Any]]:
    records = list(list_records(api, kind, name=None, include_public=False, is_new=True))
    check_account(api, kind, records)
    return [record for record in records if kind.is_owned_by(record, api.username)]


def _get_chute(api: PlatformApi, name: ChuteName) -> ChuteInfo:
    is_certain = OBJECT_ID.match(name.text) or split_owner(name.text) is not None
    if not api.username and (name.is_of_module or not is_certain):
        raise ConfigurationError(
            f"the chute {name.text!r} cannot be looked up by its name: the API key does not contain whose chute it is",
            next_step="set up the account's file, or add --url with the chute's address"
            + ("" if name.is_of_module else "; with an admin key, USER/NAME or the chute's id is enough"),
        )
    try:
        record = find_named(api, CHUTE, name.text, is_own_only=name.is_of_module)
    except PlatformRequestFailed as error:
        if error.status in _REFUSED and not api.username:
            error.next_step = (
                "call the chute by --url, or set up the account's file: this API key may only invoke chutes. Reads need the "
                "account or an admin key"
            )
        raise
    if record is None:
        raise_not_found(api, CHUTE, name.text, "list yours with --list-chutes, or deploy one with --deploy MODULE")
    return parse_chute(record)
