"""``--warmup NAME``: start an instance and wait for it."""

from __future__ import annotations

import math
import re
import shlex
import time
from dataclasses import replace
from datetime import datetime, timezone

from chutes_wrappers.cli import output
from chutes_wrappers.cli.commands.start_log import StartLog
from chutes_wrappers.cli.outage_tolerance import OutageTolerance
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.lookup import ChuteName, get_chute, refresh_chute, resolve_chute_name
from chutes_wrappers.host.platform_api.objects import ChuteInfo, parse_chute
from chutes_wrappers.host.platform_api.record_lookup import build_path

_POLL_S = 1.0
_LONGEST_REASON = 400


def warm_up(
    name: str, *, timeout_s: float, waits: bool = True, keep_s: float = 0.0, follows: bool = False, as_json: bool
) -> int:
    """Request an instance and wait for it; return 0 once one is active, ``timeout_s`` seconds after the start at the latest.

    Without ``waits`` return 0 once the platform accepted the request. For ``keep_s`` more seconds, another one is
    requested whenever none is active. With ``follows`` print what the instances print while they start.
    """
    end_at = time.monotonic() + timeout_s
    chute_name = resolve_chute_name(name, output.report)
    with api_client.connect() as api:
        api.limit_time(timeout_s)
        chute = get_chute(api, chute_name, output.report)
        if not waits:
            _request_instance(api, chute)
            return _report_request(chute, chute_name, as_json=as_json)
        log = StartLog(chute, is_shown=follows and _can_read_logs(api, chute), as_json=as_json)
        try:
            chute = _wait_until_hot(api, chute, max(0.0, end_at - time.monotonic()), log)
        except KeyboardInterrupt:
            _warn_of_start(chute, is_own=chute.owner == api.username)
            raise
        if keep_s:
            output.success(f"{chute.name} is hot")
            chute = _keep_hot(api, chute, keep_s, timeout_s, log)
    return _report_hot(chute, as_json=as_json)


def _can_read_logs(api: PlatformApi, chute: ChuteInfo) -> bool:
    if chute.owner == api.username:
        return True
    output.warning(f"the platform shows the logs of {chute.name} to its owner only")
    return False


def _warn_of_start(chute: ChuteInfo, *, is_own: bool) -> None:
    end = f"; {NAMES.deploy} --disable {shlex.quote(chute.name)} ends it" if is_own else ""
    output.warning(f"the platform may go on with the start of an instance of {chute.name}{end}")


def _report_request(chute: ChuteInfo, name: ChuteName, *, as_json: bool) -> int:
    if as_json:
        _print_json(chute, "asked")
    output.success(f"Requested an instance of {chute.name}. Follow it with --status {name} --watch")
    return 0


def _report_hot(chute: ChuteInfo, *, as_json: bool) -> int:
    if as_json:
        _print_json(chute, "hot")
    active = _list_active_ids(chute)
    count = f": {len(active)} active instance{'s' if len(active) != 1 else ''}" if active else ""
    output.success(f"{chute.name} is hot{count}")
    return 0


def _print_json(chute: ChuteInfo, status: str) -> None:
    output.print_json({"chute_id": chute.chute_id, "status": status, "instances": _list_active_ids(chute)})


def _list_active_ids(chute: ChuteInfo) -> list[str]:
    return [instance.instance_id for instance in chute.instances if instance.is_active]


def _request_instance(api: PlatformApi, chute: ChuteInfo) -> ChuteInfo:
    """Request an instance. Return ``chute`` with the instances of the response, if that says that the chute is hot already."""
    # Until 2026 the API knew no "quick", and streamed events for minutes: PLATFORM.md, section 5.
    try:
        response = api.get_or_start_stream(
            build_path("chutes/warmup", chute.chute_id),
            f"warming up {chute.name}",
            purpose="chutes",
            params={"quick": "true"},
        )
    except PlatformRequestFailed as error:
        error.next_step = re.sub(r"\bCHUTE\b", lambda _: chute.name, error.next_step or "") or None
        raise
    if response.get("status") == "error" or response.get("error"):
        raise WrapperError(
            f"{chute.name} is cold: the platform reports an error",
            evidence=clean_text(response.get("error") or response.get("log") or response)[:_LONGEST_REASON],
            next_step=f"check it with --status {chute.name}, and what an instance printed with --logs {chute.name} --startup",
        )
    if response.get("status") != "hot":
        return replace(chute, hot=False)
    reported = response.get("instances")
    with_ids = (
        [one for one in reported if isinstance(one, dict) and one.get("instance_id")]
        if isinstance(reported, list)
        else []
    )
    listed = parse_chute({**chute.record, "instances": with_ids, "hot": True})
    return replace(chute, hot=True, instances=listed.instances or chute.instances)


def _wait_until_hot(api: PlatformApi, chute: ChuteInfo, timeout_s: float, log: StartLog) -> ChuteInfo:
    """Return the chute once it has an active instance. Raises WrapperError with the reason if it gets none."""
    requested_at, deadline = datetime.now(timezone.utc), time.monotonic() + timeout_s
    api.limit_time(timeout_s)
    with output.Progress(f"Waiting for an instance of {chute.name}, {math.ceil(timeout_s)} s at most") as progress, log:
        first, known_ids, tolerance = chute, set[str](), OutageTolerance()
        chute = _request_instance(api, first)
        while not chute.hot:
            chute = tolerance.call(lambda: refresh_chute(api, first)) or chute
            log.follow(chute)
            if chute.hot:
                break
            progress.add_line(_format_instances(chute))
            if (reason := _find_start_failure(chute, known_ids, requested_at)) is not None:
                raise _make_ended_error(chute, reason.partition("\n")[0] if log.has_lines else reason)
            if time.monotonic() > deadline:
                raise _make_late_error(chute, timeout_s, tolerance.outage_s)
            time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))
    return chute


def _keep_hot(api: PlatformApi, chute: ChuteInfo, keep_s: float, timeout_s: float, log: StartLog) -> ChuteInfo:
    """Keep the chute hot for ``keep_s`` seconds, or until Ctrl-C, and return it."""
    deadline = time.monotonic() + keep_s
    while True:
        api.limit_time(math.inf)
        chute = _watch_while_hot(api, chute, deadline)
        if chute.hot:
            return chute
        output.warning(f"{chute.name} no longer has an active instance: requesting another one")
        chute = _wait_until_hot(api, chute, timeout_s, log)


def _watch_while_hot(api: PlatformApi, chute: ChuteInfo, deadline: float) -> ChuteInfo:
    """Return the chute at the monotonic time ``deadline``, or when it no longer has an active instance."""
    tolerance, first = OutageTolerance(), chute
    title = f"Keeping {chute.name} hot for {math.ceil(deadline - time.monotonic())} s, or until Ctrl-C"
    with output.Progress(title) as progress:
        while chute.hot and (remaining_s := deadline - time.monotonic()) > 0:
            outage = f", no response for {tolerance.outage_s:.0f} s" if tolerance.outage_s else ""
            progress.add_line(f"{remaining_s:.0f} s left: {_format_instances(chute)}{outage}")
            time.sleep(min(_POLL_S, remaining_s))
            chute = tolerance.call(lambda: refresh_chute(api, first)) or chute
    return chute


def _format_instances(chute: ChuteInfo) -> str:
    if not chute.instances:
        return "no instance yet"
    return ", ".join(f"{instance.instance_id[:8]} is {instance.state}" for instance in chute.instances)


def _find_start_failure(chute: ChuteInfo, known_ids: set[str], requested_at: datetime) -> str | None:
    """Return why waiting longer is useless: the new instance is gone, or ended unseen. ``known_ids`` is updated."""
    running_ids = {instance.instance_id for instance in chute.instances}
    known_ids |= running_ids
    if running_ids:
        return None
    ended = [
        instance
        for instance in chute.ended
        if instance.instance_id in known_ids or (instance.since is not None and instance.since >= requested_at)
    ]
    if ended:
        return ended[-1].ended_because or ended[-1].last_failure or "it ended"
    return "its instance disappeared before it was active" if known_ids else None


def _make_ended_error(chute: ChuteInfo, reason: str) -> WrapperError:
    return WrapperError(
        f"{chute.name} is cold: no instance became active",
        evidence=reason,
        next_step=f"read what the instance printed with --logs {chute.name} --startup, and correct the module or the image",
    )


def _make_late_error(chute: ChuteInfo, timeout_s: float, outage_s: float) -> WrapperError:
    outage = f"; the platform has not responded for {outage_s:.0f} s" if outage_s >= 1 else ""
    if chute.instances:
        next_step = f"wait longer with --timeout; --warmup {chute.name} --follow shows what the instance prints"
    else:
        # PLATFORM.md, section 6: the most frequent reason, and nothing is logged then.
        next_step = (
            f"wait longer with --timeout. If an instance never starts, widen the node selector: --status {chute.name} shows it. "
            f"If one started and ended, see --logs {chute.name} --startup"
        )
    return WrapperError(
        f"{chute.name} is cold: no instance is active after {math.ceil(timeout_s)} s",
        evidence=f"{_format_instances(chute)}{outage}",
        next_step=next_step,
    )
