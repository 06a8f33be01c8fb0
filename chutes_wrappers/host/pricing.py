"""Prices of a chute: the platform's own, else those of our dated table, and the fee of a first deployment. Pure.

Sources: PLATFORM.md, sections 4 and 5; api-observed 4, 60 and 62. Amounts are in dollars.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chutes_wrappers.core import platform_checks, platform_rules

PriceSource = Literal["chute", "pricing", "table"]

_AMOUNT = r"\$\s?(\d[\d,]{0,20}(?:\.\d{1,30})?)"
# The notice names the price an hour too, and may name the balance: neither is the fee.
_OTHER_AMOUNT = r"\bhour|\b(?:balance|price|rate)\b[^$)]{0,30}\$"
_FEE_AMOUNTS = (
    re.compile(rf"configuration is:?\s*{_AMOUNT}", re.IGNORECASE),
    re.compile(rf"\bfee\b(?:(?!{_OTHER_AMOUNT})[^$]){{0,200}}?{_AMOUNT}", re.IGNORECASE),
)
_FEE_NOTICE = re.compile(r"fee notice|\A(?!.*(?:top up|insufficient)).*--accept-fee\b", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class HourlyPrice:
    """What an instance with ``gpu_count`` GPUs costs an hour, for all of them together.

    ``gpu`` is the kind of GPU that the price is of; empty when it is a chute's own price. ``source`` is the API's record of
    the chute, its ``/pricing``, or our table.
    """

    usd: float
    gpu: str
    gpu_count: int
    source: PriceSource

    @property
    def is_estimate(self) -> bool:
        """Whether it is ours, and not the platform's."""
        return self.source == "table"

    @property
    def fee_usd(self) -> float:
        """The fee of a first deployment, as August 2026 computes it (section 4). Always an estimate: the API decides."""
        return round(platform_rules.FIRST_DEPLOYMENT_HOURS * self.usd, 2)

    @property
    def highest_fee_usd(self) -> float:
        """The fee by the server of 2025, which multiplied by the number of GPUs once more (section 4)."""
        return round(self.fee_usd * self.gpu_count, 2)


def find_hourly_price(
    selector: Mapping[str, Any] | None,
    *,
    pricing: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
) -> HourlyPrice | None:
    """Return what an instance of a chute with this node ``selector`` costs, by the first source that knows it; None if none does.

    ``record`` is the API's record of the deployed chute, ``pricing`` the response of GET /pricing. Either may be missing or
    lack the price. Without a selector it is the price of the only form that the platform accepts.
    """
    count = read_gpu_count(selector) if selector else platform_rules.TEE_GPU_COUNT
    if record is not None and (usd := _parse_chute_price(record)) is not None:
        return HourlyPrice(usd=usd, gpu="", gpu_count=count or 1, source="chute")
    if not selector:
        return find_accepted_price(pricing or {})
    names = sorted(platform_checks.resolve_gpus(selector))
    prices = {name: price for name in names if (price := _parse_gpu_price(pricing or {}, name)) is not None}
    known = platform_rules.GPU_HOURLY_PRICES
    source: PriceSource = "pricing" if prices else "table"
    prices = prices or {name: known[name] for name in names if name in known}
    if not prices or count is None:
        return None
    gpu = min(prices, key=lambda name: prices[name])
    return HourlyPrice(usd=prices[gpu] * count, gpu=gpu, gpu_count=count, source=source)


def find_accepted_price(pricing: Mapping[str, Any]) -> HourlyPrice:
    """Return the price of the only form that the platform accepts (``platform_rules.TEE_ARGUMENTS``)."""
    gpu, count = platform_rules.TEE_GPU, platform_rules.TEE_GPU_COUNT
    usd = parse_hourly_price(pricing)
    if usd is None:
        known_usd = platform_rules.GPU_HOURLY_PRICES[gpu] * count
        return HourlyPrice(usd=known_usd, gpu=gpu, gpu_count=count, source="table")
    return HourlyPrice(usd=usd, gpu=gpu, gpu_count=count, source="pricing")


def find_offered_price(selector: Mapping[str, Any] | None, pricing: Mapping[str, Any]) -> HourlyPrice:
    """Return the price of a module before it is deployed: of the GPUs that it names, in any case of letters.

    A module that names none, or none that exists, gets the price of the only form that the platform accepts.
    """
    included = (selector or {}).get("include")
    names = [str(name).lower() for name in included] if isinstance(included, list | tuple) else []
    placement = {
        "gpu_count": platform_rules.TEE_GPU_COUNT,
        **(selector or {}),
        "include": names or [platform_rules.TEE_GPU],
    }
    return find_hourly_price(placement, pricing=pricing) or find_accepted_price(pricing)


def read_gpu_count(selector: Mapping[str, Any]) -> int | None:
    """Return the number of GPUs of a node selector as the API reads it, or None for one that it would not read."""
    count = platform_checks.read_setting("gpu_count", selector.get("gpu_count"))
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else None


def _parse_chute_price(record: Mapping[str, Any]) -> float | None:
    """Return the dollars an hour of a chute's instance (``current_estimated_price.usd.hour``), or None when it has none."""
    return _parse_number(record, "current_estimated_price", "usd", "hour")


def parse_hourly_price(pricing: Mapping[str, Any]) -> float | None:
    """Return the dollars per hour for an instance, or None when ``pricing`` (GET /pricing) has no price (api, section 5)."""
    price = _parse_gpu_price(pricing, platform_rules.TEE_GPU)
    return None if price is None else price * platform_rules.TEE_GPU_COUNT


def compute_first_deployment_fee(pricing: Mapping[str, Any], selector: Mapping[str, Any] | None = None) -> float | None:
    """Return the one-time fee in dollars (api, PLATFORM.md, section 4), or None when ``pricing`` has no price.

    With the node ``selector`` of a chute it is that of all its GPUs, of the cheapest kind that fits.
    """
    price = find_hourly_price(selector, pricing=pricing)
    return price.fee_usd if price is not None and price.source == "pricing" else None


def is_fee_notice(reason: str) -> bool:
    """Return whether the API's text asks to accept the fee of a first deployment (402; api-observed 60), and nothing else."""
    return _FEE_NOTICE.search(reason) is not None


def parse_fee(notice: str) -> float | None:
    """Return the fee that a notice of the API names, or None. The notice names the price an hour too."""
    matches = filter(None, (pattern.search(notice) for pattern in _FEE_AMOUNTS))
    return next((float(match[1].replace(",", "")) for match in matches), None)


def format_dollars(usd: float) -> str:
    """Format an amount: cents, or up to four digits where cents would hide a part of it. ``0.6000000000000001`` is $0.60."""
    text = f"{usd:.2f}"
    return f"${text}" if abs(usd - float(text)) < 0.00005 else f"${usd:.4f}".rstrip("0")


def format_fee_estimate(price: HourlyPrice) -> str:
    """Format the fee of a first deployment by ``price``; for several GPUs also what the server of 2025 would ask for."""
    highest = f", up to {format_dollars(price.highest_fee_usd)}," if price.gpu_count > 1 else ""
    return f"{format_dollars(price.fee_usd)}{highest}"


def describe_source(price: HourlyPrice) -> str:
    """Describe whose ``price`` it is. One of our table has its date."""
    if price.is_estimate:
        return f"the known prices of {platform_rules.find_fact('gpu-name').date}"
    return "the platform's prices"


def format_hourly(price: HourlyPrice) -> str:
    """Format a price an hour, marked where it is an estimate: ``$1.80 an hour``."""
    amount = f"{format_dollars(price.usd)} an hour"
    return f"about {amount} (estimate by {describe_source(price)})" if price.is_estimate else amount


def _parse_gpu_price(pricing: Mapping[str, Any], gpu: str) -> float | None:
    return _parse_number(pricing, "gpu_price_estimates", gpu, "usd", "hour")


def _parse_number(value: Any, *names: str) -> float | None:
    """Return the finite number, not below 0, at ``names`` of nested objects; None for anything else."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None
