"""``--status NAME``: a chute's version, routes and instances."""

from __future__ import annotations

from collections.abc import Sequence

from chutes_wrappers.cli import output
from chutes_wrappers.core.base_images import build_refusal_step, is_refusal
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_urls import find_chute_url
from chutes_wrappers.host.platform_api.chute_placement import describe_gpus, find_chute_price
from chutes_wrappers.host.platform_api.lookup import get_chute, resolve_chute_name
from chutes_wrappers.host.platform_api.objects import ChuteInfo, InstanceInfo, format_age
from chutes_wrappers.host.pricing import format_hourly

_INSTANCE_COLUMNS = ("instance", "state", "for", "failures", "reason")


def print_status(name: str, *, as_json: bool) -> int:
    """Print a chute's version, image, URL, routes and instances; as JSON all that the API returns except its source."""
    chute_name = resolve_chute_name(name, output.report)
    with api_client.connect() as api:
        chute = get_chute(api, chute_name, output.report)
        if as_json:
            record = {key: value for key, value in chute.record.items() if key != "code"}
            output.print_json(record, indent=2)
            return 0
        _print_chute(chute, find_chute_url(chute, api.url) or "unknown")
    return 0


def _print_chute(chute: ChuteInfo, host: str) -> None:
    """Print a chute whose URL is ``host``."""
    image = f"{chute.image.reference}: {chute.image.status}" if chute.image else "unknown"
    price = find_chute_price(chute)
    rows = [
        ("state", chute.state),
        ("version", chute.version),
        ("image", image),
        ("visibility", "public" if chute.public else "private"),
        ("owner", chute.owner or "unknown"),
        ("URL", host),
        ("runs on", describe_gpus(chute.node_selector) or "unknown"),
        ("costs", f"{format_hourly(price)} for each instance" if price is not None else "unknown"),
        ("changed", f"{format_age(chute.updated_at)} ago" if chute.updated_at else "unknown"),
    ]
    output.print_table((chute.name, ""), rows)
    if chute.image is not None and is_refusal(chute.image.status):
        output.report_next_step(build_refusal_step(chute.image.reference))
    public_cords = [cord for cord in chute.cords if cord.get("public_api_path")]
    if public_cords:
        routes = [
            (
                str(cord.get("public_api_method", "")),
                str(cord["public_api_path"]),
                "stream" if cord.get("stream") else "",
            )
            for cord in public_cords
        ]
        output.print_table(("", "route", ""), routes)
    print_instances(chute)


def print_instances(chute: ChuteInfo) -> None:
    """Print a chute's instances, ended ones last."""
    if chute.is_disabled:
        output.report_next_step(
            f"open it again with --enable {chute.name}: it is disabled, and no call starts an instance"
        )
    elif not chute.instances and not chute.ended:
        output.report(
            f"no instance is running: --warmup {chute.name} or a call starts one. --logs {chute.name} --startup shows the output of "
            "one that did not become active"
        )
    if chute.instances or chute.ended:
        output.print_table(*build_instance_table(chute))


def print_running_instances(chute: ChuteInfo) -> None:
    """Print the instances that end with a chute."""
    if chute.instances:
        output.print_table(_INSTANCE_COLUMNS, [_build_row(instance) for instance in chute.instances])


def build_instance_table(chute: ChuteInfo) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the columns, and a row for each of a chute's instances, ended ones last.

    The platform returns neither failures nor a reason: a table has no column that is empty in every row.
    """
    return _INSTANCE_COLUMNS, [_build_row(instance) for instance in (*chute.instances, *chute.ended)]


def _build_row(instance: InstanceInfo) -> tuple[str, ...]:
    failures = "" if instance.failures is None else str(instance.failures)
    reason = _shorten_reason(instance.ended_because) or instance.last_failure
    return (instance.instance_id[:8], instance.describe_state(), format_age(instance.since), failures, reason)


def _shorten_reason(reason: str) -> str:
    """Return the first line of a reason, with the last line of the log below it, which names the error."""
    first, *log = [line for line in reason.splitlines() if line and not line.startswith("Next: ")] or [""]
    return f"{first}: {log[-1]}" if log else first
