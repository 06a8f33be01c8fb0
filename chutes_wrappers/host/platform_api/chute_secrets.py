"""Secrets of chutes: finding a stored one, storing, and replacing. A value is never read back, and no error contains it."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from dataclasses import dataclass
from http import HTTPStatus

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.outcomes import PAUSES_S, may_have_succeeded
from chutes_wrappers.host.platform_api.record_lookup import build_path

DEPLOY_FIRST = "deploy it with --deploy, set the secret, then start the first instance with --warmup"
_MIN_MASKED_LINE = 6


@dataclass(frozen=True, kw_only=True)
class SecretSlot:
    """The place of a secret: the variable ``key`` of the instances of a chute, which the user calls ``name``."""

    chute_id: str
    name: str
    key: str

    def __str__(self) -> str:
        return f"the secret {self.key} of {self.name}"


def find_secret_id(api: PlatformApi, slot: SecretSlot) -> str | None:
    """Return the id of the stored secret, or None. A list has the chute's id as ``purpose`` (section 5), or its name."""
    purposes = {slot.chute_id.lower(), slot.name.lower()}
    for secret in api.list_items("/secrets/", "listing the secrets", purpose="secrets"):
        if not isinstance(secret, dict) or secret.get("key") != slot.key:
            continue
        if clean_text(secret.get("purpose")).lower() in purposes:
            return clean_text(secret.get("secret_id"))
    return None


def store_secret(api: PlatformApi, slot: SecretSlot, value: str) -> str:
    """Store a secret, and return its id once the API lists it, also when the response was lost.

    Raises the API's refusal with the next step; WrapperError when it is not stored, or when that is unknown.
    """
    what, lost = f"storing {slot}", None
    try:
        body = {"purpose": slot.chute_id, "key": slot.key, "value": value}
        api.post("/secrets/", what, body, secrets=_list_forms(value))
    except WrapperError as error:
        if isinstance(error, PlatformRequestFailed):
            error.next_step = _select_step(api, slot, error) or error.next_step
        if not may_have_succeeded(error):
            raise
        lost = error
    try:
        secret_id = _wait_until_listed(api, slot)
    except WrapperError as error:
        failure = lost or error
        raise WrapperError(
            f"{failure.what}. Whether {slot} was stored is unknown",
            where=failure.where,
            evidence=failure.evidence,
            next_step="run the command again later: it asks before it replaces a stored secret",
        ) from error
    if secret_id is not None:
        return secret_id
    if lost is not None:
        raise WrapperError(
            f"{lost.what}, and {slot} was not stored",
            where=lost.where,
            evidence=lost.evidence,
            next_step="run the command again: the platform failed",
        ) from lost
    raise WrapperError(f"the platform does not list {slot}", next_step="run the command again")


def remove_secret(api: PlatformApi, slot: SecretSlot, secret_id: str) -> None:
    """Delete a stored secret. Raises WrapperError unless the API does not list it any more: its value is still in use then."""
    try:
        api.delete(build_path("secrets", secret_id), f"deleting {slot} to replace it", purpose="secrets")
    except WrapperError as error:
        is_missing = isinstance(error, PlatformRequestFailed) and error.status == HTTPStatus.NOT_FOUND
        if not is_missing and not may_have_succeeded(error):
            raise
        if find_secret_id(api, slot) is not None:
            error.what += ", and it still has its old value"
            error.next_step = "run the command again: nothing was changed"
            raise


def _wait_until_listed(api: PlatformApi, slot: SecretSlot) -> str | None:
    for pause_s in PAUSES_S:
        time.sleep(pause_s)
        if (secret_id := find_secret_id(api, slot)) is not None:
            return secret_id
    return None


def _select_step(api: PlatformApi, slot: SecretSlot, error: PlatformRequestFailed) -> str | None:
    if error.status == HTTPStatus.NOT_FOUND:  # before the deployment (api-observed 125)
        return DEPLOY_FIRST
    if error.status != HTTPStatus.CONFLICT:
        return None
    if (secret_id := find_secret_id(api, slot)) is not None:
        return build_replacement_step(secret_id)
    return (
        f"find its id with {NAMES.sdk} secrets list, and delete it with {NAMES.sdk} secrets delete ID: the platform has "
        f"a secret {slot.key} already"
    )


def build_replacement_step(secret_id: str) -> str:
    """Return how to replace a stored secret."""
    return f"add --yes to replace it, or delete it first: {NAMES.sdk} secrets delete {shlex.quote(secret_id)}"


def _list_forms(value: str) -> list[str]:
    """Return the forms in which a message may contain a value, the longest first: as it is, in one line, in JSON, its parts.

    Its parts are its lines, and the texts in a value that is JSON, such as a key of a service: messages are unpacked.
    """
    texts = [value, *_list_json_texts(value)]
    parts = [line.strip() for text in texts for line in (text, *text.splitlines())]
    forms = {value, clean_text(value), *(part for part in parts if len(part) >= _MIN_MASKED_LINE)}
    escaped = {json.dumps(form, ensure_ascii=is_ascii)[1:-1] for form in forms for is_ascii in (True, False)}
    quoted = {repr(form)[1:-1] for form in forms}
    return sorted(filter(None, forms | escaped | quoted), key=len, reverse=True)


def _list_json_texts(value: str) -> list[str]:
    """Return the texts in a value that is JSON, without its names; empty for any other."""
    texts: list[str] = []
    with contextlib.suppress(ValueError, RecursionError):
        waiting = [json.loads(value)]
        while waiting:
            each = waiting.pop()
            if isinstance(each, dict | list):
                waiting += each.values() if isinstance(each, dict) else each
            elif isinstance(each, str):
                texts.append(each)
    return texts
