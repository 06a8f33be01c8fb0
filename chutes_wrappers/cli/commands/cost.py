"""``--cost M``: the prices of a module's deployment and of its instances, before they are charged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chutes_wrappers.cli import module_preparation, output
from chutes_wrappers.cli.placement_warnings import warn_about_placement
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.platform_checks import resolve_gpus
from chutes_wrappers.host.account.credentials import NoCredentials, has_account
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.lookup import find_listed_chute
from chutes_wrappers.host.platform_api.objects import ChuteInfo
from chutes_wrappers.host.platform_api.price_lookup import fetch_pricing
from chutes_wrappers.host.pricing import (
    HourlyPrice,
    describe_source,
    find_hourly_price,
    find_offered_price,
    format_dollars,
    format_fee_estimate,
)
from chutes_wrappers.host.staging import create_stage


def show_cost(module: str, *, as_json: bool) -> int:
    """Show the price per hour of an instance of ``module`` and the fee of its first deployment. Needs no account.

    Prices are the platform's: of the deployed chute, else of its GPUs; without them those of our table, marked as an
    estimate. For a module that names no GPU, they are of the only one that the platform offers. Nothing is sent that deploys.
    """
    facts = module_preparation.read_facts(module)
    manifest = module_preparation.find_manifest(facts) or Manifest(routes=())
    with create_stage(facts, manifest, username=module_preparation.resolve_username()) as stage:
        definition = describe_staged_module(stage, output.report)
    warn_about_placement(facts, definition)
    name = str(definition["name"])
    with output.show_status("Requesting the prices"):
        with api_client.connect(NoCredentials()) as api:
            pricing = fetch_pricing(api)
        deployed = _find_deployed_chute(name)
    price = _select_price(definition["node_selector"], pricing, deployed)
    _print_cost(name, price, deployed is not None, as_json=as_json)
    return 0


def _find_deployed_chute(name: str) -> ChuteInfo | None:
    """Return the account's chute of this name; None without an account, or when the API does not return it."""
    if not has_account():
        return None
    try:
        with api_client.connect() as api:
            return find_listed_chute(api, name)
    except WrapperError as error:
        output.report(f"whether {name} is deployed is not known: {error.what}")
        return None


def _select_price(
    selector: Mapping[str, Any] | None, pricing: Mapping[str, Any], deployed: ChuteInfo | None
) -> HourlyPrice:
    """Return the price of the deployed chute, unless the module asks for other GPUs now, else that of the module's GPUs."""
    offered = find_offered_price(selector, pricing)
    if deployed is None or offered.gpu not in resolve_gpus(deployed.node_selector):
        return offered
    current = find_hourly_price(deployed.node_selector, pricing=pricing, record=deployed.record)
    is_same = current is not None and current.source == "chute" and current.gpu_count == offered.gpu_count
    return replace(current, gpu=offered.gpu) if current is not None and is_same else offered


def _print_cost(name: str, price: HourlyPrice, is_deployed: bool, *, as_json: bool) -> None:
    if as_json:
        output.print_json(_build_payload(name, price, is_deployed))
        return
    about = "about " if price.is_estimate else ""
    rows = [(f"{price.gpu_count} x {price.gpu}", *(f"{about}{format_dollars(price.usd * hours)}" for hours in (1, 24)))]
    output.print_table(("instance on", "per hour", "per day"), rows)
    if price.is_estimate:
        output.warning(f"this is an estimate by {describe_source(price)}: the platform returned no price")
    fee = (
        f"about {format_fee_estimate(price)} once (estimate: {platform_rules.FIRST_DEPLOYMENT_HOURS} hours of its GPUs)"
    )
    if is_deployed:
        output.report(f"{name} is deployed already: its next deployment is free. The first deployment costs {fee}.")
    else:
        output.report(f"The first deployment costs {fee}; the platform names the fee at --deploy. Updates are free.")
    output.report("Only hours with an instance are charged.")


def _build_payload(name: str, price: HourlyPrice, is_deployed: bool) -> dict[str, object]:
    """Return the JSON: amounts in dollars. ``is_estimate`` is of the price; the fee before a deployment always is one."""
    return {
        "name": name,
        "gpu_count": price.gpu_count,
        "usd_per_hour": {price.gpu: price.usd},
        "source": price.source,
        "is_estimate": price.is_estimate,
        "prices_of": platform_rules.find_fact("gpu-name").date if price.is_estimate else None,
        "first_deployment_usd": price.fee_usd,
        "first_deployment_usd_up_to": price.highest_fee_usd,
        "first_deployment_is_estimate": True,
        "is_deployed": is_deployed,
    }
