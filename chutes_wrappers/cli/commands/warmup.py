"""``--warmup NAME``: an instance is started, and awaited."""

from __future__ import annotations

import json
import math
import time
from datetime import datetime, timezone

from chutes_wrappers.cli import output
from chutes_wrappers.cli.outage_tolerance import Patience
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.lookup import chute, chute_name, chute_path
from chutes_wrappers.host.platform_api.objects import ChuteInfo, plain

_LOOK_EVERY_S = 1.0


def warm_up(name: str, *, timeout_s: float, waits: bool = True, keep_s: float = 0.0, as_json: bool) -> int:
    """Ask for an instance, and wait up to ``timeout_s`` seconds; 0 once one is active.

    Without ``waits`` 0 once the platform took the request. For ``keep_s`` seconds more another one is asked for whenever
    none is active.
    """
    wanted = chute_name(name, output.report)
    with api_client.connect() as api:
        found = chute(api, wanted)
        if not waits:
            _ask(api, found)
            return _tell(found, "asked", as_json=as_json)
        found = _awaited(api, found, timeout_s)
        if keep_s:
            output.success(f"{found.name} is hot")
            found = _kept(api, found, keep_s, timeout_s)
    return _tell(found, "hot", as_json=as_json)


def _tell(found: ChuteInfo, status: str, *, as_json: bool) -> int:
    active = [one.instance_id for one in found.instances if one.is_active]
    if as_json:
        output.result(json.dumps({"chute_id": found.chute_id, "status": status, "instances": active}))
    if status == "asked":
        output.success(f"an instance of {found.name} is asked for; --status {found.name} --watch shows it come")
    else:
        output.success(f"{found.name} is hot: {len(active)} active instance{'s' if len(active) != 1 else ''}")
    return 0


def _ask(api: PlatformApi, found: ChuteInfo) -> None:
    path = f"/chutes/warmup/{chute_path(found.chute_id).rpartition('/')[2]}"
    api.get(path, f"warming up {found.name}", purpose="chutes", params={"quick": "true"})


def _awaited(api: PlatformApi, found: ChuteInfo, timeout_s: float) -> ChuteInfo:
    """The chute with an active instance; WrapperError why none comes."""
    asked_at, until = datetime.now(timezone.utc), time.monotonic() + timeout_s
    with output.Progress(f"Waiting for an instance of {found.name}, {timeout_s:.0f} s at most") as progress:
        _ask(api, found)
        seen: set[str] = set()
        found, patience, chute_id = chute(api, found.chute_id), Patience(), found.chute_id
        while not found.hot:
            progress.line(_standing(found))
            if (because := _why_none_comes(found, seen, asked_at)) is not None:
                raise _cold(found, because)
            if time.monotonic() > until:
                raise _cold(found, f"none is active after {timeout_s:.0f} s")
            time.sleep(min(_LOOK_EVERY_S, max(0.0, until - time.monotonic())))
            found = patience.look(lambda: chute(api, chute_id)) or found
    return found


def _kept(api: PlatformApi, found: ChuteInfo, keep_s: float, timeout_s: float) -> ChuteInfo:
    """The chute after ``keep_s`` seconds in which it had an instance; Ctrl-C ends the keeping."""
    until = time.monotonic() + keep_s
    while True:
        found = _seen_hot(api, found, until)
        if found.hot:
            return found
        output.warning(f"{found.name} has no active instance any more: asking for another one")
        found = _awaited(api, found, timeout_s)


def _seen_hot(api: PlatformApi, found: ChuteInfo, until: float) -> ChuteInfo:
    """The chute as it is at the monotonic time ``until``, or when it has no active instance any more."""
    patience, chute_id = Patience(), found.chute_id
    title = f"Keeping {found.name} hot for {math.ceil(until - time.monotonic())} s, or until Ctrl-C"
    with output.Progress(title) as progress:
        while found.hot and (left := until - time.monotonic()) > 0:
            silence = f", no answer for {patience.silence_s:.0f} s" if patience.silence_s else ""
            progress.line(f"{left:.0f} s left: {_standing(found)}{silence}")
            time.sleep(min(_LOOK_EVERY_S, left))
            found = patience.look(lambda: chute(api, chute_id)) or found
    return found


def _standing(found: ChuteInfo) -> str:
    if not found.instances:
        return "no instance yet"
    return ", ".join(f"{one.instance_id[:8]} is {one.state}" for one in found.instances)


def _why_none_comes(found: ChuteInfo, seen: set[str], asked_at: datetime) -> str | None:
    """Why waiting longer is of no use: what was started is gone, or ended before it was seen. ``seen`` remembers."""
    living = {one.instance_id for one in found.instances}
    seen |= living
    if living:
        return None
    new = [one for one in found.ended if one.instance_id in seen or (one.since is not None and one.since >= asked_at)]
    if new:
        return new[-1].ended_because or new[-1].last_failure or "it ended"
    return "its instance is gone before it was active" if seen else None


def _cold(found: ChuteInfo, because: str) -> WrapperError:
    return WrapperError(
        f"{found.name} is cold: no instance became active",
        evidence=plain(because),
        next_step=f"look with --logs {found.name} and --status {found.name} why, or wait longer with --timeout",
    )
