"""``--logs NAME``: the logs of a chute's instances; with ``--startup`` those of instances that never became active."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from itertools import islice
from typing import TypeVar

from chutes_wrappers.cli import output
from chutes_wrappers.cli.outage_tolerance import OutageTolerance
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.account.credentials import read_account
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed, PlatformUnreachable
from chutes_wrappers.host.platform_api.instance_logs import BACKFILL_LINES, InstanceLogs
from chutes_wrappers.host.platform_api.lookup import ChuteName, get_chute, refresh_chute, resolve_chute_name
from chutes_wrappers.host.platform_api.objects import ChuteInfo, InstanceInfo, format_age
from chutes_wrappers.host.platform_api.startup_logs import StartupLog, list_startup_logs, read_startup_log

_IDLE_TIMEOUT_S = 2.0
_MAX_READ_S = 5.0
_POLL_S = 2.0
_MAX_LISTED = 5
_Selected = TypeVar("_Selected", InstanceInfo, StartupLog)


def print_logs(name: str, *, follow: bool, instance: str = "", as_json: bool) -> int:
    """Print the last lines of an instance's log; with ``follow`` also new lines, and those of later instances.

    ``instance`` is a prefix of the instance's id; by default the newest instance is selected.
    """
    chute_name = resolve_chute_name(name, output.report)
    with api_client.connect() as api:
        chute = _get_own_chute(api, chute_name)
        selected = _select_instance(chute, instance) if instance else _select_newest(chute)
        if selected is None and not follow:
            raise WrapperError(
                f"{chute.name} has no instance, and therefore no log",
                next_step=f"read the output of one that did not start with --logs {chute.name} --startup, start one with "
                f"--warmup {chute.name}, or wait for one with --logs {chute.name} --follow",
            )
        logs = InstanceLogs(api)
        if not follow and selected is not None:
            _print_last_lines(logs, chute, selected, as_json=as_json)
        elif instance and selected is not None:
            _follow(api, logs, chute, selected, as_json=as_json)
        else:
            _follow_all(api, logs, chute, as_json=as_json)
    return 0


def print_startup_log(name: str, *, instance: str = "", as_json: bool) -> int:
    """Print the output of an instance that never became active, decrypted with the account's hotkey.

    ``instance`` is a prefix of the instance's id; by default the newest log is selected.
    """
    account = read_account()
    chute_name = resolve_chute_name(name, output.report)
    with api_client.connect(account) as api, output.show_status("Reading the startup log …"):
        chute = _get_own_chute(api, chute_name)
        logs = list_startup_logs(api, chute)
        if not logs:
            raise WrapperError(
                f"{chute.name} has no startup log",
                evidence="the platform keeps only the logs of instances that did not become active, for 4 hours",
                next_step=f"start an instance with --warmup {chute.name}; one that runs is in --logs {chute.name}",
            )
        selected = _select_startup_log(chute, logs, instance)
        log = read_startup_log(api, chute, selected, account)
    output.print_heading(f"startup log of {chute.name}, {_format_startup_log(selected)}")
    for line in log.lines:
        _print_line(line, selected.instance_id, as_json=as_json)
    if log.damaged_count:
        output.warning(f"{log.damaged_count} of {log.chunk_count} parts of the log cannot be decrypted")
    elif not log.lines:
        output.report("the instance printed nothing")
    _report_others([log for log in logs if log is not selected], instance)
    return 0


def _select_startup_log(chute: ChuteInfo, logs: Sequence[StartupLog], id_prefix: str) -> StartupLog:
    matches = [log for log in logs if log.instance_id.startswith(id_prefix)] if id_prefix else logs[:1]
    ids = ", ".join(log.instance_id for log in logs)
    return _require_one(matches, f"startup logs of {chute.name}", id_prefix, f"use one of: {ids}")


def _report_others(others: Sequence[StartupLog], id_prefix: str) -> None:
    if not others or id_prefix:
        return
    more = f" and {len(others) - _MAX_LISTED} more" if len(others) > _MAX_LISTED else ""
    listed = "; ".join(map(_format_startup_log, others[:_MAX_LISTED]))
    output.report(f"other startup logs: {listed}{more}. Select one with --instance ID")


def _format_startup_log(log: StartupLog) -> str:
    age = format_age(log.started_at)
    return f"instance {log.instance_id[:8]}" + (f", started {age} ago" if age else "")


def _get_own_chute(api: PlatformApi, name: ChuteName) -> ChuteInfo:
    """Return the account's own chute: for another's logs the API returns 404, as for an instance that is gone."""
    chute = get_chute(api, name, output.report)
    if chute.owner == api.username:
        return chute
    raise WrapperError(
        f"the platform shows the logs of {chute.name} to its owner only",
        next_step=f"ask the owner for the log; --status {name} shows the chute's instances",
    )


def _follow_all(api: PlatformApi, logs: InstanceLogs, chute: ChuteInfo, *, as_json: bool) -> None:
    """Print the newest instance's log, then the next one's, until Ctrl-C."""
    followed_ids: set[str] = set()
    tolerance, first = OutageTolerance(), chute
    while True:
        newest = _select_newest(chute)
        if newest is not None and newest.instance_id not in followed_ids:
            followed_ids.add(newest.instance_id)
            _follow(api, logs, chute, newest, as_json=as_json)
        time.sleep(_POLL_S)
        chute = tolerance.call(lambda: refresh_chute(api, first)) or chute


def _print_last_lines(logs: InstanceLogs, chute: ChuteInfo, instance: InstanceInfo, *, as_json: bool) -> None:
    """Print what an instance has printed so far. The API sends later output in the same stream, which is ignored."""
    output.print_heading(_format_title(chute, instance))
    printed = 0
    lines = logs.stream_lines(instance.instance_id, silence_s=_IDLE_TIMEOUT_S, limit_s=_MAX_READ_S)
    try:
        for line in islice(lines, BACKFILL_LINES):
            _print_line(line, instance.instance_id, as_json=as_json)
            printed += 1
    except PlatformRequestFailed as error:
        if error.status == HTTPStatus.NOT_FOUND:
            error.next_step = (
                f"see with --status {chute.name} whether the instance still runs. If it never became active, use --logs "
                f"{chute.name} --startup. An API key must be the account's"
            )
        raise
    if not printed:
        output.report("the instance has printed nothing yet; --follow waits for output")


def _follow(api: PlatformApi, logs: InstanceLogs, chute: ChuteInfo, instance: InstanceInfo, *, as_json: bool) -> None:
    """Print an instance's log until the instance is gone. Reconnects if the stream breaks off before."""
    output.print_heading(_format_title(chute, instance))
    printed: deque[str] = deque(maxlen=BACKFILL_LINES)
    log_tolerance, chute_tolerance = OutageTolerance(), OutageTolerance()
    while True:
        try:
            for line in skip_repeated_lines(logs.stream_lines(instance.instance_id), list(printed)):
                log_tolerance.record_success()
                printed.append(line)
                _print_line(line, instance.instance_id, as_json=as_json)
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


def _print_line(line: str, instance_id: str, *, as_json: bool) -> None:
    output.print_result(json.dumps({"instance_id": instance_id, "log": line}) if as_json else line)


def _select_instance(chute: ChuteInfo, id_prefix: str) -> InstanceInfo:
    """Return the only instance with this id prefix. Raises ConfigurationError with all ids for none or several."""
    instances = [*chute.instances, *chute.ended]
    matches = [instance for instance in instances if instance.instance_id.startswith(id_prefix)]
    ids = ", ".join(instance.instance_id for instance in instances)
    next_step = f"use one of: {ids}" if ids else f"start one with --warmup {chute.name}"
    return _require_one(
        matches,
        f"instances of {chute.name}",
        id_prefix,
        f"{next_step}. For one that did not become active, add --startup",
    )


def _require_one(matches: Sequence[_Selected], what: str, id_prefix: str, next_step: str) -> _Selected:
    if len(matches) == 1:
        return matches[0]
    raise ConfigurationError(
        f"{len(matches) or 'no'} {what} have an id that begins with {id_prefix!r}",
        where="--instance",
        next_step=next_step,
    )


def _select_newest(chute: ChuteInfo) -> InstanceInfo | None:
    """Return the newest running instance, else the last one that ended."""
    return next(iter(reversed(chute.instances)), None) or next(iter(reversed(chute.ended)), None)
