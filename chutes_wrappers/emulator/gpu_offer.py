"""The GPUs that fit a chute, and the fee of its first deployment (api, PLATFORM.md, section 4). Pure."""

from __future__ import annotations

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.deployment_request import NodeSelectorRequest

_GPU = platform_rules.TEE_GPU
HOURLY_PRICE = platform_rules.GPU_HOURLY_PRICES[_GPU]


def find_suitable_gpus(selector: NodeSelectorRequest) -> frozenset[str]:
    """Return the GPUs that ``selector`` allows: TEE_GPU, which it must include in lower case, or none."""
    is_named = _GPU in (selector.include or ())
    is_excluded = _GPU in {name.lower() for name in selector.exclude or ()}
    has_memory = selector.min_vram_gb_per_gpu <= platform_rules.TEE_GPU_MEMORY_GB
    max_price = selector.max_hourly_price_per_gpu
    is_affordable = max_price is None or max_price >= HOURLY_PRICE
    return frozenset({_GPU}) if is_named and not is_excluded and has_memory and is_affordable else frozenset()


def compute_first_deployment_fee(gpu_count: int) -> float:
    """Return the one-time fee of the first deployment on ``gpu_count`` GPUs, in dollars."""
    return round(platform_rules.FIRST_DEPLOYMENT_HOURS * HOURLY_PRICE * gpu_count, 2)
