"""``--logs NAME``: what a chute's instances print."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from chutes_wrappers.cli import output
from chutes_wrappers.cli.outage_tolerance import Patience
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRefused, PlatformUnreachable
from chutes_wrappers.host.platform_api.lookup import chute, chute_name
from chutes_wrappers.host.platform_api.objects import ChuteInfo, InstanceInfo, plain

_SHOWN_LINES = 200
_SILENCE_S = 2.0
_LONGEST_S = 5.0
_LOOK_EVERY_S = 2.0
_NOT_FOUND = 404
_EVENT = "data:"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def logs(name: str, *, follow: bool, instance: str = "", as_json: bool) -> int:
    """Print the last lines of an instance's log; with ``follow`` also those to come, and the next instances'.

    ``instance`` is how the wanted instance's id begins; by default it is the newest one.
    """
    wanted = chute_name(name, output.report)
    with api_client.connect() as api:
        found = chute(api, wanted)
        chosen = _named(found, instance) if instance else _newest(found)
        if chosen is None and not follow:
            raise WrapperError(
                f"{found.name} has no instance, and so no log",
                evidence="",
                next_step=f"--warmup {found.name} starts one; --logs {found.name} --follow waits for it",
            )
        if not follow and chosen is not None:
            _show_last(api, found, chosen, as_json=as_json)
        elif instance and chosen is not None:
            _follow(api, found, chosen, as_json=as_json)
        else:
            _follow_all(api, found, as_json=as_json)
    return 0


def _follow_all(api: PlatformApi, found: ChuteInfo, *, as_json: bool) -> None:
    """The newest instance's log, then the next one's, until Ctrl-C."""
    shown: set[str] = set()
    patience, chute_id = Patience(), found.chute_id
    while True:
        newest = _newest(found)
        if newest is not None and newest.instance_id not in shown:
            shown.add(newest.instance_id)
            _follow(api, found, newest, as_json=as_json)
        time.sleep(_LOOK_EVERY_S)
        found = patience.look(lambda: chute(api, chute_id)) or found


def _show_last(api: PlatformApi, found: ChuteInfo, instance: InstanceInfo, *, as_json: bool) -> None:
    """What an instance has printed; not what it goes on printing, which the API sends in the same stream."""
    output.heading(_title(found, instance))
    until, said = time.monotonic() + _LONGEST_S, 0
    for line in _lines(api, instance, silence_s=_SILENCE_S):
        _print(line, instance, as_json=as_json)
        said += 1
        if said == _SHOWN_LINES or time.monotonic() > until:
            break
    if not said:
        output.report("it has printed nothing yet; --follow waits for it")


def _follow(api: PlatformApi, found: ChuteInfo, instance: InstanceInfo, *, as_json: bool) -> None:
    """An instance's log until the instance is gone; a stream that breaks off before is taken up again."""
    output.heading(_title(found, instance))
    shown: deque[str] = deque(maxlen=_SHOWN_LINES)
    for_the_log, for_the_chute = Patience(), Patience()
    while True:
        try:
            for line in new_lines(_lines(api, instance, silence_s=None), list(shown)):
                for_the_log.answered()
                shown.append(line)
                _print(line, instance, as_json=as_json)
        except PlatformRefused as refused:
            if refused.status != _NOT_FOUND:  # that of an instance that is gone
                for_the_log.forgive(refused)
        except PlatformUnreachable as failure:
            for_the_log.forgive(failure)
        now = for_the_chute.look(lambda: chute(api, found.chute_id))
        if now is not None and instance.instance_id not in [one.instance_id for one in now.instances]:
            break
        time.sleep(_LOOK_EVERY_S)
    if not shown:
        output.report("it has printed nothing")


def new_lines(lines: Iterable[str], shown: Sequence[str]) -> Iterator[str]:
    """``lines`` without those at their beginning that end ``shown``, as many as can be: a log that is read again repeats them."""
    rest, repeated = iter(lines), 0
    held: list[str] = []
    begins = list(range(len(shown)))  # where in ``shown`` the held lines may begin
    while any(at + len(held) < len(shown) for at in begins) and (line := next(rest, None)) is not None:
        begins = [at for at in begins if at + len(held) < len(shown) and shown[at + len(held)] == line]
        held.append(line)
        if any(at + len(held) == len(shown) for at in begins):
            repeated = len(held)
    yield from held[repeated:]
    yield from rest


def _title(found: ChuteInfo, instance: InstanceInfo) -> str:
    return f"instance {instance.instance_id[:8]} of {found.name}, {instance.state}"


def _print(line: str, instance: InstanceInfo, *, as_json: bool) -> None:
    output.result(json.dumps({"instance_id": instance.instance_id, "log": line}) if as_json else line)


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


def _lines(api: PlatformApi, instance: InstanceInfo, *, silence_s: float | None) -> Iterator[str]:
    """The lines of a log, of which the API sends those to come for as long as the instance lives (SDK ``entrypoint/logger.py``).

    With ``silence_s`` they end where nothing new has come for so long.
    """
    told = api.lines(
        f"/instances/{instance.instance_id}/logs",
        f"reading the log of the instance {instance.instance_id[:8]}",
        purpose="logs",
        params={"backfill": str(_SHOWN_LINES)},
        silence_s=silence_s,
    )
    for line in told:
        if line.strip() == "." and silence_s is not None:
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
