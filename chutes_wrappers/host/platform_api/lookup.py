"""Lookup of chutes and images by name or id, with suggestions for unknown names."""

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
    """Build the API's path of the chute with this name or id."""
    return f"/chutes/{quote(name, safe='')}"


def build_image_path(reference: str) -> str:
    """Build the API's path of the image with this ``name:tag`` or id."""
    return f"/images/{quote(reference, safe=':')}"


def resolve_chute_name(name: str, report: Callable[[str], None]) -> str:
    """Return the chute's name when ``name`` is a deploy module, else ``name``. Raise ConfigurationError for an empty name."""
    if not name.strip():
        raise ConfigurationError("the chute name is empty", next_step="list your chutes with --list-chutes")
    file = Path(name if name.endswith(".py") else f"{name}.py")
    if not name.endswith(".py") and not file.name.startswith("deploy_"):
        return name
    try:
        path = resolve_module(name)
    except ConfigurationError:
        return name
    return read_module(path, report).chute_name


def find_chute(api: PlatformApi, name: str) -> ChuteInfo | None:
    """Return the chute with this name or id, or None."""
    record = api.find(build_chute_path(name), f"requesting the chute {name!r}", purpose="chutes")
    return parse_chute(record) if record is not None else None


def find_deployed_chute(api: PlatformApi, name: str) -> ChuteInfo | None:
    """Return the chute with its cords, or None. The API may return cords only with its list of chutes (PLATFORM.md, section 5)."""
    chute = find_chute(api, name)
    if chute is None or chute.cords:
        return chute
    params = {"name": chute.name, "include_public": "false", "limit": 100}
    listing = api.get("/chutes/", f"requesting the cords of {chute.name}", purpose="chutes", params=params)
    return add_listed_cords(chute, listing)


def add_listed_cords(chute: ChuteInfo, listing: Mapping[str, Any]) -> ChuteInfo:
    """Return ``chute`` with its cords in ``listing``, the API's list of chutes; ``chute`` itself when they are not in it."""
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
    """Return the chute with this name or id. Raise WrapperError with the closest names when it does not exist."""
    if (chute := find_chute(api, name)) is not None:
        return chute
    names = [parse_chute(record).name for record in list_own_chutes(api)]
    raise _build_not_found_error(
        f"chute {name!r} not found", name, names, "list yours with --list-chutes, or deploy one with --deploy MODULE"
    )


def find_image(api: PlatformApi, reference: str) -> ImageInfo | None:
    """Return the image with this ``name:tag`` or id, or None."""
    record = api.find(build_image_path(reference), f"requesting the image {reference!r}", purpose="images")
    return parse_image(record) if record is not None else None


def get_image(api: PlatformApi, reference: str) -> ImageInfo:
    """Return the image with this ``name:tag`` or id. Raise WrapperError with the closest names when it does not exist."""
    if (image := find_image(api, reference)) is not None:
        return image
    names = [parse_image(record).reference for record in list_own_images(api)]
    raise _build_not_found_error(
        f"image {reference!r} not found",
        reference,
        names,
        "list yours with --list-images, or build one with --build MODULE",
    )


def list_own_chutes(api: PlatformApi) -> list[dict[str, Any]]:
    """List the account's chutes and those shared with it, as the API returns them."""
    return list(api.list_items("/chutes/", "listing the chutes", purpose="chutes", params={"include_public": "false"}))


def list_own_images(api: PlatformApi) -> list[dict[str, Any]]:
    """List the account's images, as the API returns them."""
    return list(api.list_items("/images/", "listing the images", purpose="images", params={"include_public": "false"}))


def _build_not_found_error(what: str, name: str, names: Sequence[str], next_step: str) -> PlatformRequestFailed:
    matches = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    suggestion = f"did you mean {' or '.join(matches)}? " if matches else ""
    return PlatformRequestFailed(
        what, status=404, where="the platform", evidence="", next_step=f"{suggestion}{next_step}"
    )
