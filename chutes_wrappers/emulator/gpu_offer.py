"""The GPUs that fit a chute, and the fee of its first deployment (api, PLATFORM.md, section 4). Pure."""

from __future__ import annotations

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.deployment_request import NodeSelectorRequest

_PRICES = platform_rules.GPU_HOURLY_PRICES
_TEE_GPU = platform_rules.TEE_GPU


def find_suitable_gpus(selector: NodeSelectorRequest) -> frozenset[str]:
    """Return the GPUs that ``selector`` allows; a name that it includes in upper case is not found (section 4).

    Only the memory of TEE_GPU is known, so no other GPU is left out for its memory.
    """
    excluded = {name.lower() for name in selector.exclude or ()}
    max_price = selector.max_hourly_price_per_gpu
    return frozenset(
        name
        for name, price in _PRICES.items()
        if (not selector.include or name in selector.include)
        and name not in excluded
        and (max_price is None or price <= max_price)
        and (name != _TEE_GPU or selector.min_vram_gb_per_gpu <= platform_rules.TEE_GPU_MEMORY_GB)
    )


def find_hourly_price(selector: NodeSelectorRequest) -> float:
    """Return the dollars an hour for one GPU: of the cheapest that fits; of TEE_GPU when none fits."""
    return min((_PRICES[name] for name in find_suitable_gpus(selector)), default=_PRICES[_TEE_GPU])


def compute_first_deployment_fee(selector: NodeSelectorRequest) -> float:
    """Return the one-time fee of the first deployment with ``selector``, for all its GPUs, in dollars."""
    return round(platform_rules.FIRST_DEPLOYMENT_HOURS * find_hourly_price(selector) * selector.gpu_count, 2)
