"""``--forward M``: the original API of a deployed chute's services on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlsplit

from chutes_wrappers.cli import module_preparation, output
from chutes_wrappers.cli.local_port import check_free_port
from chutes_wrappers.cli.module_cords import plan_module_cords
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.local_guard import AllowList
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.host.account.api_key import require_api_key
from chutes_wrappers.host.discovery.on_host import discover_running
from chutes_wrappers.host.forwarding.chute_client import (
    Chute,
    ChuteAddress,
    parse_deployed_address,
    resolve_chute_address,
)
from chutes_wrappers.host.forwarding.local_names import build_browser_name
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.host.forwarding.route_transport import RouteTransport
from chutes_wrappers.host.forwarding.server import HOST, ForwardingServer
from chutes_wrappers.host.forwarding.transport import Transport
from chutes_wrappers.host.forwarding.tunnel_transport import TunnelTransport
from chutes_wrappers.host.http_sessions import is_local_host
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.header_variables import resolve_headers
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_urls import build_chute_url
from chutes_wrappers.host.platform_api.lookup import ChuteName, get_chute
from chutes_wrappers.host.staging import create_stage
from chutes_wrappers.runtime.tunnel_frames import PUBLIC_PATH

_LISTEN = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")


def forward(module: str, *, url: str | None, listen: Sequence[str], allowed: AllowList) -> int:
    """Serve the services of the chute of ``module`` on 127.0.0.1 until Ctrl-C, which is a clean end.

    ``url`` is the chute's URL, by default the platform's. ``listen`` are ``LOCAL:SERVICE`` pairs of ports, by default the
    services' ports. ``allowed`` are hosts and origins in addition to those of this machine.
    """
    facts = module_preparation.read_facts(module)
    ports = parse_local_ports(listen, facts.service_ports)
    for port in ports:
        check_free_port(port, flag="--listen")
    address = _resolve_address(facts, url)
    manifest = _resolve_manifest(facts, address)
    cords = _list_cords(facts, manifest)
    has_tunnel = any(cord["public_api_path"] == PUBLIC_PATH for cord in cords)
    table = None if has_tunnel else _build_route_table(facts, manifest, {cord["path"] for cord in cords})
    browser_name = select_browser_name(facts.chute_name, url)
    asyncio.run(_serve(address, table, ports, allowed, browser_name=browser_name, module_name=facts.path.name))
    output.report("stopping")
    return 0


def parse_local_ports(listen: Sequence[str], service_ports: Sequence[int]) -> dict[int, int]:
    """Return the service's port for each port to listen on. Raises ConfigurationError for an invalid pair."""
    if not listen:
        return {port: port for port in service_ports}
    ports: dict[int, int] = {}
    for text in listen:
        match = _LISTEN.fullmatch(text)
        if match is None or not 1 <= int(match[1]) <= 65535:
            raise ConfigurationError(
                f"--listen {text!r} is not LOCAL:SERVICE", next_step="give two ports, as in 18020:8020"
            )
        local, service = int(match[1]), int(match[2])
        if service not in service_ports:
            valid_ports = ", ".join(map(str, service_ports))
            raise ConfigurationError(
                f"--listen {text}: {service} is not in SERVICE_PORTS", next_step=f"use one of {valid_ports}"
            )
        if local in ports:
            raise ConfigurationError(f"--listen has port {local} of this machine twice")
        ports[local] = service
    return ports


def select_browser_name(chute_name: str, url: str | None) -> str:
    """Return the chute's name for browsers. At a ``url`` of the network it may be another user's chute, with other cookies."""
    host = urlsplit(url or "").hostname
    return build_browser_name(chute_name if host is None or is_local_host(host) else host)


def _resolve_address(facts: ModuleFacts, url: str | None) -> ChuteAddress:
    if url is None:
        key = require_api_key()
        with api_client.connect_to_read(key) as api:
            chute = get_chute(api, ChuteName(text=facts.chute_name, is_of_module=True), output.report)
            return parse_deployed_address(build_chute_url(chute, api.url), key)
    return resolve_chute_address(url)


def _resolve_manifest(facts: ModuleFacts, address: ChuteAddress) -> Manifest:
    """Return the module's manifest. ``--emulate`` without Docker writes none, but its services run on this machine."""
    manifest = module_preparation.find_manifest(facts)
    if manifest is not None or not address.is_emulated:
        return manifest or Manifest()
    output.report(f"{facts.manifest_path.name} is missing: discovering the routes of the services on this machine")
    return discover_running(
        facts.service_ports, headers=resolve_headers(facts), expose=facts.expose, report=output.report
    )


def _list_cords(facts: ModuleFacts, manifest: Manifest) -> list[dict[str, Any]]:
    with create_stage(facts, manifest, username=module_preparation.resolve_username()) as stage:
        cords: list[dict[str, Any]] = describe_staged_module(stage, output.report)["cords"]
    return cords


def _build_route_table(facts: ModuleFacts, manifest: Manifest, registered_paths: Collection[str]) -> RouteTable:
    """Return the routes with a registered cord, by internal path: the module's own cords replace others."""
    plan = plan_module_cords(facts, manifest, registered_paths)
    if not plan.cords:
        raise ConfigurationError(
            f"the chute has no tunnel, and no route of its services is in {facts.manifest_path.name}",
            where=str(facts.path),
            next_step=f"run --discover {facts.name}, or add register_tunnel(chute, SERVICE_PORTS) and deploy the module again",
        )
    output.warning(
        f"{facts.path.name} registers no tunnel: its {len(plan.cords)} routes carry the headers and cookies that they declare, "
        "and a request with more is refused. Add register_tunnel(chute, SERVICE_PORTS) to forward everything"
    )
    return RouteTable(cord for cord in plan.cords if cord.internal_path in registered_paths)


async def _serve(
    address: ChuteAddress,
    table: RouteTable | None,
    ports: dict[int, int],
    allowed: AllowList,
    *,
    browser_name: str,
    module_name: str,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop.set)
    transport_name = "tunnel" if table is None else "routes"
    async with contextlib.AsyncExitStack() as stack:
        chute = await stack.enter_async_context(Chute(address, report=output.warning))
        transport: Transport = (
            TunnelTransport(chute) if table is None else RouteTransport(chute, table, module_name, output.warning)
        )
        for local, service in ports.items():
            server = ForwardingServer(
                local, service, transport, output.warning, allowed, browser_name=browser_name, other_ports=ports
            )
            await stack.enter_async_context(server)
            output.success(f"http://{HOST}:{local} is port {service} of {address.url}, through its {transport_name}")
            output.report(f"  in a browser: http://{browser_name}:{local}")
        output.report("Ctrl-C stops it.")
        await stop.wait()
