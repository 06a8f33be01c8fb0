"""``--cost M``: what a module's deployment and its hours cost, asked before they do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chutes_wrappers.cli import output
from chutes_wrappers.cli.commands import preparation
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.host import platform_api
from chutes_wrappers.host.credentials import NoCredentials
from chutes_wrappers.host.definition import describe_outside
from chutes_wrappers.host.pricing import first_deployment_fee, fitting_prices
from chutes_wrappers.host.staging import staged


def cost(module: str, *, as_json: bool) -> int:
    """Show what every GPU that ``module`` allows costs an hour, and the fee of its first deployment; needs no account."""
    facts = preparation.facts(module)
    known = preparation.known(facts) or Manifest(routes=())
    with staged(facts, known, username=preparation.username()) as stage:
        described = describe_outside(stage, output.report)
    with platform_api.connect(NoCredentials()) as api:
        pricing = api.get("/pricing", "asking for prices", purpose="pricing")
    selector = described["node_selector"] or {}
    prices = fitting_prices(pricing, selector)
    if not prices:
        raise WrapperError(
            f"the platform names no price for a GPU that {described['name']} allows",
            where=f"{facts.path}, NodeSelector",
            evidence=json.dumps({key: value for key, value in selector.items() if value is not None}),
            next_step="allow more GPUs: a smaller min_vram_gb_per_gpu, no include, a higher max_hourly_price_per_gpu",
        )
    fee = first_deployment_fee(pricing, selector) or 0.0
    _show(str(described["name"]), int(selector.get("gpu_count") or 1), prices, fee, as_json=as_json)
    return 0


def _show(name: str, count: int, prices: Mapping[str, float], fee: float, *, as_json: bool) -> None:
    hourly: dict[str, Any] = {gpu: round(price * count, 4) for gpu, price in prices.items()}
    if as_json:
        output.result(
            json.dumps({"name": name, "gpu_count": count, "usd_per_hour": hourly, "first_deployment_usd": fee})
        )
        return
    rows = [(f"{count} x {gpu}", f"${price:.2f}", f"${price * 24:.2f}") for gpu, price in hourly.items()]
    output.table(("an instance on", "an hour", "a day"), rows)
    output.report(f"The first deployment costs ${fee:.2f} once; updates are free. Only hours with an instance count.")
