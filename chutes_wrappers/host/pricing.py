"""Prices of a chute in the only form that the platform accepts (``platform_rules.TEE_ARGUMENTS``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chutes_wrappers.core import platform_rules


def parse_hourly_price(pricing: Mapping[str, Any]) -> float | None:
    """Return the dollars per hour for an instance, or None when ``pricing`` (GET /pricing) has no price (api, section 5)."""
    value: Any = pricing
    for name in ("gpu_price_estimates", platform_rules.TEE_GPU, "usd", "hour"):
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) * platform_rules.TEE_GPU_COUNT


def compute_first_deployment_fee(pricing: Mapping[str, Any]) -> float | None:
    """Return the one-time fee in dollars (api, PLATFORM.md, section 4), or None when ``pricing`` has no price."""
    price = parse_hourly_price(pricing)
    return None if price is None else round(platform_rules.FIRST_DEPLOYMENT_HOURS * price, 2)
