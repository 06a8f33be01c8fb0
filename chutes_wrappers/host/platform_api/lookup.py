"""Which chute or image a name means, and which one it may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.modules.module_facts import read_module
from chutes_wrappers.host.modules.module_files import resolve_module
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.objects import ChuteInfo, ImageInfo, parse_chute, parse_image


def build_chute_path(name: str) -> str:
    """Where the API keeps the chute of this name or id."""
    return f"/chutes/{quote(name, safe='')}"


def build_image_path(reference: str) -> str:
    """Where the API keeps the image of this ``name:tag`` or id."""
    return f"/images/{quote(reference, safe=':')}"


def resolve_chute_name(name: str, report: Callable[[str], None]) -> str:
    """The chute's name where ``name`` is a deploy module's, else ``name``; ConfigurationError for none at all."""
    if not name.strip():
        raise ConfigurationError("the name of a chute is empty", next_step="--list-chutes shows yours")
    file = Path(name if name.endswith(".py") else f"{name}.py")
    if not name.endswith(".py") and not file.name.startswith("deploy_"):
        return name
    try:
        path = resolve_module(name)
    except ConfigurationError:
        return name
    return read_module(path, report).chute_name


def find_chute(api: PlatformApi, name: str) -> ChuteInfo | None:
    """The chute of this name or id, or None."""
    record = api.find(build_chute_path(name), f"asking for the chute {name!r}", purpose="chutes")
    return parse_chute(record) if record is not None else None


def find_deployed_chute(api: PlatformApi, name: str) -> ChuteInfo | None:
    """The chute of this name with its cords, which the API may keep beside its list (PLATFORM.md, section 5); or None."""
    chute = find_chute(api, name)
    if chute is None or chute.cords:
        return chute
    params = {"name": chute.name, "include_public": "false", "limit": 100}
    listing = api.get("/chutes/", f"asking for the cords of {chute.name}", purpose="chutes", params=params)
    return add_listed_cords(chute, listing)


def add_listed_cords(chute: ChuteInfo, listing: Mapping[str, Any]) -> ChuteInfo:
    """``found`` with the cords that a list of chutes tells of it."""
    items, references = listing.get("items"), listing.get("cord_refs")
    if not isinstance(items, list) or not isinstance(references, Mapping):
        return chute
    for item in items:
        if isinstance(item, Mapping) and item.get("chute_id") == chute.chute_id:
            cords = references.get(str(item.get("cord_ref_id")))
            if isinstance(cords, list):
                return replace(chute, cords=tuple(cord for cord in cords if isinstance(cord, Mapping)))
    return chute


def get_chute(api: PlatformApi, name: str) -> ChuteInfo:
    """The chute of this name or id; WrapperError names those that are nearest to one that is not there."""
    if (chute := find_chute(api, name)) is not None:
        return chute
    names = [parse_chute(record).name for record in list_own_chutes(api)]
    raise _build_not_found_error(
        f"there is no chute {name!r}", name, names, "--list-chutes shows yours; --deploy MODULE deploys one"
    )


def find_image(api: PlatformApi, reference: str) -> ImageInfo | None:
    """The image of this ``name:tag`` or id, or None."""
    record = api.find(build_image_path(reference), f"asking for the image {reference!r}", purpose="images")
    return parse_image(record) if record is not None else None


def get_image(api: PlatformApi, reference: str) -> ImageInfo:
    """The image of this ``name:tag`` or id; WrapperError names those that are nearest to one that is not there."""
    if (image := find_image(api, reference)) is not None:
        return image
    names = [parse_image(record).reference for record in list_own_images(api)]
    raise _build_not_found_error(
        f"there is no image {reference!r}", reference, names, "--list-images shows yours; --build MODULE builds one"
    )


def list_own_chutes(api: PlatformApi) -> list[dict[str, Any]]:
    """The account's chutes, and those that are shared with it, as the API tells of them."""
    return list(api.list_items("/chutes/", "listing the chutes", purpose="chutes", params={"include_public": "false"}))


def list_own_images(api: PlatformApi) -> list[dict[str, Any]]:
    """The account's images, as the API tells of them."""
    return list(api.list_items("/images/", "listing the images", purpose="images", params={"include_public": "false"}))


def _build_not_found_error(what: str, name: str, names: Sequence[str], next_step: str) -> PlatformRequestFailed:
    matches = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    suggestion = f"did you mean {' or '.join(matches)}? " if matches else ""
    return PlatformRequestFailed(
        what, status=404, where="the platform", evidence="", next_step=f"{suggestion}{next_step}"
    )
