"""The GPUs that fit a chute, and the fee of its first deployment (api, PLATFORM.md, section 4). Pure."""

from __future__ import annotations

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator.deployment_request import NodeSelectorRequest

_PRICES = platform_rules.GPU_HOURLY_PRICES
_TEE_GPU = platform_rules.TEE_GPU


def find_suitable_gpus(selector: NodeSelectorRequest) -> frozenset[str]:
    """Return the GPUs that ``selector`` allows (``platform_checks.resolve_gpus``)."""
    return platform_checks.resolve_gpus(selector.model_dump())


def find_hourly_price(selector: NodeSelectorRequest) -> float:
    """Return the dollars an hour for one GPU: of the cheapest that fits; of TEE_GPU when none fits whose price is known."""
    return min((_PRICES[name] for name in find_suitable_gpus(selector) if name in _PRICES), default=_PRICES[_TEE_GPU])


def compute_first_deployment_fee(selector: NodeSelectorRequest) -> float:
    """Return the one-time fee of the first deployment with ``selector``, for all its GPUs, in dollars."""
    return round(platform_rules.FIRST_DEPLOYMENT_HOURS * find_hourly_price(selector) * selector.gpu_count, 2)
