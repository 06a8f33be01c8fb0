"""``--status NAME --watch``: a chute's state and instances, updated until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from chutes_wrappers.cli import output
from chutes_wrappers.cli.commands.status import build_instance_table
from chutes_wrappers.cli.outage_tolerance import OutageTolerance
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.chute_placement import find_chute_price
from chutes_wrappers.host.platform_api.lookup import get_chute, refresh_chute, resolve_chute_name
from chutes_wrappers.host.platform_api.objects import ChuteInfo
from chutes_wrappers.host.pricing import format_dollars


def watch(name: str, *, every_s: float, as_json: bool) -> int:
    """Show a chute's state and instances until Ctrl-C, which is a clean end; without a terminal a line for each change.

    As JSON one object per change: ``{"time", "name", "hot", "version", "usd_per_hour", "is_estimate", "instances":
    [{"instance_id", "state", …}]}``. The price is of one instance; ``is_estimate``: it is not the platform's.
    """
    chute_name = resolve_chute_name(name, output.report)
    with api_client.connect() as api, contextlib.suppress(KeyboardInterrupt):
        chute = get_chute(api, chute_name, output.report)  # an unknown name is an error; there is nothing to watch
        if as_json:
            _print_changes(api, chute, every_s)
        else:
            with output.LiveTable() as view:
                _show_live(api, chute, every_s, view)
    return 0


def _print_changes(api: PlatformApi, chute: ChuteInfo, every_s: float) -> None:
    previous: dict[str, Any] = {}
    for current in _poll(api, chute, every_s, OutageTolerance()):
        if current is not None and _build_state(current) != previous:
            previous = _build_state(current)
            output.print_result(json.dumps({"time": int(time.time()), **previous}))


def _show_live(api: PlatformApi, chute: ChuteInfo, every_s: float, view: output.LiveTable) -> None:
    previous: dict[str, Any] = {}
    tolerance = OutageTolerance()
    for current in _poll(api, chute, every_s, tolerance):
        chute = current or chute
        title = f"{chute.name} {chute.version[:8]}{_format_price(chute)}: {chute.state}   {time.strftime('%H:%M:%S')}"
        if current is None:
            title += f"   no response for {tolerance.outage_s:.0f} s"
        view.show(title, *build_instance_table(chute), is_changed=_build_state(chute) != previous)
        previous = _build_state(chute)


def _format_price(chute: ChuteInfo) -> str:
    """Return what an instance costs, for a title: ``, $1.80 an hour``; empty when unknown."""
    price = find_chute_price(chute)
    if price is None:
        return ""
    return f", {'estimated ' if price.is_estimate else ''}{format_dollars(price.usd)} an hour"


def _poll(api: PlatformApi, chute: ChuteInfo, every_s: float, tolerance: OutageTolerance) -> Iterator[ChuteInfo | None]:
    """Yield the chute now and then every ``every_s`` seconds; None during an outage that is tolerated."""
    yield chute
    while True:
        time.sleep(every_s)
        yield tolerance.call(lambda: refresh_chute(api, chute))


def _build_state(chute: ChuteInfo) -> dict[str, Any]:
    """Return what is reported when it changes."""
    instances = [
        {
            "instance_id": instance.instance_id,
            "state": instance.state,
            "failures": instance.failures,
            "last_failure": instance.ended_because or instance.last_failure,
        }
        for instance in (*chute.instances, *chute.ended)
    ]
    price = find_chute_price(chute)
    return {
        "name": chute.name,
        "hot": chute.hot,
        "version": chute.version,
        "usd_per_hour": price.usd if price is not None else None,
        "is_estimate": price is not None and price.is_estimate,
        "instances": instances,
    }
