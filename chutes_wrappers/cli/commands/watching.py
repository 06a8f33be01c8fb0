"""``--status NAME --watch``: how a chute stands, from moment to moment."""

from __future__ import annotations

import json
import time

from chutes_wrappers.cli import output
from chutes_wrappers.cli.commands.status import INSTANCE_COLUMNS, instance_rows
from chutes_wrappers.host import platform_api
from chutes_wrappers.host.platform_api import PlatformApi, PlatformUnreachable
from chutes_wrappers.host.platform_lookup import chute, chute_name
from chutes_wrappers.host.platform_objects import ChuteInfo

LOOK_EVERY_S = 2.0
_LOST_AT_MOST = 10


def watch(name: str, *, every_s: float, as_json: bool) -> int:
    """Show a chute's state and instances until Ctrl-C, which is a clean end; without a terminal a line for each change.

    As JSON one object a change: ``{"time", "name", "hot", "version", "instances": [{"instance_id", "state", …}]}``.
    """
    wanted = chute_name(name, output.report)
    try:
        with platform_api.connect() as api:
            chute(api, wanted)  # a wrong name is an error, not a thing to watch
            with output.LiveTable() as view:
                _watch(api, wanted, every_s, view, as_json=as_json)
    except KeyboardInterrupt:
        pass
    return 0


def _watch(api: PlatformApi, wanted: str, every_s: float, view: output.LiveTable, *, as_json: bool) -> None:
    last, lost = "", 0
    while True:
        try:
            found, lost = chute(api, wanted), 0
        except PlatformUnreachable:
            lost += 1
            if lost > _LOST_AT_MOST:
                raise
            time.sleep(every_s)
            continue
        state = _state(found)
        if as_json and state != last:
            output.result(json.dumps({"time": int(time.time()), **json.loads(state)}))
        elif not as_json:
            view.show(_title(found), INSTANCE_COLUMNS, instance_rows(found), is_news=state != last)
        last = state
        time.sleep(every_s)


def _state(found: ChuteInfo) -> str:
    """What would be news if it changed, as JSON."""
    instances = [
        {
            "instance_id": one.instance_id,
            "state": one.state,
            "failures": one.failures,
            "last_failure": one.ended_because or one.last_failure,
        }
        for one in (*found.instances, *found.ended)
    ]
    return json.dumps({"name": found.name, "hot": found.hot, "version": found.version, "instances": instances})


def _title(found: ChuteInfo) -> str:
    return f"{found.name} {found.version[:8]}: {'hot' if found.hot else 'cold'}   {time.strftime('%H:%M:%S')}"
