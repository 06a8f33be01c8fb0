"""``--status NAME``: how a chute stands."""

from __future__ import annotations

import json

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.lookup import chute, chute_name, chute_path
from chutes_wrappers.host.platform_api.objects import ChuteInfo, InstanceInfo, age

INSTANCE_COLUMNS = ("instance", "state", "for", "failures", "what happened")


def status(name: str, *, as_json: bool) -> int:
    """Show a chute's version, image, address, routes and instances; as JSON all that the API tells, but its source."""
    wanted = chute_name(name, output.report)
    with api_client.connect() as api:
        found = chute(api, wanted)
        if as_json:
            told = api.get(chute_path(wanted), f"asking for the chute {wanted!r}", purpose="chutes")
            output.result(json.dumps({key: value for key, value in told.items() if key != "code"}, indent=2))
            return 0
        show(found, _host(found, api.url))
    return 0


def show(found: ChuteInfo, host: str) -> None:
    """Print a chute that is called at ``host``."""
    image = f"{found.image.reference}: {found.image.status}" if found.image else "not told"
    wanted = ", ".join(f"{key} {value}" for key, value in found.node_selector.items() if value not in (None, []))
    rows = [
        ("state", "hot" if found.hot else "cold"),
        ("version", found.version),
        ("image", image),
        ("visibility", "public" if found.public else "private"),
        ("called at", host),
        ("runs on", wanted or "not told"),
        ("deployed", f"{age(found.updated_at)} ago" if found.updated_at else "not told"),
    ]
    output.table((found.name, ""), rows)
    public = [cord for cord in found.cords if cord.get("public_api_path")]
    if public:
        routes = [
            (
                str(cord.get("public_api_method", "")),
                str(cord["public_api_path"]),
                "stream" if cord.get("stream") else "",
            )
            for cord in public
        ]
        output.table(("", "route", ""), routes)
    show_instances(found)


def show_instances(found: ChuteInfo) -> None:
    """Print a chute's instances, those that are gone last."""
    if not found.instances and not found.ended:
        output.report(f"no instance runs: --warmup {found.name} starts one, and so does a call")
        return
    output.table(INSTANCE_COLUMNS, instance_rows(found))


def instance_rows(found: ChuteInfo) -> list[tuple[str, ...]]:
    """A row of INSTANCE_COLUMNS for each of a chute's instances, those that are gone last."""
    return [_row(instance) for instance in (*found.instances, *found.ended)]


def _row(instance: InstanceInfo) -> tuple[str, ...]:
    failures = "" if instance.failures is None else str(instance.failures)
    happened = instance.ended_because or instance.last_failure
    return (instance.instance_id[:8], instance.state, age(instance.since), failures, happened)


def _host(found: ChuteInfo, url: str) -> str:
    try:
        return api_client.host_of({"slug": found.slug, "name": found.name}, url)
    except WrapperError:
        return "not told"
