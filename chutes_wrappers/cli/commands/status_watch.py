"""``--status NAME --watch``: how a chute stands, from moment to moment."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from chutes_wrappers.cli import output
from chutes_wrappers.cli.commands.status import INSTANCE_COLUMNS, instance_rows
from chutes_wrappers.cli.outage_tolerance import Patience
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.lookup import chute, chute_name
from chutes_wrappers.host.platform_api.objects import ChuteInfo


def watch(name: str, *, every_s: float, as_json: bool) -> int:
    """Show a chute's state and instances until Ctrl-C, which is a clean end; without a terminal a line for each change.

    As JSON one object a change: ``{"time", "name", "hot", "version", "instances": [{"instance_id", "state", …}]}``.
    """
    wanted = chute_name(name, output.report)
    with api_client.connect() as api, contextlib.suppress(KeyboardInterrupt):
        found = chute(api, wanted)  # a wrong name is an error, not a thing to watch
        if as_json:
            _print_changes(api, found, every_s)
        else:
            with output.LiveTable() as view:
                _show_live(api, found, every_s, view)
    return 0


def _print_changes(api: PlatformApi, found: ChuteInfo, every_s: float) -> None:
    last: dict[str, Any] = {}
    for now in _looks(api, found, every_s, Patience()):
        if now is not None and _state(now) != last:
            last = _state(now)
            output.result(json.dumps({"time": int(time.time()), **last}))


def _show_live(api: PlatformApi, found: ChuteInfo, every_s: float, view: output.LiveTable) -> None:
    last: dict[str, Any] = {}
    patience = Patience()
    for now in _looks(api, found, every_s, patience):
        found = now or found
        title = f"{found.name} {found.version[:8]}: {'hot' if found.hot else 'cold'}   {time.strftime('%H:%M:%S')}"
        if now is None:
            title += f"   no answer for {patience.silence_s:.0f} s"
        view.show(title, INSTANCE_COLUMNS, instance_rows(found), is_news=_state(found) != last)
        last = _state(found)


def _looks(api: PlatformApi, found: ChuteInfo, every_s: float, patience: Patience) -> Iterator[ChuteInfo | None]:
    """The chute as it is, and then every ``every_s`` seconds; None when the platform does not tell for once."""
    yield found
    while True:
        time.sleep(every_s)
        yield patience.look(lambda: chute(api, found.chute_id))


def _state(found: ChuteInfo) -> dict[str, Any]:
    """What would be news if it changed."""
    instances = [
        {
            "instance_id": one.instance_id,
            "state": one.state,
            "failures": one.failures,
            "last_failure": one.ended_because or one.last_failure,
        }
        for one in (*found.instances, *found.ended)
    ]
    return {"name": found.name, "hot": found.hot, "version": found.version, "instances": instances}
