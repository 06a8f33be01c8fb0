"""``--warmup NAME``: an instance is started, and awaited."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host import platform_api
from chutes_wrappers.host.platform_lookup import chute, chute_name, chute_path
from chutes_wrappers.host.platform_objects import ChuteInfo, plain

TIMEOUT_S = 900.0
_LOOK_EVERY_S = 1.0


def warm_up(name: str, *, timeout_s: float, as_json: bool) -> int:
    """Ask for an instance, and wait up to ``timeout_s`` seconds; 0 once one is active."""
    wanted = chute_name(name, output.report)
    with platform_api.connect() as api:
        found = chute(api, wanted)
        asked_at, until = datetime.now(timezone.utc), time.monotonic() + timeout_s
        path = f"/chutes/warmup/{chute_path(found.chute_id).rpartition('/')[2]}"
        with output.Progress(f"Waiting for an instance of {found.name}, {timeout_s:.0f} s at most") as progress:
            api.get(path, f"warming up {found.name}", purpose="chutes", params={"quick": "true"})
            seen: set[str] = set()
            while not (found := chute(api, found.chute_id)).hot:
                progress.line(_standing(found))
                if (because := _why_none_comes(found, seen, asked_at)) is not None:
                    raise _cold(found, because)
                if time.monotonic() > until:
                    raise _cold(found, f"none is active after {timeout_s:.0f} s")
                time.sleep(min(_LOOK_EVERY_S, max(0.0, until - time.monotonic())))
    active = [one.instance_id for one in found.instances if one.is_active]
    if as_json:
        output.result(json.dumps({"chute_id": found.chute_id, "status": "hot", "instances": active}))
    output.success(f"{found.name} is hot: {len(active)} active instance{'s' if len(active) != 1 else ''}")
    return 0


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
