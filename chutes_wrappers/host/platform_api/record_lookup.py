"""Lookup of the records of chutes and images: the account's own of exactly that name, else ``USER/NAME``, else an id.

The API matches a name by rules that differ by route, also against the chutes of other users (PLATFORM.md, section 5). So no
name is requested here: its id is computed, or found in a list. Whatever the API returns is checked before it is used.
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, NoReturn

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.platform_rules import OBJECT_ID, USERNAME
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.error_responses import is_unknown_account
from chutes_wrappers.host.platform_api.ownership import Kind, add_owner, build_foreign_error, format_owner, read_owner

_PATH_ID = re.compile(r"[A-Za-z0-9_-]+")
_LIST_CACHE_S = 60
_PAGE_SIZES = range(51, 101)


def build_path(collection: str, object_id: str) -> str:
    """Build the API's path of an object, such as ``("chutes", id)``. Raises WrapperError for an id that is not one segment."""
    if not _PATH_ID.fullmatch(object_id):
        raise WrapperError(
            f"the platform returned an invalid id in {collection}: {object_id!r}",
            next_step="check that the API URL (base_url in the account's file, or CHUTES_API_URL) is the platform's",
        )
    return f"/{collection}/{object_id}"


def find_named(api: PlatformApi, kind: Kind, text: str, *, is_own_only: bool = False) -> dict[str, Any] | None:
    """Return the record of the first that exists: the account's own of this name, another user's, that of this id."""
    if api.username and (record := find_of_user(api, kind, api.username, text)) is not None:
        return record
    if is_own_only:
        return None
    if (owned := split_owner(text)) is not None:
        return find_of_user(api, kind, *owned)
    return find_by_id(api, kind, text.lower(), text) if OBJECT_ID.match(text) else None


def split_owner(text: str) -> tuple[str, str] | None:
    """Split ``USER/NAME``; None for another text. A name may contain slashes itself."""
    username, _, name = text.partition("/")
    return (username, name) if name and USERNAME.match(username) else None


def find_of_user(api: PlatformApi, kind: Kind, username: str, name: str) -> dict[str, Any] | None:
    """Return the record of a user's object of exactly this name, or None. Raises WrapperError if only another is returned."""
    object_id = kind.compute_id(username, name)
    record = _request_record(api, kind, object_id, name)
    if record is not None and _is_expected(kind, record, username, name, object_id):
        return add_owner(record, username)
    # The id stays that of the first name, and another user may name a chute like an id.
    if (listed := find_listed(api, kind, username, name)) is not None:
        return listed
    if record is not None:
        raise build_foreign_error(kind, name, record)
    return None


def _is_expected(kind: Kind, record: Mapping[str, Any], username: str, name: str, object_id: str) -> bool:
    return record.get(kind.id_field) == object_id and kind.is_named(record, name) and kind.is_owned_by(record, username)


def find_listed(
    api: PlatformApi, kind: Kind, username: str, name: str, *, is_new: bool = False
) -> dict[str, Any] | None:
    """Return the record of a user's object of exactly this name in the account's list, or None; ``is_new`` as ``list_records``.

    An older API remembers a list for a minute: the one with this filter can lack what the whole one has (section 5).
    """
    is_own = username == api.username
    for filter_name in (name, None) if is_own else (name,):
        for record in list_records(api, kind, name=filter_name, include_public=not is_own, is_new=is_new):
            if kind.is_named(record, name) and kind.is_owned_by(record, username):
                return add_owner(record, username)
    return None


def find_by_id(api: PlatformApi, kind: Kind, object_id: str, name: str) -> dict[str, Any] | None:
    """Return the record of exactly this id, or None. Raises WrapperError if the API returns another: a name can look like an id."""
    record = _request_record(api, kind, object_id, name)
    if record is None:
        listed = list_records(api, kind, name=None, include_public=False) if api.username else ()
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


def list_records(
    api: PlatformApi, kind: Kind, *, name: str | None, include_public: bool, is_new: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the records of the account's list, filtered by a part of the name; chutes with the cords beside the list.

    ``is_new``: not a list that an API of 2025 remembers for 60 s, by the parameters of its request (section 5).
    """
    params: dict[str, Any] = {"include_public": str(include_public).lower()}
    if is_new:
        params["limit"] = choose_page_size()
    if name is not None:
        params["name"] = name.partition(":")[0]
    what = f"listing the {kind.noun}s"
    for page in api.list_pages(f"/{kind.collection}/", what, purpose=kind.collection, params=params):
        references = page.get("cord_refs")
        for item in page["items"]:
            if isinstance(item, dict):
                yield _add_cords(item, references)


def choose_page_size() -> int:
    """Return a page size that changes every 1.2 s, and repeats after the 60 s that an API of 2025 caches a list."""
    return _PAGE_SIZES[int(time.time() * len(_PAGE_SIZES) / _LIST_CACHE_S) % len(_PAGE_SIZES)]


def _add_cords(item: dict[str, Any], references: object) -> dict[str, Any]:
    cords = references.get(str(item.get("cord_ref_id"))) if isinstance(references, Mapping) else None
    return {"cords": cords, **item} if isinstance(cords, list) else item


def check_account(api: PlatformApi, kind: Kind, records: Iterable[Mapping[str, Any]]) -> None:
    """Raise WrapperError unless the API knows the account, to which ``records`` are listed.

    For a hotkey that it does not know, an API returns 200 and everybody's public chutes (api-observed 95). Only an own record that
    is not public shows that it knows the account; else it is asked.
    """
    if any(kind.is_owned_by(record, api.username) and not record.get("public") for record in records):
        return
    try:
        account = api.get("/users/me", "requesting the account", purpose="me")
    except PlatformRequestFailed as error:
        if is_unknown_account(error.status, error.evidence or ""):
            error.what = f"the platform does not know the account {api.username!r}"
        raise
    username = clean_text(account.get("username"))
    if username != api.username:
        raise ConfigurationError(
            f"the account's file has the username {api.username!r}, and the platform {username!r}",
            next_step=f"set username in [auth] of the account's file to {username!r}",
        )


def raise_not_found(api: PlatformApi, kind: Kind, name: str, next_step: str) -> NoReturn:
    """Raise an error with the owner of a shared object of this name, or with the closest names."""
    records = list(list_records(api, kind, name=None, include_public=False)) if api.username else []
    if api.username:
        check_account(api, kind, records)
    names: list[str] = []
    for record in records:
        is_own, owner = kind.is_owned_by(record, api.username), read_owner(record)
        prefix = "" if is_own or owner is None else f"{owner}/"
        full_name = clean_text(f"{prefix}{kind.read_name(record)}")
        if not is_own and kind.is_named(record, name):
            raise PlatformRequestFailed(
                f"the {kind.noun} {name!r} is {format_owner(owner)}'s, not {api.username}'s",
                status=HTTPStatus.NOT_FOUND,
                where="the platform",
                evidence=f"its id: {clean_text(record.get(kind.id_field))}",
                next_step=f"to read or call it, use {f'{full_name} or ' if owner else ''}the id if you trust its owner with what you "
                "send. Only its owner may change it",
            )
        names.append(full_name)
    matches = _find_similar(name, names, api.username)
    suggestion = f"did you mean {' or '.join(matches)}? " if matches else ""
    raise make_not_found_error(kind, name, f"{suggestion}{next_step}")


def _find_similar(name: str, names: Iterable[str], username: str) -> list[str]:
    """Return up to three of ``names`` that the user may have meant; never ``name`` itself, nor one of another owner than it names."""
    asked_owner = (split_owner(name) or ("", ""))[0]
    candidates = {}
    for each in names:
        owner = (split_owner(each) or (username, ""))[0]
        if each != name and asked_owner.lower() in ("", owner.lower()):
            full_name = each if each.startswith(f"{owner}/") else f"{owner}/{each}"
            candidates[(full_name if asked_owner else each).lower()] = each
    return [candidates[key] for key in difflib.get_close_matches(name.lower(), candidates, n=3, cutoff=0.5)]


def make_not_found_error(kind: Kind, name: str, next_step: str) -> PlatformRequestFailed:
    """Return the error for an object that does not exist."""
    return PlatformRequestFailed(
        f"{kind.noun} {name!r} not found",
        status=HTTPStatus.NOT_FOUND,
        where="the platform",
        evidence="",
        next_step=next_step,
    )
