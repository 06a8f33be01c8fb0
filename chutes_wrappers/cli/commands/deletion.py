"""``--delete NAME`` and ``--delete-image NAME:TAG``: a deletion that is shown, confirmed by name, and verified."""

from __future__ import annotations

from http import HTTPStatus

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.cli.commands.status import print_running_instances
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.lookup import (
    get_own_chute,
    get_own_image,
    list_own_chutes,
    resolve_chute_name,
)
from chutes_wrappers.host.platform_api.objects import format_age, parse_chute
from chutes_wrappers.host.platform_api.outcomes import delete_object
from chutes_wrappers.host.platform_api.ownership import CHUTE, IMAGE


def delete_chute(name: str, *, yes: bool, as_json: bool) -> int:
    """Delete a chute and end its instances; return 0 once the API no longer has it."""
    chute_name = resolve_chute_name(name, output.report)
    with api_client.connect() as api:
        chute = get_own_chute(api, chute_name)
        instances = ", with its running instances" if chute.instances else ""
        output.report(f"This deletes the chute {chute.name}, version {chute.version[:8]}{instances}")
        if not as_json:
            print_running_instances(chute)
        _confirm(chute.name, chute_name.text, "chute", yes=yes)
        with output.show_status(f"Deleting the chute {chute.name}"):
            delete_object(api, CHUTE, chute.chute_id, chute.name)
    _report_deletion(f"the chute {chute.name}", {"chute_id": chute.chute_id, "deleted": True}, as_json=as_json)
    return 0


def delete_image(reference: str, *, yes: bool, as_json: bool) -> int:
    """Delete an image that no chute uses; return 0 once the API no longer has it."""
    with api_client.connect() as api:
        image = get_own_image(api, reference)
        output.report(
            f"This deletes the image {image.reference}: {image.status}, {format_age(image.created_at) or '?'} old"
        )
        _confirm(image.reference, reference, "image", yes=yes)
        try:
            with output.show_status(f"Deleting the image {image.reference}"):
                delete_object(api, IMAGE, image.image_id, image.reference)
        except PlatformRequestFailed as error:
            if error.status == HTTPStatus.CONFLICT:
                error.next_step = _build_conflict_step(api, image.image_id)
            raise
    _report_deletion(f"the image {image.reference}", {"image_id": image.image_id, "deleted": True}, as_json=as_json)
    return 0


def _confirm(expected: str, name: str, kind: str, *, yes: bool) -> None:
    if yes:
        if name != expected:
            raise ConfigurationError(
                f"--yes requires the exact name of the {kind}: {name!r} is {expected!r}",
                next_step=f"use {expected}",
            )
        return
    if not prompts.is_possible():
        raise ConfigurationError(
            f"cannot confirm the deletion of {expected}: standard input is not a terminal",
            next_step="add --yes to delete it without confirmation",
        )
    reply = prompts.read_line(f"Type {expected} to delete it: ")
    if reply != expected:
        raise WrapperError(
            f"{expected} was not deleted: {reply!r} was typed", next_step=f"type {expected} to delete it"
        )


def _build_conflict_step(api: PlatformApi, image_id: str) -> str:
    chutes = [parse_chute(each) for each in list_own_chutes(api)]
    users = [chute.name for chute in chutes if chute.image is not None and chute.image.image_id == image_id]
    if not users:
        return "wait until it is built, or delete what uses it; then delete it"
    return f"delete what uses it first: {', '.join(f'--delete {name}' for name in users)}"


def _report_deletion(what: str, payload: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        output.print_json(payload)
    output.success(f"{what} was deleted")
