"""Prices of a chute: in the only form that the platform accepts (``platform_rules.TEE_ARGUMENTS``), or in another. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chutes_wrappers.core import platform_checks, platform_rules


def parse_hourly_price(pricing: Mapping[str, Any]) -> float | None:
    """Return the dollars per hour for an instance, or None when ``pricing`` (GET /pricing) has no price (api, section 5)."""
    price = _parse_gpu_price(pricing, platform_rules.TEE_GPU)
    return None if price is None else price * platform_rules.TEE_GPU_COUNT


def compute_first_deployment_fee(pricing: Mapping[str, Any], selector: Mapping[str, Any] | None = None) -> float | None:
    """Return the one-time fee in dollars (api, PLATFORM.md, section 4), or None when ``pricing`` has no price.

    With the node ``selector`` of a chute it is that of all its GPUs, of the cheapest kind that fits.
    """
    price = parse_hourly_price(pricing) if selector is None else _find_selector_price(pricing, selector)
    return None if price is None else round(platform_rules.FIRST_DEPLOYMENT_HOURS * price, 2)


def _find_selector_price(pricing: Mapping[str, Any], selector: Mapping[str, Any]) -> float | None:
    count = platform_checks.read_setting("gpu_count", selector["gpu_count"])
    prices = [_parse_gpu_price(pricing, name) for name in platform_checks.resolve_gpus(selector)]
    known = [price for price in prices if price is not None]
    return min(known) * count if known and isinstance(count, int) else None


def _parse_gpu_price(pricing: Mapping[str, Any], gpu: str) -> float | None:
    value: Any = pricing
    for name in ("gpu_price_estimates", gpu, "usd", "hour"):
        value = value.get(name) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
