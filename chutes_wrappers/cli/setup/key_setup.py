"""``./setup.sh --account --key``: create the API key for calls, and replace one that is not what calls need."""

from __future__ import annotations

import contextlib
from pathlib import Path

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account.api_key import (
    KEY_VARIABLE,
    check_key,
    get_key_path,
    get_key_source,
    is_key_in_environment,
    read_api_key,
    read_stored_key,
)
from chutes_wrappers.host.account.config_file import check_writable, write_with_backup
from chutes_wrappers.host.account.credentials import AccountCredentials, read_account
from chutes_wrappers.host.account.key_access import (
    ADMIN_POWER,
    INVOKE_POWER,
    KeyAccess,
    KeyKind,
    KeyState,
    create_key,
    delete_key,
    inspect_key,
    list_keys,
)
from chutes_wrappers.host.platform_api import api_client

_SUFFICIENT: dict[KeyKind, tuple[KeyState, ...]] = {
    "invoke": (KeyState.INVOKE, KeyState.LIMITED),
    "admin": (KeyState.ADMIN,),
}


def set_up_key(kind: KeyKind, *, is_confirmed: bool, is_linked: bool = False) -> bool:
    """Create a key of ``kind`` for the existing account, in the file that --call and --forward read.

    A sufficient key is kept. Any other is replaced, after a question unless ``is_confirmed``. Return False for a no.
    Raises ConfigurationError for a key in ``CHUTES_API_KEY``, which a file cannot replace. ``is_linked``: the account was linked
    by that key just now. Then the key in the file is set up, with a warning to unset the variable.
    """
    account, path = read_account(), get_key_path()
    key, source = read_api_key(), get_key_source()
    access = inspect_key(key, account, api_client.connect) if key is not None else None
    if is_linked and is_key_in_environment() and access is not None and access.state not in _SUFFICIENT[kind]:
        output.warning(f"unset {KEY_VARIABLE}: it has priority over {path}, and its key {access.description}")
        key, source = read_stored_key(), str(path)
        access = inspect_key(key, account, api_client.connect) if key is not None else None
    if access is None:
        _create(account, kind, path, None)
        return True
    if access.state in _SUFFICIENT[kind]:
        output.report(f"the API key in {source} is kept: it {access.description}")
        return True
    if source == KEY_VARIABLE:
        flag = "--key admin" if kind == "admin" else "--key"
        raise ConfigurationError(
            f"the API key {access.description}; a file cannot replace it, since the variable has priority",
            where=KEY_VARIABLE,
            next_step=f"unset {KEY_VARIABLE}, then run {NAMES.account} {flag}{_build_deletion_step(access)}",
        )
    if not is_confirmed and not _ask_to_replace(access, kind, path):
        output.report(f"{path} is unchanged")
        return False
    _create(account, kind, path, access)
    return True


def _ask_to_replace(access: KeyAccess, kind: KeyKind, path: Path) -> bool:
    if not prompts.is_possible():
        raise ConfigurationError(
            f"the API key {access.description}; cannot ask whether to replace it: standard input is not a terminal",
            where=str(path),
            next_step="add --yes to replace it; the file is kept as a backup",
        )
    output.warning(f"the API key in {path} {access.description}")
    with contextlib.suppress(prompts.Quit, prompts.Back):
        power = INVOKE_POWER if kind == "invoke" else ADMIN_POWER.partition(":")[0]
        return prompts.ask_yes_no(f"Replace it by one that {power}?", default=True)
    return False


def _create(account: AccountCredentials, kind: KeyKind, path: Path, replaced: KeyAccess | None) -> None:
    power = INVOKE_POWER if kind == "invoke" else ADMIN_POWER
    if kind == "admin":
        output.warning(f"an admin key {power}")
    check_writable(path, next_step="correct that, then run the command again")
    with api_client.connect(account) as api:
        created = create_key(api, kind, list_keys(api))
        try:
            check_key(created.secret, where="the platform's response")
            backup = write_with_backup(path, created.secret + "\n")
        except BaseException:  # also Ctrl-C: a key that is stored nowhere must not stay valid
            with contextlib.suppress(WrapperError):
                delete_key(api, created.listed)
            raise
    output.success(f"{path}: the API key {created.listed.name}, which {power}; --call and --forward read it there")
    if backup is not None:
        output.report(f"saved the previous file as {backup}")
    if replaced is not None:
        _report_replaced(replaced)


def _report_replaced(replaced: KeyAccess) -> None:
    if replaced.listed is not None:
        key = replaced.listed
        output.warning(f"the previous key {key.name} is still valid on the platform; delete it: {key.deletion_command}")
    elif replaced.state is KeyState.ADMIN:
        output.warning(f"the previous key is still valid; find it with {NAMES.sdk} keys list, and delete it")
    else:
        output.warning(f"the previous key {replaced.description}; if it is valid, delete it with its own account")


def _build_deletion_step(access: KeyAccess) -> str:
    return f"; delete the old key with {access.listed.deletion_command}" if access.listed is not None else ""
