"""``--logs NAME``: the logs of a chute's instances.

The platform shows them to an admin API key; no signature of the hotkey is valid there (PLATFORM.md, section 5).
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus

from chutes_wrappers.cli import output
from chutes_wrappers.cli.outage_tolerance import OutageTolerance
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.text import clean_text, remove_colours
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, require_api_key
from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed, PlatformUnreachable
from chutes_wrappers.host.platform_api.lookup import get_chute, refresh_chute, resolve_chute_name
from chutes_wrappers.host.platform_api.objects import ChuteInfo, InstanceInfo
from chutes_wrappers.host.platform_api.record_lookup import build_path

_BACKFILL_LINES = 200
_IDLE_TIMEOUT_S = 2.0
_MAX_READ_S = 5.0
_POLL_S = 2.0
_EVENT = "data:"
_KEY_STEP = f"create a key that may read logs with {NAMES.account} --key admin, or put yours into {KEY_VARIABLE}"


def print_logs(name: str, *, follow: bool, instance: str = "", as_json: bool) -> int:
    """Print the last lines of an instance's log; with ``follow`` also new lines, and those of later instances.

    ``instance`` is a prefix of the instance's id; by default the newest instance is selected.
    """
    chute_name = resolve_chute_name(name, output.report)
    with api_client.connect() as api:
        chute = get_chute(api, chute_name, output.report)
        if chute.owner != api.username:  # the API would return 404, as for an instance that is gone
            raise WrapperError(
                f"the platform shows the logs of {chute.name} to its owner only",
                next_step=f"ask the owner for the log; --status {chute_name} shows the chute's instances",
            )
        selected = _select_instance(chute, instance) if instance else _select_newest(chute)
        if selected is None and not follow:
            raise WrapperError(
                f"{chute.name} has no instance, and therefore no log",
                evidence="",
                next_step=f"start one with --warmup {chute.name}, or wait for one with --logs {chute.name} --follow",
            )
        with _connect_with_key() as log_api:
            if not follow and selected is not None:
                _print_last_lines(log_api, chute, selected, as_json=as_json)
            elif instance and selected is not None:
                _follow(api, log_api, chute, selected, as_json=as_json)
            else:
                _follow_all(api, log_api, chute, as_json=as_json)
    return 0


def _connect_with_key() -> PlatformApi:
    try:
        return api_client.connect(KeyCredentials(key=require_api_key()))
    except ConfigurationError as missing:
        missing.next_step = _KEY_STEP
        raise


def _follow_all(api: PlatformApi, log_api: PlatformApi, chute: ChuteInfo, *, as_json: bool) -> None:
    """Print the newest instance's log, then the next one's, until Ctrl-C."""
    followed_ids: set[str] = set()
    tolerance, first = OutageTolerance(), chute
    while True:
        newest = _select_newest(chute)
        if newest is not None and newest.instance_id not in followed_ids:
            followed_ids.add(newest.instance_id)
            _follow(api, log_api, chute, newest, as_json=as_json)
        time.sleep(_POLL_S)
        chute = tolerance.call(lambda: refresh_chute(api, first)) or chute


def _print_last_lines(log_api: PlatformApi, chute: ChuteInfo, instance: InstanceInfo, *, as_json: bool) -> None:
    """Print what an instance has printed so far. The API sends later output in the same stream, which is ignored."""
    output.print_heading(_format_title(chute, instance))
    deadline, printed = time.monotonic() + _MAX_READ_S, 0
    for line in _stream_lines(log_api, instance, idle_timeout_s=_IDLE_TIMEOUT_S):
        _print_line(line, instance, as_json=as_json)
        printed += 1
        if printed == _BACKFILL_LINES or time.monotonic() > deadline:
            break
    if not printed:
        output.report("the instance has printed nothing yet; --follow waits for output")


def _follow(api: PlatformApi, log_api: PlatformApi, chute: ChuteInfo, instance: InstanceInfo, *, as_json: bool) -> None:
    """Print an instance's log until the instance is gone. Reconnects if the stream breaks off before."""
    output.print_heading(_format_title(chute, instance))
    printed: deque[str] = deque(maxlen=_BACKFILL_LINES)
    log_tolerance, chute_tolerance = OutageTolerance(), OutageTolerance()
    while True:
        try:
            for line in skip_repeated_lines(_stream_lines(log_api, instance, idle_timeout_s=None), list(printed)):
                log_tolerance.record_success()
                printed.append(line)
                _print_line(line, instance, as_json=as_json)
        except PlatformRequestFailed as error:
            if error.status != HTTPStatus.NOT_FOUND:  # then the instance is gone
                log_tolerance.record_failure(error)
        except PlatformUnreachable as failure:
            log_tolerance.record_failure(failure)
        current = chute_tolerance.call(lambda: refresh_chute(api, chute))
        if current is not None and instance.instance_id not in [one.instance_id for one in current.instances]:
            break
        time.sleep(_POLL_S)
    if not printed:
        output.report("the instance has printed nothing")


def skip_repeated_lines(lines: Iterable[str], printed: Sequence[str]) -> Iterator[str]:
    """Yield ``lines`` without the longest beginning that repeats the end of ``printed``.

    A log that is read again begins with lines that were printed already.
    """
    rest, repeated = iter(lines), 0
    pending: list[str] = []
    starts = list(range(len(printed)))  # where in ``printed`` the pending lines may begin
    while any(start + len(pending) < len(printed) for start in starts) and (line := next(rest, None)) is not None:
        starts = [
            start for start in starts if start + len(pending) < len(printed) and printed[start + len(pending)] == line
        ]
        pending.append(line)
        if any(start + len(pending) == len(printed) for start in starts):
            repeated = len(pending)
    yield from pending[repeated:]
    yield from rest


def _format_title(chute: ChuteInfo, instance: InstanceInfo) -> str:
    return f"instance {instance.instance_id[:8]} of {chute.name}, {instance.state}"


def _print_line(line: str, instance: InstanceInfo, *, as_json: bool) -> None:
    output.print_result(json.dumps({"instance_id": instance.instance_id, "log": line}) if as_json else line)


def _select_instance(chute: ChuteInfo, id_prefix: str) -> InstanceInfo:
    """Return the only instance with this id prefix. Raises ConfigurationError with all ids for none or several."""
    instances = [*chute.instances, *chute.ended]
    matches = [instance for instance in instances if instance.instance_id.startswith(id_prefix)]
    if len(matches) == 1:
        return matches[0]
    raise ConfigurationError(
        f"{len(matches) or 'no'} instances of {chute.name} have an id that begins with {id_prefix!r}",
        where="--instance",
        next_step=f"use one of: {', '.join(instance.instance_id for instance in instances) or 'there is none'}",
    )


def _select_newest(chute: ChuteInfo) -> InstanceInfo | None:
    """Return the newest running instance, else the last one that ended."""
    return next(iter(reversed(chute.instances)), None) or next(iter(reversed(chute.ended)), None)


def _stream_lines(log_api: PlatformApi, instance: InstanceInfo, *, idle_timeout_s: float | None) -> Iterator[str]:
    """Yield the lines of a log. The API sends new ones as long as the instance runs (SDK ``entrypoint/logger.py``).

    With ``idle_timeout_s`` the lines end when nothing new has come for so many seconds.
    """
    lines = log_api.stream_lines(
        f"{build_path('instances', instance.instance_id)}/logs",
        f"reading the log of the instance {instance.instance_id[:8]}",
        purpose="logs",
        params={"backfill": str(_BACKFILL_LINES)},
        silence_s=idle_timeout_s,
    )
    try:
        for line in lines:
            if line.strip() == "." and idle_timeout_s is not None:
                return  # the platform's keep-alive: nothing new was printed
            if line.startswith(_EVENT) and (text := _parse_event(line)) is not None:
                yield text
    except PlatformRequestFailed as error:
        if error.status == HTTPStatus.UNAUTHORIZED:
            error.next_step = _KEY_STEP
        raise


def _parse_event(event: str) -> str | None:
    """Return the line of an event; None for other kinds of events."""
    try:
        payload = json.loads(event[len(_EVENT) :])
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, dict) or payload.get("log") is None:
        return None
    return clean_text(remove_colours(str(payload["log"])))
