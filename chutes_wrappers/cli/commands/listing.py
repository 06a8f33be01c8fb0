"""``--list-images``, ``--list-chutes`` and ``--account``: the account, its images and its chutes on the platform."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chutes_wrappers.cli import output
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.base_images import build_refusal_step, is_refusal
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.lookup import list_visible_chutes, list_visible_images
from chutes_wrappers.host.platform_api.objects import (
    ChuteInfo,
    ImageInfo,
    format_age,
    parse_account,
    parse_chute,
    parse_image,
)
from chutes_wrappers.host.platform_api.ownership import CHUTE

_IMAGE_COLUMNS = ("image", "status", "", "owner", "age")
_CHUTE_COLUMNS = ("", "version", "image", "", "owner", "changed")


def list_images(*, as_json: bool) -> int:
    """Print the account's images, as JSON the API's list."""
    with api_client.connect() as api:
        images = list_visible_images(api)
    parsed = [parse_image(image) for image in images]
    if as_json:
        _print_json(images)
    else:
        rows = [_build_image_row(image) for image in parsed]
        _print_table(_IMAGE_COLUMNS, rows, "the account has no image yet: --build MODULE uploads one")
    for image in parsed:
        if is_refusal(image.status):
            output.report_next_step(build_refusal_step(image.reference))
    return 0


def list_chutes(*, as_json: bool) -> int:
    """Print the account's chutes, and then those of others that are shared with it; as JSON the API's list of both."""
    with api_client.connect() as api:
        chutes = list_visible_chutes(api)
        own = [chute for chute in chutes if CHUTE.is_owned_by(chute, api.username)]
    if as_json:
        _print_json(chutes)
        return 0
    rows = [_build_chute_row(parse_chute(chute)) for chute in own]
    _print_table(("chute", *_CHUTE_COLUMNS), rows, "the account has no chute yet: --deploy MODULE deploys one")
    shared = [_build_chute_row(parse_chute(chute)) for chute in chutes if chute not in own]
    _print_table(("shared with you", *_CHUTE_COLUMNS), shared)
    return 0


def show_account(*, as_json: bool) -> int:
    """Print the account's identity, balance and permissions; never its keys."""
    with api_client.connect() as api:
        response = api.get("/users/me", "requesting the account", purpose="me")
    account = parse_account(response, platform_rules.PUBLIC_CHUTES_BIT, platform_rules.PUBLIC_CHUTES_PERMISSION)
    balance = "unknown" if account.balance is None else f"${account.balance:,.2f}"
    if as_json:
        _print_json(
            {
                "username": account.username,
                "user_id": account.user_id,
                "balance": account.balance,
                "payment_address": account.payment_address,
                "permissions": list(account.permissions),
                "may_publish": account.may_publish,
            }
        )
        return 0
    rows = [
        ("username", account.username),
        ("user id", account.user_id),
        ("balance", balance),
        ("payment address", account.payment_address),
        ("public chutes", "allowed" if account.may_publish else "not allowed: share chutes with --share"),
    ]
    output.print_table(("account", ""), rows)
    if account.balance is not None and account.balance < platform_rules.MIN_BUILD_BALANCE:
        output.warning(f"a build on the platform needs a balance of ${platform_rules.MIN_BUILD_BALANCE:g}")
    return 0


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], empty_message: str = "") -> None:
    if rows:
        output.print_table(columns, rows)
    elif empty_message:
        output.report(empty_message)


def _build_image_row(image: ImageInfo) -> tuple[str, ...]:
    return (image.reference, image.status, _format_visibility(image.public), image.owner, format_age(image.created_at))


def _build_chute_row(chute: ChuteInfo) -> tuple[str, ...]:
    return (
        chute.name,
        chute.state,
        chute.version[:8],
        chute.image.reference if chute.image else "",
        _format_visibility(chute.public),
        chute.owner,
        format_age(chute.updated_at),
    )


def _format_visibility(public: bool) -> str:
    return "public" if public else "private"


def _print_json(value: list[dict[str, Any]] | Mapping[str, Any]) -> None:
    output.print_result(json.dumps(value, indent=2))
