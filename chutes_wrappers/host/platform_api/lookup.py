"""Lookup of chutes and images: the account's own of exactly that name, else ``USER/NAME``, else an id.

The API matches a name by rules that differ by route, also against the chutes of other users (PLATFORM.md, section 5). So no
name is requested here: its id is computed, or found in a list. Whatever the API returns is checked before it is used.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.platform_rules import EXISTING_USERNAME, OBJECT_ID
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.modules.module_facts import read_module
from chutes_wrappers.host.modules.module_files import resolve_module
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.objects import ChuteInfo, ImageInfo, parse_chute, parse_image
from chutes_wrappers.host.platform_api.ownership import (
    CHUTE,
    IMAGE,
    Kind,
    add_owner,
    build_foreign_error,
    format_owner,
    read_owner,
)

_PATH_ID = re.compile(r"[A-Za-z0-9_-]+")
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


@dataclass(frozen=True, kw_only=True)
class ChuteName:
    """What the user typed for a chute. The name in a module is always one of the account's own chutes."""

    text: str
    is_of_module: bool = False

    def __str__(self) -> str:
        return self.text


def build_path(collection: str, object_id: str) -> str:
    """Build the API's path of an object, such as ``("chutes", id)``. Raises WrapperError for an id that is not one segment."""
    if not _PATH_ID.fullmatch(object_id):
        raise WrapperError(
            f"the platform returned an invalid id in {collection}: {object_id!r}",
            next_step="check that the API URL (base_url in the account's file, or CHUTES_API_URL) is the platform's",
        )
    return f"/{collection}/{object_id}"


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

    Raises WrapperError when there is none, ConfigurationError for a name without an account.
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
    record = _find_of_user(api, CHUTE, api.username, name)
    return parse_chute(record) if record is not None else None


def find_listed_chute(api: PlatformApi, name: str) -> ChuteInfo | None:
    """Return the account's own chute of exactly this name in its list, with its cords, or None.

    Before and after a deployment: the API remembers for 30 s that it did not find a chute by its id (section 5).
    """
    record = _find_listed(api, CHUTE, api.username, name)
    return parse_chute(record) if record is not None else None


def refresh_chute(api: PlatformApi, chute: ChuteInfo) -> ChuteInfo:
    """Return the present state of ``chute``. Raises PlatformRequestFailed when it does not exist any more."""
    record = _find_by_id(api, CHUTE, chute.chute_id, chute.name)
    if record is None:
        raise _make_not_found_error(
            CHUTE, chute.name, "list yours with --list-chutes, or deploy one with --deploy MODULE"
        )
    return replace(parse_chute(record), owner=chute.owner)


def add_listed_cords(api: PlatformApi, chute: ChuteInfo) -> ChuteInfo:
    """Return ``chute`` with its cords, which the API may return only with its list of chutes (section 5)."""
    if chute.cords:
        return chute
    listed = _list_records(api, CHUTE, name=chute.name, include_public=chute.owner != api.username)
    record = next((record for record in listed if record.get("chute_id") == chute.chute_id), {})
    return parse_chute({**chute.record, "cords": record.get("cords")})


def find_image(api: PlatformApi, reference: str) -> ImageInfo | None:
    """Return the image of this ``name:tag``, ``USER/name:tag`` or id, or None."""
    record = _find_named(api, IMAGE, reference)
    return parse_image(record) if record is not None else None


def find_own_image(api: PlatformApi, reference: str) -> ImageInfo | None:
    """Return the account's own image of this ``name:tag``, or None."""
    record = _find_of_user(api, IMAGE, api.username, reference)
    return parse_image(record) if record is not None else None


def get_own_image(api: PlatformApi, reference: str) -> ImageInfo:
    """Return the account's own image of this ``name:tag`` or id. Raises WrapperError when there is none."""
    image = find_image(api, reference)
    if image is None:
        _raise_not_found(api, IMAGE, reference, "list yours with --list-images, or build one with --build MODULE")
    if api.username and image.owner == api.username:
        return image
    raise WrapperError(
        f"{reference} is the image {image.reference} of {format_owner(image.owner)}, and only its owner may change it",
        next_step="use the name:tag or id of your own image: --list-images shows them",
    )


def refresh_image(api: PlatformApi, image: ImageInfo) -> ImageInfo | None:
    """Return the present state of ``image``, or None when it does not exist any more."""
    record = _find_by_id(api, IMAGE, image.image_id, image.reference)
    return parse_image(record) if record is not None else None


def list_visible_chutes(api: PlatformApi) -> list[dict[str, Any]]:
    """List the account's chutes and those shared with it, as the API returns them."""
    return list(api.list_items("/chutes/", "listing the chutes", purpose="chutes", params={"include_public": "false"}))


def list_own_chutes(api: PlatformApi) -> list[dict[str, Any]]:
    """List the account's own chutes, as the API returns them."""
    return [record for record in list_visible_chutes(api) if CHUTE.is_owned_by(record, api.username)]


def list_images(api: PlatformApi) -> list[dict[str, Any]]:
    """List the account's images, as the API returns them."""
    return list(api.list_items("/images/", "listing the images", purpose="images", params={"include_public": "false"}))


def list_own_images(api: PlatformApi) -> list[dict[str, Any]]:
    """List the images that are certainly the account's own, as the API returns them."""
    return [record for record in list_images(api) if IMAGE.is_owned_by(record, api.username)]


def _get_chute(api: PlatformApi, name: ChuteName) -> ChuteInfo:
    is_certain = OBJECT_ID.match(name.text) or _split_owner(name.text) is not None
    if not api.username and (name.is_of_module or not is_certain):
        raise ConfigurationError(
            f"the chute {name.text!r} cannot be looked up by its name: the API key does not contain whose chute it is",
            next_step="set up the account's file, use USER/NAME or the chute's id, or call it by --url",
        )
    try:
        record = _find_named(api, CHUTE, name.text, is_own_only=name.is_of_module)
    except PlatformRequestFailed as error:
        if error.status in _REFUSED and not api.username:
            error.next_step = (
                "call the chute by --url, or set up the account's file: this API key may only invoke chutes, and reads "
                "need the account or an admin key"
            )
        raise
    if record is None:
        _raise_not_found(api, CHUTE, name.text, "list yours with --list-chutes, or deploy one with --deploy MODULE")
    return parse_chute(record)


def _find_named(api: PlatformApi, kind: Kind, text: str, *, is_own_only: bool = False) -> dict[str, Any] | None:
    """Return the record of the first that exists: the account's own of this name, another user's, that of this id."""
    if api.username and (record := _find_of_user(api, kind, api.username, text)) is not None:
        return record
    if is_own_only:
        return None
    if (owned := _split_owner(text)) is not None:
        return _find_of_user(api, kind, *owned)
    return _find_by_id(api, kind, text.lower(), text) if OBJECT_ID.match(text) else None


def _split_owner(text: str) -> tuple[str, str] | None:
    """Split ``USER/NAME``; None for another text. A name may contain slashes itself."""
    username, _, name = text.partition("/")
    return (username, name) if name and EXISTING_USERNAME.match(username) else None


def _find_of_user(api: PlatformApi, kind: Kind, username: str, name: str) -> dict[str, Any] | None:
    """Return the record of a user's object of exactly this name, or None. Raises WrapperError if only another is returned."""
    object_id = kind.compute_id(username, name)
    record = _request_record(api, kind, object_id, name)
    if record is not None and _is_expected(kind, record, username, name, object_id):
        return add_owner(record, username)
    # The id stays that of the first name, and another user may name a chute like an id.
    if (listed := _find_listed(api, kind, username, name)) is not None:
        return listed
    if record is not None:
        raise build_foreign_error(kind, name, record)
    return None


def _is_expected(kind: Kind, record: Mapping[str, Any], username: str, name: str, object_id: str) -> bool:
    return record.get(kind.id_field) == object_id and kind.is_named(record, name) and kind.is_owned_by(record, username)


def _find_listed(api: PlatformApi, kind: Kind, username: str, name: str) -> dict[str, Any] | None:
    for record in _list_records(api, kind, name=name, include_public=username != api.username):
        if kind.is_named(record, name) and kind.is_owned_by(record, username):
            return add_owner(record, username)
    return None


def _find_by_id(api: PlatformApi, kind: Kind, object_id: str, name: str) -> dict[str, Any] | None:
    """Return the record of exactly this id, or None. Raises WrapperError if the API returns another: a name can look like an id."""
    record = _request_record(api, kind, object_id, name)
    if record is None:
        listed = _list_records(api, kind, name=None, include_public=False) if api.username else ()
        record = next((each for each in listed if each.get(kind.id_field) == object_id), None)
    if record is None:
        return None
    if record.get(kind.id_field) != object_id:
        raise build_foreign_error(kind, name, record)
    is_own = bool(api.username) and kind.is_owned_by(record, api.username)
    return add_owner(record, api.username) if is_own else record


def _request_record(api: PlatformApi, kind: Kind, object_id: str, name: str) -> dict[str, Any] | None:
    path = build_path(kind.collection, object_id)
    return api.find(path, f"requesting the {kind.noun} {name!r}", purpose=kind.collection)


def _list_records(api: PlatformApi, kind: Kind, *, name: str | None, include_public: bool) -> Iterator[dict[str, Any]]:
    """Yield the records of the account's list, filtered by a part of the name; chutes with the cords beside the list."""
    params = {"include_public": str(include_public).lower()}
    if name is not None:
        params["name"] = name.partition(":")[0]
    what = f"listing the {kind.noun}s"
    for page in api.list_pages(f"/{kind.collection}/", what, purpose=kind.collection, params=params):
        references = page.get("cord_refs")
        for item in page["items"]:
            if isinstance(item, dict):
                yield _add_cords(item, references)


def _add_cords(item: dict[str, Any], references: object) -> dict[str, Any]:
    cords = references.get(str(item.get("cord_ref_id"))) if isinstance(references, Mapping) else None
    return {"cords": cords, **item} if isinstance(cords, list) else item


def _raise_not_found(api: PlatformApi, kind: Kind, name: str, next_step: str) -> NoReturn:
    """Raise an error with the owner of a shared object of this name, or with the closest names."""
    records = list(_list_records(api, kind, name=None, include_public=False)) if api.username else []
    names = []
    for record in records:
        is_own = kind.is_owned_by(record, api.username)
        shown = clean_text(kind.read_name(record) if is_own else f"{read_owner(record)}/{kind.read_name(record)}")
        if not is_own and kind.is_named(record, name):
            raise PlatformRequestFailed(
                f"the {kind.noun} {name!r} is {format_owner(read_owner(record))}'s, not {api.username}'s",
                status=HTTPStatus.NOT_FOUND,
                where="the platform",
                evidence=f"its id: {clean_text(record.get(kind.id_field))}",
                next_step=f"use {shown} or the id if you trust its owner with what you send",
            )
        names.append(shown)
    names_by_key = {each.lower(): each for each in names}
    matches = [names_by_key[key] for key in difflib.get_close_matches(name.lower(), names_by_key, n=3, cutoff=0.5)]
    suggestion = f"did you mean {' or '.join(matches)}? " if matches else ""
    raise _make_not_found_error(kind, name, f"{suggestion}{next_step}")


def _make_not_found_error(kind: Kind, name: str, next_step: str) -> PlatformRequestFailed:
    return PlatformRequestFailed(
        f"{kind.noun} {name!r} not found",
        status=HTTPStatus.NOT_FOUND,
        where="the platform",
        evidence="",
        next_step=next_step,
    )
