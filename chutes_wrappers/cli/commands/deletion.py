"""``--delete NAME`` and ``--delete-image NAME:TAG``: shown first, confirmed by name, and seen to be gone afterwards."""

from __future__ import annotations

import json

import click

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.cli.commands.status import show_instances
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRefused
from chutes_wrappers.host.platform_api.lookup import (
    chute,
    chute_name,
    chute_path,
    find_chute,
    find_image,
    image,
    image_path,
    own_chutes,
)
from chutes_wrappers.host.platform_api.objects import age, chute_info

_CONFLICT = 409


def delete_chute(name: str, *, yes: bool, as_json: bool) -> int:
    """Delete a chute and end its instances; 0 once the API knows of it no more."""
    wanted = chute_name(name, output.report)
    with api_client.connect() as api:
        found = chute(api, wanted)
        output.report(f"This deletes the chute {found.name}, version {found.version[:8]}, with its instances:")
        if not as_json:
            show_instances(found)
        _confirm(found.name, wanted, "chute", yes=yes)
        api.delete(chute_path(found.chute_id), f"deleting the chute {found.name}", purpose="chutes")
        if find_chute(api, found.chute_id) is not None:
            raise _still_there(f"the chute {found.name}")
    _say(f"the chute {found.name}", {"chute_id": found.chute_id, "deleted": True}, as_json=as_json)
    return 0


def delete_image(reference: str, *, yes: bool, as_json: bool) -> int:
    """Delete an image that no chute uses; 0 once the API knows of it no more."""
    with api_client.connect() as api:
        found = image(api, reference)
        output.report(f"This deletes the image {found.reference}: {found.status}, {age(found.created_at) or '?'} old")
        _confirm(found.reference, reference, "image", yes=yes)
        try:
            api.delete(image_path(found.image_id), f"deleting the image {found.reference}", purpose="images")
        except PlatformRefused as refused:
            if refused.status == _CONFLICT:
                refused.next_step = _users_of(api, found.image_id)
            raise
        if find_image(api, found.image_id) is not None:
            raise _still_there(f"the image {found.reference}")
    _say(f"the image {found.reference}", {"image_id": found.image_id, "deleted": True}, as_json=as_json)
    return 0


def _confirm(exact: str, given: str, kind: str, *, yes: bool) -> None:
    if yes:
        if given != exact:
            raise ConfigurationError(
                f"with --yes the {kind} must be named exactly, and {given!r} is {exact!r}", next_step=f"name it {exact}"
            )
        return
    if not prompts.is_possible():
        raise ConfigurationError(
            f"nobody can be asked whether to delete {exact}", next_step="add --yes to delete it without a question"
        )
    typed = click.prompt(f"Type {exact} to delete it", default="", show_default=False, err=True)
    if typed != exact:
        raise WrapperError(f"{exact} is not deleted: {typed!r} was typed", next_step=f"type {exact} to delete it")


def _users_of(api: PlatformApi, image_id: str) -> str:
    chutes = [chute_info(told) for told in own_chutes(api)]
    using = [one.name for one in chutes if one.image is not None and one.image.image_id == image_id]
    if not using:
        return "wait until it is built, or delete what uses it, and delete it then"
    return f"delete what uses it first: {', '.join(f'--delete {name}' for name in using)}"


def _still_there(what: str) -> WrapperError:
    return WrapperError(
        f"{what} is still there, though the platform said that it deleted it",
        next_step="look with --list-chutes, then again",
    )


def _say(what: str, told: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        output.result(json.dumps(told))
    output.success(f"{what} is gone")
