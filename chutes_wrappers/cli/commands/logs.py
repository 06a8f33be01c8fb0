"""``--logs NAME``: what a chute's newest instance prints."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host import platform_api
from chutes_wrappers.host.platform_api import PlatformApi
from chutes_wrappers.host.platform_lookup import chute, chute_name
from chutes_wrappers.host.platform_objects import ChuteInfo, InstanceInfo, plain

_SHOWN_LINES = 200
_SILENCE_S = 2.0
_LOOK_EVERY_S = 2.0
_EVENT = "data:"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def logs(name: str, *, follow: bool, instance: str = "", as_json: bool) -> int:
    """Print the last lines of an instance's log; with ``follow`` also those to come, and the next instances'.

    ``instance`` is how the wanted instance's id begins; by default it is the newest one.
    """
    wanted = chute_name(name, output.report)
    with platform_api.connect() as api:
        found = chute(api, wanted)
        if instance:
            _show(api, found, _named(found, instance), follow=follow, as_json=as_json)
            return 0
        newest = _newest(found)
        if newest is None and not follow:
            raise WrapperError(
                f"{found.name} has no instance, and so no log",
                evidence="",
                next_step=f"--warmup {found.name} starts one; --logs {found.name} --follow waits for it",
            )
        shown: set[str] = set()
        while True:
            if newest is not None and newest.instance_id not in shown:
                shown.add(newest.instance_id)
                _show(api, found, newest, follow=follow, as_json=as_json)
            if not follow:
                return 0
            time.sleep(_LOOK_EVERY_S)
            found = chute(api, found.chute_id)
            newest = _newest(found)


def _show(api: PlatformApi, found: ChuteInfo, instance: InstanceInfo, *, follow: bool, as_json: bool) -> None:
    output.heading(f"instance {instance.instance_id[:8]} of {found.name}, {instance.state}")
    said = False
    for line in _lines(api, instance, follow=follow):
        said = True
        output.result(json.dumps({"instance_id": instance.instance_id, "log": line}) if as_json else line)
    if not said:
        output.report("it has printed nothing" if follow else "it has printed nothing yet; --follow waits for it")


def _named(found: ChuteInfo, beginning: str) -> InstanceInfo:
    """The instance whose id begins so; ConfigurationError names those that there are when it is none or several."""
    known = [*found.instances, *found.ended]
    fitting = [one for one in known if one.instance_id.startswith(beginning)]
    if len(fitting) == 1:
        return fitting[0]
    raise ConfigurationError(
        f"{len(fitting) or 'no'} instances of {found.name} have an id that begins with {beginning!r}",
        where="--instance",
        next_step=f"name one of: {', '.join(one.instance_id for one in known) or 'none is there'}",
    )


def _newest(found: ChuteInfo) -> InstanceInfo | None:
    """The instance to look at: a living one where there is one, else the last that is gone and remembered."""
    return next(iter(reversed(found.instances)), None) or next(iter(reversed(found.ended)), None)


def _lines(api: PlatformApi, instance: InstanceInfo, *, follow: bool) -> Iterator[str]:
    """The lines of a log, of which the API sends those to come for as long as the instance lives (SDK ``entrypoint/logger.py``)."""
    told = api.lines(
        f"/instances/{instance.instance_id}/logs",
        f"reading the log of the instance {instance.instance_id[:8]}",
        purpose="logs",
        params={"backfill": str(_SHOWN_LINES)},
        silence_s=None if follow else _SILENCE_S,
    )
    for line in told:
        if line.strip() == "." and not follow:
            return  # what the platform says while nothing new is printed
        if line.startswith(_EVENT) and (text := _text(line)) is not None:
            yield text


def _text(event: str) -> str | None:
    """The line in an event; None for events of another kind."""
    try:
        told = json.loads(event[len(_EVENT) :])
    except ValueError:
        return None
    if not isinstance(told, dict) or told.get("log") is None:
        return None
    return plain(_COLOUR.sub("", str(told["log"])))
