"""``--disable NAME`` and ``--enable NAME``: close a deployed chute, which ends its instances and its bill, and open it again."""

from __future__ import annotations

import shlex
import time

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.cli.commands.status import print_running_instances
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.chute_changes import ChangedChute, change_chute
from chutes_wrappers.host.platform_api.lookup import get_own_chute, refresh_chute, resolve_chute_name
from chutes_wrappers.host.platform_api.objects import ChuteInfo

_FIELD = "disabled"
_POLL_S = 1.0
_MAX_POLLS = 10


def disable_chute(name: str, *, yes: bool, as_json: bool) -> int:
    """Disable a chute, which ends its instances; return 0 once the API shows it, or they ended.

    ``yes`` skips the question. Raises WrapperError when the API accepted it, and does not show what came of it.
    """
    chute_name = resolve_chute_name(name, output.report)
    with api_client.connect() as api:
        chute = get_own_chute(api, chute_name)
        output.report(
            f"This disables the chute {chute.name}: its calls get 503, its instances end, and so does the bill."
        )
        if chute.public:
            output.warning(f"{chute.name} is public: the platform ends only the instances of private chutes")
        if not as_json:
            print_running_instances(chute)
        if not yes:
            prompts.require_confirmation(
                f"Disable {chute.name}?",
                subject=f"that {chute.name} is to be disabled",
                refusal=f"{chute.name} was not disabled",
                command="--disable",
            )
        deletion = f"delete it instead with {NAMES.deploy} --delete {shlex.quote(chute.name)}"
        changed = change_chute(api, chute, {_FIELD: True}, f"disabling the chute {chute.name}", deletion)
        is_shown = _check_shown(changed, True, deletion) or _check_ended(api, chute, changed, deletion)
    _report(changed, is_shown, True, as_json=as_json)
    return 0


def enable_chute(name: str, *, as_json: bool) -> int:
    """Open a disabled chute again; return 0 once the API shows it. Raises WrapperError when it accepted it, and does not show it."""
    chute_name = resolve_chute_name(name, output.report)
    with api_client.connect() as api:
        chute = get_own_chute(api, chute_name)
        deployment = f"deploy it again with {NAMES.deploy} --deploy MODULE"
        changed = change_chute(api, chute, {_FIELD: False}, f"enabling the chute {chute.name}", deployment)
        is_shown = _check_shown(changed, False, deployment)
    _report(changed, is_shown, False, as_json=as_json)
    return 0


def _check_shown(changed: ChangedChute, value: bool, instead: str) -> bool:
    """Return whether the API shows ``value``; False when it does not show the field. Raises WrapperError when it shows the opposite."""
    state = changed.find_state(_FIELD, value)
    if state == "set":
        return True
    if changed.lost is not None:
        raise changed.lost
    if state == "ignored":
        raise WrapperError(
            f"{changed.chute.name} is still {'enabled' if value else 'disabled'}, although the platform accepted the change",
            next_step=f"run the command again; if it changes nothing, {instead}",
        )
    return False


def _check_ended(api: PlatformApi, chute: ChuteInfo, changed: ChangedChute, instead: str) -> bool:
    """Return whether a private chute had instances that ended. Raises WrapperError if some are left after ten seconds.

    For an API that does not show whether a chute is disabled: a server of 2025 accepts the change, and ignores it.
    """
    after = changed.chute
    if not chute.instances or chute.public:
        return False
    with output.Progress(f"Waiting for the end of the instances of {chute.name}") as progress:
        for _ in range(_MAX_POLLS):
            if not after.instances:
                return True
            progress.add_line(f"{len(after.instances)} left")
            time.sleep(_POLL_S)
            after = refresh_chute(api, chute)
    raise WrapperError(
        f"{chute.name} still has {len(after.instances)} instances, although the platform accepted the change",
        evidence="it does not show whether the chute is disabled: a server of 2025 ignores the change",
        next_step=f"check it with --status {chute.name}; if they do not end, {instead}",
    )


def _report(changed: ChangedChute, is_shown: bool, is_disabled: bool, *, as_json: bool) -> None:
    chute = changed.chute
    if as_json:
        instances = [instance.instance_id for instance in chute.instances]
        payload = {"chute_id": chute.chute_id, "name": chute.name, _FIELD: is_disabled if is_shown else None}
        output.print_json({**payload, "verified": is_shown, "instances": instances})
    if changed.lost is not None:
        output.warning(f"the platform's response was lost, but its record shows the change: {changed.lost.what}")
    if not is_shown:
        raise _make_unknown_error(chute.name, is_disabled=is_disabled)
    if is_disabled:
        output.success(f"{chute.name} is disabled: {NAMES.deploy} --enable {shlex.quote(chute.name)} opens it again")
    else:
        output.success(f"{chute.name} is enabled: a call or --warmup {chute.name} starts an instance")


def _make_unknown_error(name: str, *, is_disabled: bool) -> WrapperError:
    name, state = shlex.quote(name), "disabled" if is_disabled else "enabled"
    deletion = f"watch it with --status {name}; {NAMES.deploy} --delete {name} ends the bill for certain"
    return WrapperError(
        f"whether {name} is {state} is unknown: the platform accepted the change, but its record does not show it",
        next_step=deletion if is_disabled else f"start an instance with --warmup {name}, which proves it",
    )
