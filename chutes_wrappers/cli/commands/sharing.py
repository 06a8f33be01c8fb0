"""``--share NAME USER`` and ``--secret CHUTE KEY``: access to a chute, and secrets of its instances."""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NoReturn

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.platform_checks import (
    compute_chute_id,
    is_banned_secret,
    is_exceptable_secret,
    is_name_pattern_match,
)
from chutes_wrappers.core.platform_rules import OBJECT_ID, USERNAME
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.chute_secrets import (
    DEPLOY_FIRST,
    SecretSlot,
    build_replacement_step,
    find_secret_id,
    remove_secret,
    store_secret,
)
from chutes_wrappers.host.platform_api.lookup import (
    ChuteName,
    find_own_chute,
    get_own_chute,
    list_own_chutes,
    resolve_chute_name,
)
from chutes_wrappers.host.platform_api.objects import ChuteInfo
from chutes_wrappers.host.platform_api.outcomes import PAUSES_S, may_have_succeeded

# "Successfully shared chute x with bob", or "… with user.username='bob'".
_RECIPIENT = re.compile(r"\bwith (?:[\w.]+=)?['\"]?([A-Za-z0-9_-]+)")


def share(name: str, user: str, *, as_json: bool) -> int:
    """Allow another user, given by name or id, to see and call a chute."""
    chute_name = resolve_chute_name(name, output.report)
    check_recipient(user)
    with api_client.connect() as api:
        chute = get_own_chute(api, chute_name)
        body = {"chute_id_or_name": chute.chute_id, "user_id_or_name": user}
        try:
            response = _post_again_if_lost(api, "/chutes/share", f"sharing the chute {chute.name} with {user}", body)
        except PlatformRequestFailed as error:
            error.next_step = _select_share_step(error) or error.next_step
            raise
        status = clean_text(response.get("status"))
        recipient = find_other_recipient(status, user)
        if recipient is not None:
            _undo_share(api, chute, user, recipient)
    if as_json:
        output.print_json({"chute_id": chute.chute_id, "user": user, "shared": True, "status": status})
    report_share(chute.name, user, status)
    return 0


def _post_again_if_lost(api: PlatformApi, path: str, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Send a change, and once more when its response was lost: the API does not show shares, and accepts one twice.

    The second share of a chute with a user has the same response as the first (api-observed 116). So has the second unshare (114).
    """
    try:
        return api.post(path, what, body)
    except WrapperError as error:
        if not may_have_succeeded(error):
            raise
    time.sleep(PAUSES_S[-1])
    try:
        return api.post(path, what, body)
    except WrapperError as error:
        if may_have_succeeded(error):
            error.what += ". Whether that happened is unknown"
            error.next_step = "run the command again later: doing it twice changes nothing"
        raise


def _select_share_step(error: PlatformRequestFailed) -> str | None:
    evidence = (error.evidence or "").lower()
    if error.status == HTTPStatus.BAD_REQUEST and "yourself" in evidence:
        return "name another user: you may call your own chute anyway"
    if error.status == HTTPStatus.NOT_FOUND and "target chute" not in evidence:
        return "ask that user for their name or id: --account shows both"
    return None


def report_share(name: str, user: str, status: str) -> None:
    """Print the platform's ``status`` as a success if it names the recipient, or if ``user`` is an id; else a warning."""
    if OBJECT_ID.match(user) or _RECIPIENT.search(status):
        output.success(status or f"{user} may call {name}")
        return
    output.warning(
        f"the platform accepted the share of {name}, but did not name its recipient, who may be another user than {user!r}: "
        "ask that user to call it"
    )


def check_recipient(user: str) -> None:
    """Raise ConfigurationError unless ``user`` is an id, or a name that the platform cannot take for another user's.

    The platform matches names as patterns: "b_b_x" is also "bob_x" (PLATFORM.md, section 5).
    """
    if OBJECT_ID.match(user):
        return
    if not USERNAME.match(user):
        message = f"{user!r} is not a valid username or user id"
        refuse("username", ConfigurationError(message, where="USER", next_step="use the user's name or id"))
    if "_" in user:
        problem = ConfigurationError(
            f"the username {user!r} may be taken for another user's: the platform reads '_' as any character",
            where="USER",
            next_step="use the user's id: that user finds it with --account, or as user_id in their config.ini",
        )
        refuse("share-recipient", problem)


def find_other_recipient(status: str, user: str) -> str | None:
    """Return the user that the platform's ``status`` names, if it is another than the name ``user``; None for an id."""
    recipients = _RECIPIENT.findall(status)
    return recipients[-1] if recipients and recipients[-1] != user and not OBJECT_ID.match(user) else None


def _undo_share(api: PlatformApi, chute: ChuteInfo, user: str, recipient: str) -> NoReturn:
    """Unshare ``chute`` with whom the platform took for ``user``, and raise WrapperError."""
    body = {"chute_id_or_name": chute.chute_id, "user_id_or_name": user}
    what = f"the platform shared {chute.name} with {recipient!r}, not with {user!r}"
    try:
        response = _post_again_if_lost(
            api, "/chutes/unshare", f"unsharing the chute {chute.name} with {recipient}", body
        )
    except WrapperError as error:
        raise WrapperError(
            f"{what}, and did not undo that",
            evidence=str(error),
            next_step=f"run: {NAMES.sdk} share --chute-id {shlex.quote(chute.chute_id)} --user-id {recipient} --remove",
        ) from error
    raise WrapperError(
        f"{what}: this is undone",
        evidence=clean_text(response.get("status")),
        next_step=f"use {recipient} if you mean that user, or the user's id",
    )


def set_secret(name: str, key: str, *, yes: bool = False, as_json: bool) -> int:
    """Store a value from standard input as the variable ``key`` of a chute's instances; return 0 once the API lists it.

    A stored secret of that name is replaced after a question, or with ``yes``.
    """
    chute_name = resolve_chute_name(name, output.report)
    if not key.isidentifier():
        raise ConfigurationError(f"{key!r} is not a valid variable name", next_step="use a name such as HF_TOKEN")
    check_secret_name(key)
    with api_client.connect() as api:
        chute_id, chute = _resolve_purpose(api, chute_name, key)
        slot = SecretSlot(chute_id=chute_id, name=chute.name if chute else chute_name.text, key=key)
        existing = find_secret_id(api, slot)
        if existing is not None:
            _confirm_replacement(slot, existing, yes=yes)
        value = _read_value(key)
        with output.show_status(f"Storing {slot}"):
            secret_id = store_secret(api, slot, value) if existing is None else _replace(api, slot, existing, value)
    if as_json:
        result = {"secret_id": secret_id, "purpose": chute_name.text, "chute_id": chute_id, "key": key}
        output.print_json({**result, "replaced": existing is not None})
    output.success(f"instances of {chute_name} that start from now on have {key}")
    if chute is not None and (chute.hot or chute.instances):
        old = "the old value of" if existing is not None else "no"
        output.warning(f"instances of {slot.name} that run already have {old} {key}: they do not get it")
        output.report_next_step(f"end them with --disable {slot.name} and --enable {slot.name}, or wait until they end")
    return 0


def _confirm_replacement(slot: SecretSlot, secret_id: str, *, yes: bool) -> None:
    if yes:
        return
    if not prompts.is_possible():
        raise WrapperError(f"{slot} exists already", next_step=build_replacement_step(secret_id))
    if not prompts.confirm(f"{slot.name} has a secret {slot.key} already. Replace it?"):
        raise WrapperError(
            f"{slot} was not replaced: it was not confirmed", next_step="run --secret again to confirm it"
        )


def _replace(api: PlatformApi, slot: SecretSlot, secret_id: str, value: str) -> str:
    """Delete the stored secret and store ``value``: the platform has no change of a secret. Return the new one's id."""
    try:
        remove_secret(api, slot, secret_id)
    except KeyboardInterrupt:
        output.warning(f"the old value of {slot} may have been deleted: run the command again")
        raise
    loss = f"The old value of {slot} was deleted before: instances that start now may lack it"
    try:
        return store_secret(api, slot, value)
    except WrapperError as error:
        error.what += f". {loss}"
        raise
    except KeyboardInterrupt:
        output.warning(loss)
        raise


def check_secret_name(key: str) -> None:
    """Raise ConfigurationError for a secret that the platform refuses; warn when it may be one of the exceptions (section 4)."""
    if not is_banned_secret(key):
        return
    response = f"the API: 403 'Banned secret key: {key}'"
    if is_exceptable_secret(key):
        output.warning(
            f"the platform may refuse the secret {key} ({response}): it accepts some names like this one only"
        )
        return
    problem = ConfigurationError(
        f"the platform does not accept secrets with the name {key!r} ({response})",
        where="KEY",
        next_step="use another name, and let the module set the variable from it",
    )
    refuse("secret-name", problem)


def _resolve_purpose(api: PlatformApi, name: ChuteName, key: str) -> tuple[str, ChuteInfo | None]:
    """Return the account's own chute ``name`` with its id: a name could be matched with another user's (PLATFORM.md, section 5).

    Raises WrapperError when the account has no such chute: the platform stores secrets of deployed chutes only. Overruled, it
    is the id that the chute will have, which matches no other user's, without a chute.
    """
    chute = find_own_chute(api, name.text)
    if chute is None and not name.is_of_module and (OBJECT_ID.match(name.text) or "/" in name.text):
        chute = get_own_chute(api, name)
    if chute is not None:
        return chute.chute_id, chute
    for other in list_own_chutes(api):
        other_name = clean_text(other.get("name"))
        if is_name_pattern_match(name.text, other_name):
            raise ConfigurationError(
                f"you have no chute {name.text!r}, and the platform would use {other_name!r} instead",
                next_step=f"use the exact name: --secret {other_name} {key}",
            )
    problem = WrapperError(
        f"you have no chute {name.text!r}, and the platform stores secrets of deployed chutes only",
        next_step=DEPLOY_FIRST,
    )
    if not api.username:
        raise problem
    refuse("secret-chute", problem)
    return compute_chute_id(api.username, name.text), None


def _read_value(key: str) -> str:
    if prompts.is_possible():
        value = prompts.read_line(f"Value of {key} (it is not shown): ", hidden=True)
    else:
        try:
            value = sys.stdin.buffer.read().decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise ConfigurationError(
                f"the secret {key} is not UTF-8 text", next_step="give it as text, for instance in base64"
            ) from None
    if not value:
        raise ConfigurationError(
            f"the secret {key} has no value", next_step="give it on standard input: --secret CHUTE KEY < file"
        )
    return value
