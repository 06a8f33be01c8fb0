"""API keys on the platform: what one of them may do, and how the account creates and deletes them.

PLATFORM.md, section 5: reads take an admin key, whatever the scopes of another key are, and every refusal is 401. So a key
that may only call chutes cannot be distinguished from an invalid one by a request. The account's list of its keys can do it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.account.credentials import AccountCredentials, Credentials, KeyCredentials
from chutes_wrappers.host.account.refusals import explain_refusals
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.outcomes import may_have_succeeded
from chutes_wrappers.host.platform_api.record_lookup import build_path

KeyKind = Literal["invoke", "admin"]
ADMIN_POWER = "may do everything that the account may do: deploy, delete, spend the balance, create keys"
INVOKE_POWER = "may call chutes and nothing else"

_REFUSED, _CONFLICT = (401, 403), 409
_NAME = "chutes-wrappers"
_MOST_CONFLICTS = 10
# As `chutes keys create --action invoke` sends it (SDK entrypoint/api_key.py).
_INVOKE_SCOPES = [{"object_type": "chutes", "action": "invoke"}]
# A key of the API contains its id and its user's id in this form. PLATFORM.md does not promise that, so a key without them
# is only reported as unknown.
_HEXADECIMAL_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


class KeyState(Enum):
    """What is known about an API key."""

    INVOKE = "calls of chutes only"
    LIMITED = "not an admin key; its actions are not listed"
    ADMIN = "everything that the account may do"
    OTHER = "other scopes"
    FOREIGN = "another account's"
    INVALID = "refused by the platform"
    UNKNOWN = "not an admin key; not listed"


@dataclass(frozen=True, kw_only=True)
class ListedKey:
    """A key in the account's list. ``scopes`` are (object type, action); an action is "*" for all, "" when not listed."""

    key_id: str
    name: str
    is_admin: bool
    scopes: tuple[tuple[str, str], ...]

    @property
    def deletion_command(self) -> str:
        """The command of the SDK that deletes it, quoted for a shell (SDK ``crud.py``)."""
        return f"{NAMES.sdk} keys delete {shlex.quote(self.key_id)}"

    @property
    def can_call(self) -> bool:
        """Whether calls of chutes take it, as far as its scopes are listed."""
        types, actions = ("chutes", "invocations"), ("invoke", "*", "")
        return self.is_admin or any(kind in types and action in actions for kind, action in self.scopes)

    @property
    def state(self) -> KeyState:
        """What it may do."""
        actions = {action for _, action in self.scopes}
        if self.is_admin:
            return KeyState.ADMIN
        if actions == {"invoke"} and any(object_type == "chutes" for object_type, _ in self.scopes):
            return KeyState.INVOKE
        return KeyState.LIMITED if "" in actions and actions <= {"", "invoke"} else KeyState.OTHER


@dataclass(frozen=True, kw_only=True)
class KeyAccess:
    """What an API key may do. ``description`` continues "the API key …"; ``listed`` is None unless it is the account's."""

    state: KeyState
    description: str
    listed: ListedKey | None = None


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A created key. ``secret`` cannot be requested again."""

    secret: str = field(repr=False)
    listed: ListedKey


def inspect_key(
    key: str, account: AccountCredentials | None, connect: Callable[[Credentials], PlatformApi]
) -> KeyAccess:
    """Return what ``key`` may do, as far as the platform shows it to the key and to ``account``.

    Raises WrapperError when a request fails for another reason than that the key may not read.
    """
    owner = _fetch_owner(key, connect)
    if account is None:
        if owner is None:
            return KeyAccess(
                state=KeyState.UNKNOWN,
                description="may not read the account: it may only call chutes, or it is not valid",
            )
        return KeyAccess(state=KeyState.ADMIN, description=ADMIN_POWER)
    if owner not in (None, account.username):
        return KeyAccess(
            state=KeyState.FOREIGN, description=f"belongs to {owner}, and the account is {account.username}"
        )
    with connect(account) as api:
        listed = _find_listed(list_keys(api), key)
    return _describe_unlisted(key, owner, account) if listed is None else _describe(listed, owner)


def _fetch_owner(key: str, connect: Callable[[Credentials], PlatformApi]) -> str | None:
    """Return the username of the owner; None if the key may not read."""
    with explain_refusals(), connect(KeyCredentials(key=key)) as api:
        try:
            account = api.get("/users/me", "requesting the owner of the API key", purpose="me")
        except PlatformRequestFailed as error:
            if error.status in _REFUSED:
                return None
            raise
    return clean_text(account.get("username"))


def _find_listed(keys: Iterable[ListedKey], secret: str) -> ListedKey | None:
    """Return the key whose id is in ``secret``, as the platform's keys contain it; None without one."""
    ids = _HEXADECIMAL_ID.findall(secret)
    return next((key for key in keys if key.key_id.replace("-", "") in ids), None)


def _describe(listed: ListedKey, owner: str | None) -> KeyAccess:
    if listed.is_admin and owner is None:
        reason = "is not valid: the platform refuses it, although it lists an admin key of this id"
        return KeyAccess(state=KeyState.INVALID, description=reason, listed=listed)
    scopes = ", ".join(f"{action or '?'} {object_type}" for object_type, action in listed.scopes)
    descriptions = {
        KeyState.ADMIN: ADMIN_POWER,
        KeyState.INVOKE: INVOKE_POWER,
        KeyState.LIMITED: "is not an admin key; the platform does not list which actions it permits",
    }
    description = descriptions.get(listed.state, f"has other scopes than to call chutes: {scopes or 'none'}")
    return KeyAccess(state=listed.state, description=description, listed=listed)


def _describe_unlisted(key: str, owner: str | None, account: AccountCredentials) -> KeyAccess:
    if owner is not None:
        return KeyAccess(state=KeyState.ADMIN, description=ADMIN_POWER)
    ids = _HEXADECIMAL_ID.findall(key)
    if account.user_id.replace("-", "") in ids:
        reason = f"is not valid: {account.username} has no key of this id, it was deleted"
        return KeyAccess(state=KeyState.INVALID, description=reason)
    if len(ids) > 1:
        return KeyAccess(state=KeyState.FOREIGN, description=f"belongs to another account than {account.username}")
    reason = (
        f"is unknown: for reads the platform refuses it, and does not list it for {account.username}. It may be invalid, "
        "another account's, or one that may only call chutes"
    )
    return KeyAccess(state=KeyState.UNKNOWN, description=reason)


def list_keys(api: PlatformApi) -> list[ListedKey]:
    """Return the keys of the account that signs for ``api``."""
    with explain_refusals():
        records = [*api.list_items("/api_keys/", "listing the API keys", purpose="api_keys")]
    return [_parse_key(record) for record in records if isinstance(record, Mapping)]


def create_key(api: PlatformApi, kind: KeyKind, keys: Sequence[ListedKey]) -> NewKey:
    """Create a key of ``kind`` with a name that none of ``keys`` has. Raises WrapperError unless it is what was requested.

    A name can be taken although the list does not show it (409), for example in another case: then the next one is tried.
    """
    names = [_NAME, *(f"{_NAME}-{number}" for number in range(2, len(keys) + _MOST_CONFLICTS + 2))]
    listed_names = {key.name.lower() for key in keys}
    *candidates, last = [name for name in names if name not in listed_names][:_MOST_CONFLICTS]
    for name in candidates:
        try:
            return _check_created(api, kind, name, _request_key(api, kind, name))
        except PlatformRequestFailed as error:
            if error.status != _CONFLICT:
                raise
    return _check_created(api, kind, last, _request_key(api, kind, last))


def _request_key(api: PlatformApi, kind: KeyKind, name: str) -> dict[str, Any]:
    permissions = {"admin": True} if kind == "admin" else {"admin": False, "scopes": _INVOKE_SCOPES}
    steps = {
        _CONFLICT: f"run {NAMES.sdk} keys list, and delete keys that are not used: the names up to {name} are taken",
    }
    try:
        with explain_refusals(steps):
            return api.post("/api_keys/", f"creating the API key {name!r}", {"name": name, **permissions})
    except WrapperError as error:
        if may_have_succeeded(error):
            error.next_step = (
                f"run {NAMES.sdk} keys list: if {name} exists, delete it, since its secret is lost; then try again"
            )
        raise


def _check_created(api: PlatformApi, kind: KeyKind, name: str, response: Mapping[str, Any]) -> NewKey:
    listed, secret = _parse_key(response), clean_text(response.get("secret_key"))
    if secret and (kind == "admin" or listed.state in (KeyState.INVOKE, KeyState.LIMITED)):
        return NewKey(secret=secret, listed=listed)
    if listed.key_id:
        delete_key(api, listed)
    raise WrapperError(
        f"the platform did not create the requested API key {name!r}",
        evidence=f"permissions of the created key: {listed.state.value}"
        if secret
        else "the response has no secret_key",
        next_step="create a key on the website, and put it into ~/.chutes/api_key",
    )


def delete_key(api: PlatformApi, key: ListedKey) -> None:
    """Delete a key of the account. Raises WrapperError when the platform does not."""
    api.delete(build_path("api_keys", key.key_id), f"deleting the API key {key.name!r}", purpose="api_keys")


def _parse_key(record: Mapping[str, Any]) -> ListedKey:
    scopes = record.get("scopes")
    return ListedKey(
        key_id=clean_text(record.get("api_key_id")),
        name=clean_text(record.get("name")),
        is_admin=record.get("admin") is not False,
        scopes=tuple(map(_parse_scope, scopes)) if isinstance(scopes, list) else (),
    )


def _parse_scope(scope: Any) -> tuple[str, str]:
    """Return the object type and the action, which the API of October 2025 returns as ``method``."""
    if not isinstance(scope, Mapping):
        return clean_text(scope), "*"
    action = clean_text(scope.get("action") or scope.get("method"))
    is_unrestricted = not action and "action" in scope
    return clean_text(scope.get("object_type")), "*" if is_unrestricted else action
