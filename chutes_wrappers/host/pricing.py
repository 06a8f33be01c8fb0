"""What the platform asks for the first deployment of a chute, as far as its prices tell. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chutes_wrappers.core import platform_rules


def first_deployment_fee(pricing: Mapping[str, Any], node_selector: Mapping[str, Any]) -> float | None:
    """The one-time fee in dollars (api, PLATFORM.md, section 4), or None where ``pricing`` (GET /pricing) does not tell.

    ``node_selector`` is the chute's. The cheapest GPU that it allows counts.
    """
    prices = fitting_prices(pricing, node_selector)
    if not prices:
        return None
    count = int(node_selector.get("gpu_count") or 1)
    return round(platform_rules.FIRST_DEPLOYMENT_HOURS * min(prices.values()) * count, 2)


def fitting_prices(pricing: Mapping[str, Any], node_selector: Mapping[str, Any]) -> dict[str, float]:
    """GPU → dollars an hour for one of it, of those that the chute allows and ``pricing`` tells of; the cheapest first."""
    told = pricing.get("gpu_price_estimates")
    prices = {
        str(name): price
        for name, gpu in (told.items() if isinstance(told, Mapping) else ())
        if isinstance(gpu, Mapping) and (price := _hourly_price(gpu)) is not None
        if _fits(str(name), gpu, price, node_selector)
    }
    return dict(sorted(prices.items(), key=lambda pair: pair[1]))


def _hourly_price(gpu: Mapping[str, Any]) -> float | None:
    dollars = gpu.get("usd")
    price = dollars.get("hour") if isinstance(dollars, Mapping) else None
    return float(price) if isinstance(price, int | float) and not isinstance(price, bool) else None


def _fits(name: str, gpu: Mapping[str, Any], price: float, selector: Mapping[str, Any]) -> bool:
    memory, most = gpu.get("memory"), selector.get("max_hourly_price_per_gpu")
    included = {str(each).lower() for each in selector.get("include") or ()}
    excluded = {str(each).lower() for each in selector.get("exclude") or ()}
    if not isinstance(memory, int | float) and not included:
        return False  # nobody can tell whether it is large enough
    is_large = not isinstance(memory, int | float) or memory >= (selector.get("min_vram_gb_per_gpu") or 0)
    is_named = (not included or name.lower() in included) and name.lower() not in excluded
    return is_large and is_named and (most is None or price <= most)
