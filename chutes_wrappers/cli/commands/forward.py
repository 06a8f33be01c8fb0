"""``--forward M``: the original API of a deployed chute's services, on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from chutes_wrappers.cli import module_preparation, output
from chutes_wrappers.cli.local_port import check_free
from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.local_guard import Allowed
from chutes_wrappers.core.manifest import Manifest, merge_static, parse_routes
from chutes_wrappers.host.account.api_key import api_key, required_key
from chutes_wrappers.host.forwarding.chute_client import Chute, ChuteAddress, chute_address
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.host.forwarding.route_transport import RouteCarrier
from chutes_wrappers.host.forwarding.server import HOST, ForwardingServer
from chutes_wrappers.host.forwarding.transport import Carrier
from chutes_wrappers.host.forwarding.tunnel_transport import TunnelCarrier
from chutes_wrappers.host.modules.definition import describe_outside
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.staging import staged
from chutes_wrappers.runtime.tunnel_frames import PUBLIC_PATH

_LISTEN = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")


def forward(module: str, *, url: str | None, listen: Sequence[str], allowed: Allowed) -> int:
    """Serve the services of the chute of ``module`` on 127.0.0.1 until Ctrl-C, which is a clean end.

    ``url`` is where the chute is called, by default where the platform says; ``listen`` holds ``LOCAL:SERVICE`` pairs of
    ports, by default each service's own. ``allowed`` are hosts and origins beside those of this machine.
    """
    facts = module_preparation.facts(module)
    ports = local_ports(listen, facts.service_ports)
    for port in ports:
        check_free(port, flag="--listen")
    address = _address(facts, url)
    manifest = module_preparation.known(facts) or Manifest()
    cords = _cords(facts, manifest)
    has_tunnel = any(cord["public_api_path"] == PUBLIC_PATH for cord in cords)
    table = None if has_tunnel else _routes(facts, manifest, {cord["path"] for cord in cords})
    asyncio.run(_serve(address, table, ports, allowed))
    output.report("stopping")
    return 0


def local_ports(listen: Sequence[str], service_ports: Sequence[int]) -> dict[int, int]:
    """For each port of this machine that is listened on, the service's port. ConfigurationError for what makes no sense."""
    if not listen:
        return {port: port for port in service_ports}
    ports: dict[int, int] = {}
    for text in listen:
        pair = _LISTEN.fullmatch(text)
        if pair is None or not 1 <= int(pair[1]) <= 65535:
            raise ConfigurationError(
                f"--listen {text!r} is not LOCAL:SERVICE", next_step="give two ports, as in 18020:8020"
            )
        local, service = int(pair[1]), int(pair[2])
        if service not in service_ports:
            known = ", ".join(map(str, service_ports))
            raise ConfigurationError(
                f"--listen {text}: {service} is not in SERVICE_PORTS", next_step=f"name one of {known}"
            )
        if local in ports:
            raise ConfigurationError(f"--listen names port {local} of this machine twice")
        ports[local] = service
    return ports


def _address(facts: ModuleFacts, url: str | None) -> ChuteAddress:
    if url is None:
        key = required_key()
        # An emulator's chute is on this machine, and wants the key all the same.
        return replace(chute_address(api_client.chute_url(facts.chute_name, key), key), key=key)
    address = chute_address(url, api_key())
    if not address.is_local and address.key is None:
        required_key()
    return address


def _cords(facts: ModuleFacts, manifest: Manifest) -> list[dict[str, Any]]:
    with staged(facts, manifest, username=module_preparation.username()) as stage:
        cords: list[dict[str, Any]] = describe_outside(stage, output.report)["cords"]
    return cords


def _routes(facts: ModuleFacts, manifest: Manifest, registered: Collection[str]) -> RouteTable:
    """The routes whose cords are ``registered``, by internal path: where the module has a cord of its own, that answers."""
    static = parse_routes(facts.static_routes, where=f"{facts.path}, CHUTE_STATIC_ROUTES")
    merged, _ = merge_static(manifest, static)
    plan = plan_cords(merged.routes, facts.service_ports[0], expose=facts.expose)
    output.warning(
        f"{facts.path.name} registers no tunnel: calls go through its {len(plan.cords)} routes, without headers, cookies and "
        "pages; register_tunnel(chute, SERVICE_PORTS) carries everything"
    )
    return RouteTable(cord for cord in plan.cords if cord.internal_path in registered)


async def _serve(address: ChuteAddress, table: RouteTable | None, ports: dict[int, int], allowed: Allowed) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    way = "tunnel" if table is None else "routes"
    async with contextlib.AsyncExitStack() as stack:
        chute = await stack.enter_async_context(Chute(address))
        carrier: Carrier = TunnelCarrier(chute) if table is None else RouteCarrier(chute, table)
        for local, service in ports.items():
            await stack.enter_async_context(ForwardingServer(local, service, carrier, output.warning, allowed))
            output.success(f"http://{HOST}:{local} is port {service} of {address.shown}, through its {way}")
        output.report("Ctrl-C stops it.")
        await stop.wait()
