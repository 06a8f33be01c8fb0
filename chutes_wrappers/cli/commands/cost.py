"""``--cost M``: what a module's deployment and its hours cost, asked before they do."""

from __future__ import annotations

import json

from chutes_wrappers.cli import module_preparation, output
from chutes_wrappers.cli.placement_warnings import warn_of_placement
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.host.account.credentials import NoCredentials
from chutes_wrappers.host.modules.definition import describe_outside
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.pricing import first_deployment_fee, hourly_price
from chutes_wrappers.host.staging import staged


def cost(module: str, *, as_json: bool) -> int:
    """Show what an instance of ``module`` costs an hour, and the fee of its first deployment; needs no account.

    Of a module that the platform refuses this is what it costs in the form that the platform takes.
    """
    facts = module_preparation.facts(module)
    known = module_preparation.known(facts) or Manifest(routes=())
    with staged(facts, known, username=module_preparation.username()) as stage:
        described = describe_outside(stage, output.report)
    warn_of_placement(facts, described)
    with api_client.connect(NoCredentials()) as api:
        pricing = api.get("/pricing", "asking for prices", purpose="pricing")
    price, fee = hourly_price(pricing), first_deployment_fee(pricing)
    if price is None or fee is None:
        raise WrapperError(
            f"the platform names no price for {platform_rules.TEE_GPU}, the only GPU that it offers",
            where=str(described["name"]),
            next_step="ask again later",
        )
    _show(str(described["name"]), price, fee, as_json=as_json)
    return 0


def _show(name: str, price: float, fee: float, *, as_json: bool) -> None:
    gpu, count = platform_rules.TEE_GPU, platform_rules.TEE_GPU_COUNT
    if as_json:
        shown = {"name": name, "gpu_count": count, "usd_per_hour": {gpu: price}, "first_deployment_usd": fee}
        output.result(json.dumps(shown))
        return
    rows = [(f"{count} x {gpu}", f"${price:.2f}", f"${price * 24:.2f}")]
    output.table(("an instance on", "an hour", "a day"), rows)
    output.report(f"The first deployment costs ${fee:.2f} once; updates are free. Only hours with an instance count.")
