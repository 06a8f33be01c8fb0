"""``--cost M``: the prices of a module's deployment and of its instances, before they are charged."""

from __future__ import annotations

from chutes_wrappers.cli import module_preparation, output
from chutes_wrappers.cli.placement_warnings import warn_about_placement
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.host.account.credentials import NoCredentials
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.pricing import compute_first_deployment_fee, parse_hourly_price
from chutes_wrappers.host.staging import create_stage


def show_cost(module: str, *, as_json: bool) -> int:
    """Show the price per hour of an instance of ``module`` and the fee of its first deployment. Needs no account.

    For a module that the platform rejects, these are the prices of the form that the platform accepts.
    """
    facts = module_preparation.read_facts(module)
    manifest = module_preparation.find_manifest(facts) or Manifest(routes=())
    with create_stage(facts, manifest, username=module_preparation.resolve_username()) as stage:
        definition = describe_staged_module(stage, output.report)
    warn_about_placement(facts, definition)
    with api_client.connect(NoCredentials()) as api:
        pricing = api.get("/pricing", "requesting prices", purpose="pricing")
    price, fee = parse_hourly_price(pricing), compute_first_deployment_fee(pricing)
    if price is None or fee is None:
        raise WrapperError(
            f"the platform lists no price for {platform_rules.TEE_GPU}, the only GPU that it offers",
            where=str(definition["name"]),
            next_step="try again later",
        )
    _print_cost(str(definition["name"]), price, fee, as_json=as_json)
    return 0


def _print_cost(name: str, price: float, fee: float, *, as_json: bool) -> None:
    gpu, count = platform_rules.TEE_GPU, platform_rules.TEE_GPU_COUNT
    if as_json:
        payload = {"name": name, "gpu_count": count, "usd_per_hour": {gpu: price}, "first_deployment_usd": fee}
        output.print_json(payload)
        return
    rows = [(f"{count} x {gpu}", f"${price:.2f}", f"${price * 24:.2f}")]
    output.print_table(("instance on", "per hour", "per day"), rows)
    output.report(
        f"The first deployment costs ${fee:.2f} once; updates are free. Only hours with an instance are charged."
    )
