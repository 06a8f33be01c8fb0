"""``--warmup NAME``: start an instance and wait for it."""

from __future__ import annotations

import math
import time
from datetime import datetime, timezone

from chutes_wrappers.cli import output
from chutes_wrappers.cli.outage_tolerance import OutageTolerance
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.lookup import get_chute, refresh_chute, resolve_chute_name
from chutes_wrappers.host.platform_api.objects import ChuteInfo
from chutes_wrappers.host.platform_api.record_lookup import build_path

_POLL_S = 1.0


def warm_up(name: str, *, timeout_s: float, waits: bool = True, keep_s: float = 0.0, as_json: bool) -> int:
    """Request an instance and wait up to ``timeout_s`` seconds; return 0 once one is active.

    Without ``waits`` return 0 once the platform accepted the request. For ``keep_s`` more seconds, another one is
    requested whenever none is active.
    """
    chute_name = resolve_chute_name(name, output.report)
    with api_client.connect() as api:
        chute = get_chute(api, chute_name, output.report)
        if not waits:
            _request_instance(api, chute)
            return _report_status(chute, "asked", as_json=as_json)
        chute = _wait_until_hot(api, chute, timeout_s)
        if keep_s:
            output.success(f"{chute.name} is hot")
            chute = _keep_hot(api, chute, keep_s, timeout_s)
    return _report_status(chute, "hot", as_json=as_json)


def _report_status(chute: ChuteInfo, status: str, *, as_json: bool) -> int:
    active = [instance.instance_id for instance in chute.instances if instance.is_active]
    if as_json:
        output.print_json({"chute_id": chute.chute_id, "status": status, "instances": active})
    if status == "asked":
        output.success(f"Requested an instance of {chute.name}. Follow it with --status {chute.name} --watch")
    else:
        output.success(f"{chute.name} is hot: {len(active)} active instance{'s' if len(active) != 1 else ''}")
    return 0


def _request_instance(api: PlatformApi, chute: ChuteInfo) -> None:
    # Until 2026 the API knew no "quick", and streamed events for minutes: PLATFORM.md, section 5.
    api.get_or_start_stream(
        build_path("chutes/warmup", chute.chute_id),
        f"warming up {chute.name}",
        purpose="chutes",
        params={"quick": "true"},
    )


def _wait_until_hot(api: PlatformApi, chute: ChuteInfo, timeout_s: float) -> ChuteInfo:
    """Return the chute once it has an active instance. Raises WrapperError with the reason if it gets none."""
    requested_at, deadline = datetime.now(timezone.utc), time.monotonic() + timeout_s
    with output.Progress(f"Waiting for an instance of {chute.name}, {timeout_s:.0f} s at most") as progress:
        _request_instance(api, chute)
        known_ids: set[str] = set()
        tolerance, first = OutageTolerance(), chute
        chute = refresh_chute(api, first)
        while not chute.hot:
            progress.add_line(_format_instances(chute))
            if (reason := _find_start_failure(chute, known_ids, requested_at)) is not None:
                raise _make_cold_error(chute, reason)
            if time.monotonic() > deadline:
                raise _make_cold_error(chute, f"no instance is active after {timeout_s:.0f} s")
            time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))
            chute = tolerance.call(lambda: refresh_chute(api, first)) or chute
    return chute


def _keep_hot(api: PlatformApi, chute: ChuteInfo, keep_s: float, timeout_s: float) -> ChuteInfo:
    """Keep the chute hot for ``keep_s`` seconds, or until Ctrl-C, and return it."""
    deadline = time.monotonic() + keep_s
    while True:
        chute = _watch_while_hot(api, chute, deadline)
        if chute.hot:
            return chute
        output.warning(f"{chute.name} no longer has an active instance: requesting another one")
        chute = _wait_until_hot(api, chute, timeout_s)


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


def _make_cold_error(chute: ChuteInfo, reason: str) -> WrapperError:
    return WrapperError(
        f"{chute.name} is cold: no instance became active",
        evidence=clean_text(reason),
        next_step=f"find the reason with --logs {chute.name} and --status {chute.name}, or wait longer with --timeout",
    )
