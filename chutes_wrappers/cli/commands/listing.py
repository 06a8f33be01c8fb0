"""``--list-images``, ``--list-chutes`` and ``--account``: what the platform has of the account, and the account itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chutes_wrappers.cli import output
from chutes_wrappers.core import platform_rules
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.lookup import own_chutes, own_images
from chutes_wrappers.host.platform_api.objects import ChuteInfo, ImageInfo, account_info, age, chute_info, image_info


def list_images(*, as_json: bool) -> int:
    """Show the account's images; as JSON the list of them as the API tells it."""
    with api_client.connect() as api:
        told = own_images(api)
    rows = [_image_row(image_info(one)) for one in told]
    none = "there is no image yet: --build MODULE uploads one"
    return _show(told, ("image", "status", "", "owner", "age"), rows, none, as_json=as_json)


def list_chutes(*, as_json: bool) -> int:
    """Show the account's chutes and those shared with it; as JSON the list of them as the API tells it."""
    with api_client.connect() as api:
        told = own_chutes(api)
    rows = [_chute_row(chute_info(one)) for one in told]
    none = "there is no chute yet: --deploy MODULE deploys one"
    return _show(told, ("chute", "", "version", "image", "", "owner", "changed"), rows, none, as_json=as_json)


def show_account(*, as_json: bool) -> int:
    """Show who the account is, what it has and what it may do; never its keys."""
    with api_client.connect() as api:
        told = api.get("/users/me", "asking for the account", purpose="me")
    account = account_info(told, platform_rules.PUBLIC_CHUTES_BIT, platform_rules.PUBLIC_CHUTES_PERMISSION)
    balance = "not told" if account.balance is None else f"${account.balance:,.2f}"
    if as_json:
        _show_json(
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
        ("pay in to", account.payment_address),
        ("public chutes", "allowed" if account.may_publish else "not allowed: share chutes with --share"),
    ]
    output.table(("account", ""), rows)
    if account.balance is not None and account.balance < platform_rules.LOWEST_BUILD_BALANCE:
        output.warning(f"a build on the platform needs a balance of ${platform_rules.LOWEST_BUILD_BALANCE:g}")
    return 0


def _show(
    told: list[dict[str, Any]], columns: Sequence[str], rows: Sequence[Sequence[str]], none: str, *, as_json: bool
) -> int:
    if as_json:
        _show_json(told)
    elif rows:
        output.table(columns, rows)
    else:
        output.report(none)
    return 0


def _image_row(image: ImageInfo) -> tuple[str, ...]:
    return (image.reference, image.status, _visibility(image.public), image.owner, age(image.created_at))


def _chute_row(chute: ChuteInfo) -> tuple[str, ...]:
    return (
        chute.name,
        "hot" if chute.hot else "cold",
        chute.version[:8],
        chute.image.reference if chute.image else "",
        _visibility(chute.public),
        chute.owner,
        age(chute.updated_at),
    )


def _visibility(public: bool) -> str:
    return "public" if public else "private"


def _show_json(value: list[dict[str, Any]] | Mapping[str, Any]) -> None:
    output.result(json.dumps(value, indent=2))
